"""Serves the guest of the tests on the standard streams, with forks to go back to: ``python -m
tests.debugger.forking VMM KERNEL EVERY MOST``."""

from __future__ import annotations

import sys

from vcpu_scenario.debugger.checkpoints import Checkpoints
from vcpu_scenario.debugger.dialect import OURS
from vcpu_scenario.debugger.handlers import HANDLERS
from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.server import talk
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.debugger.wire import StandardWire

from tests.debugger.guests import making


def main() -> None:
    vmm, kernel, every, most = sys.argv[1:]
    history = History(making(vmm, kernel))
    stub = Stub(history, OURS, HANDLERS)
    kept = Checkpoints(stub, history, every=int(every), most=int(most))
    kept.serve(lambda: talk(stub, StandardWire(), keep=kept.keep))
    print("over")


if __name__ == "__main__":
    main()
