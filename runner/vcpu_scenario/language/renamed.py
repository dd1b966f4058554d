"""Keys of older scenarios that have another name now: there is one word for one thing."""

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
