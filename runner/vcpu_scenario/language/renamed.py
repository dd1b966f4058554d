"""What other versions of the language have: keys of 0.1 by the name that they have now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RENAMED: Final[Mapping[str, str]] = {
    "do": "then",
    "mmio_data": "reply",
    "external_abort": "ext_dabt_pending",
    "serror": "serror_pending",
    "iss": "esr_iss",
    "ipa": "fault_ipa",
}

OTHER_VALUES: Final[Mapping[str, str]] = {
    "`version`": "files of 0.1 have no version, and `scenario migrate` brings them over;"
    " one of a later version needs a later vcpu-scenario",
}
"""What to do about a value that this version of the language does not have, by its key."""
