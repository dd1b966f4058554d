"""Files of a distribution by name: ``debian:6.12`` is a kernel of the lab,
``debian:PACKAGE/PATH`` a file of a package."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from vcpu_scenario.host.reading import Unreadable, read_regular

PREFIX: Final = "debian:"
_RELEASE: Final = re.compile(r"[0-9]+\.[0-9]+(?:\.[0-9]+)?")
_PACKAGED: Final = re.compile(r"(?P<package>[a-z][a-z0-9.+-]+)/(?P<path>.+)")
_MOST: Final = 256 << 20


class Missing(Unreadable):
    """What is named is not here: with what to do."""


@lru_cache(maxsize=4)
def read_distributed(name: str) -> bytes:
    """The contents of what ``name`` names; once for all combinations of a matrix.

    Raises :class:`Missing`, and :class:`Unreadable` for what is no such name, or names a file that
    its package does not have.
    """
    from vcpu_scenario.machine.real.errors import LabError, NotFetchedError
    from vcpu_scenario.machine.real.lab import kernels, packages

    named = name.removeprefix(PREFIX)
    packaged = _PACKAGED.fullmatch(named)
    try:
        if _RELEASE.fullmatch(named):
            return read_regular(kernels.path(named).image, _MOST)
        if packaged is not None:
            return packages.read(packaged["package"], packaged["path"], _MOST)
    except NotFetchedError as fault:
        raise Missing(str(fault)) from None
    except LabError as fault:
        raise Unreadable(str(fault)) from None
    raise Unreadable(
        "it is no release of Linux, and no file of a package",
        "debian:6.12, debian:6.12.107 and debian:u-boot-qemu/usr/lib/u-boot/qemu_arm64/u-boot.bin "
        "are names",
    )
