"""In what VMMs with a debugger differ that can be said by a value."""

from __future__ import annotations

from typing import ClassVar

from vcpu_scenario.vmm.told import SIGINT
from vcpu_scenario.vmm.vmms.terms import POINTS, Known


class Traits:
    """Those of one that passes everything on; the class of another says where it differs."""

    name: ClassVar[str] = "plain"
    known: ClassVar[Known] = Known()
    kicks: ClassVar[bool] = False
    """Whether the first ``KVM_RUN`` after each stop has ``immediate_exit`` set."""
    always_asks: ClassVar[bool] = False
    """Whether it has guest debug on, whatever its debugger sets."""
    tells_of: ClassVar[frozenset[str]] = frozenset({"DEBUG"})
    """The exits that it may tell its debugger of, where guest debug is on."""
    knows_nisv: ClassVar[bool] = True
    """Whether it continues after ``KVM_EXIT_ARM_NISV``."""
    runs_at_pause: ClassVar[bool] = False
    """Whether it makes one ``KVM_RUN`` with ``immediate_exit`` set as it stops."""
    interrupt: ClassVar[int] = SIGINT
    """The signal that a ^C is told with."""
    points: ClassVar[frozenset[int]] = frozenset(POINTS)
    """The kinds of breakpoints that its stub has packets for."""
    most_hardware: ClassVar[int] = 16
    most_watches: ClassVar[int] = 16
    refuses_several: ClassVar[str] = ""
    """Why it has no debugger where there are several vCPUs."""
    pauses: ClassVar[bool] = True
    """Whether all vCPUs stop as one of them does."""
    queues: ClassVar[bool] = False
    """Whether another one that stops meanwhile is told of next; else it is told of in its place."""
    locks: ClassVar[bool] = True
    """Whether it resumes some of its vCPUs without the others."""
    names_thread: ClassVar[bool] = True
    """Whether a step and a ^C are told with the vCPU that they are of."""
    interrupted_vcpu: ClassVar[int | None] = None
    """The vCPU that a ^C is told of, where that is always the same."""
    types_system: ClassVar[bool] = False
    """Whether it says of each of its :attr:`system_registers` that it is an integer."""
