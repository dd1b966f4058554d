"""An interruption ends a command wherever it comes, and is never told as something else."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import os, signal, time
from vcpu_scenario.host import signals

def come():
    os.kill(os.getpid(), signal.SIGINT)

signals.take()
try:
    %s
    time.sleep(20)
except BaseException as error:
    print(type(error).__name__, signals.is_interruption(error))
"""
WHERE = {
    "in a loop": "come()",
    "in a finaliser": "type('D', (), {'__del__': lambda self: come()})()",
    "in a weak reference's callback": (
        "import weakref; o = type('O', (), {})(); r = weakref.ref(o, lambda r: come()); del o"
    ),
    "in the making of a class": (
        "type('C', (), {'x': type('N', (), {'__set_name__': lambda *_: come()})()})"
    ),
    "in a handler of another error": "try: 1 / 0\n    except ZeroDivisionError: come()",
}


@pytest.mark.slow
@pytest.mark.parametrize("where", WHERE)
def test_it_is_one_wherever_it_comes(where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN % WHERE[where]], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.split()[1] == "True"


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (KeyboardInterrupt(), True),
        (RuntimeError("of a __set_name__"), True),
        (ValueError("of its own"), False),
    ],
)
def test_it_is_known_by_what_it_was_made_of(error: BaseException, is_one: bool) -> None:
    from vcpu_scenario.host.signals import is_interruption

    if isinstance(error, RuntimeError):
        error.__cause__ = KeyboardInterrupt()
    assert is_interruption(error) is is_one
