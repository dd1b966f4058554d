"""Starts programs that never outlive whoever started them, however that one ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

_SHIM: Final = """\
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
os.nice(int(sys.argv[2]))
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[3], sys.argv[3:])
"""


def bound_to_us(command: Sequence[str], *, nice: int = 0) -> list[str]:
    """``command``, which begins with a full path, to be killed when the calling thread ends.

    ``nice`` is added to its niceness. To be started by this very process.
    """
    return [sys.executable, "-ISc", _SHIM, str(os.getpid()), str(nice), *command]
