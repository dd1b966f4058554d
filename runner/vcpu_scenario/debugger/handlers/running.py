"""Breakpoints and resumes: ``Z``, ``z``, ``vCont``, ``c``, ``s``, ``bc``, ``bs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.debugger.handlers.fields import is_all, number, numbers, vcpus_of
from vcpu_scenario.debugger.stub import WHOLE, Bad, Ends, Handler, NotOffered, Resume, Stub
from vcpu_scenario.vmm.vmms.terms import PC, POINTS, SOFTWARE, Refused


def insert(stub: Stub, rest: bytes) -> bytes:
    stub.target.insert(*_point(stub, rest))
    return b"OK"


def remove(stub: Stub, rest: bytes) -> bytes:
    point = _point(stub, rest)
    try:
        stub.target.remove(*point)
    except Refused:
        return stub.dialect.not_set or stub.dialect.refuses
    return b"OK"


def _point(stub: Stub, rest: bytes) -> tuple[int, int, int]:
    """Kind, address, length. A stub that has no ``Z0`` leaves it to the debugger to write a BRK,
    which comes to the same: only a strict one leaves it."""
    kind, addr, length = numbers(rest.partition(b";")[0], 3)
    offered = stub.target.session.vmm.points | (set() if stub.dialect.strict else {SOFTWARE})
    if kind not in POINTS or kind not in offered:
        raise NotOffered
    return kind, addr, length


def can_resume(stub: Stub, rest: bytes) -> bytes:
    return b"vCont;c;C;s;S"


_STEPS: Final = {b"c": False, b"C": False, b"s": True, b"S": True}


def resume(stub: Stub, rest: bytes) -> bytes | None:
    """The first action that is for a vCPU counts; one of which nothing is said stays as it is
    (``gdb_continue_partial``). A ^C is told of the last that an action was for
    (``gdb_handle_vcont``)."""
    count = stub.target.session.count
    steps: list[bool | None] = [None] * count
    chosen = stub.target.session.chosen
    for_all = False
    for action in rest.split(b";"):
        word, colon, thread = action.partition(b":")
        step = _STEPS.get(word[:1])
        if step is None or (word[:1] in b"cs" and word[1:]):
            raise NotOffered
        if word[:1] in b"CS":
            _signal(word[1:])
        named = vcpus_of(stub, thread) if colon else range(count)
        for_all |= not step and (not colon or is_all(thread))
        if not named:
            raise Bad
        for vcpu in named:
            if steps[vcpu] is None:
                steps[vcpu] = step
                chosen = vcpu if stub.dialect.chooses_resumed else chosen
    if not for_all:
        _goes_alone(stub)
    stub.target.choose(chosen)
    stub.resume = Resume(bool(steps[0]) if count == 1 else tuple(steps))
    return None


def _goes_alone(stub: Stub) -> None:
    """gdbstub needs ``MultiThreadSchedulerLocking`` then, one vCPU or several."""
    if not stub.target.session.vmm.locks:
        raise Ends("its stub ends, which has no way to resume one vCPU without the others")


def _signal(text: bytes) -> None:
    try:
        number(text)
    except NotOffered:
        raise Bad from None


def resume_nothing(stub: Stub, rest: bytes) -> bytes | None:
    """``vCont`` alone."""
    if not stub.dialect.qemu:
        raise NotOffered
    return None


def step(stub: Stub, rest: bytes) -> bytes | None:
    _move(stub, rest)
    _goes_alone(stub)
    stub.resume = Resume(step=True)
    return None


def go_on(stub: Stub, rest: bytes) -> bytes | None:
    _move(stub, rest)
    if not stub.chose_all:
        _goes_alone(stub)
    stub.resume = Resume(step=False)
    return None


def go_on_with_signal(stub: Stub, rest: bytes) -> bytes | None:
    if rest or not stub.dialect.qemu:
        number(rest.partition(b";")[0])
    stub.resume = Resume(step=False)
    return None


def _move(stub: Stub, rest: bytes) -> None:
    """The vCPU that is chosen (``gdb_set_cpu_pc``)."""
    if rest:
        stub.target.select(stub.target.session.chosen)
        stub.target.synchronize()
        stub.target.write_register(PC, number(rest))


def back(stub: Stub, rest: bytes) -> bytes | None:
    _goes_back(stub, rest, "bs")
    stub.resume = Resume(step=True, back=True)
    return None


def back_to_breakpoint(stub: Stub, rest: bytes) -> bytes | None:
    _goes_back(stub, rest, "bc")
    stub.resume = Resume(step=False, back=True)
    return None


def _goes_back(stub: Stub, rest: bytes, packet: str) -> None:
    """QEMU that records nothing says an error, and then an assertion ends it
    (``handle_backward``)."""
    if rest:
        raise NotOffered
    if stub.dialect.qemu:
        stub.closing = stub.ended = True
        raise Bad
    stub.offers(packet)


HANDLERS: Final[Mapping[bytes, Handler]] = {
    b"Z": insert,
    b"z": remove,
    b"vCont?": can_resume,
    b"vCont;": resume,
    b"vCont" + WHOLE: resume_nothing,
    b"s": step,
    b"c": go_on,
    b"C": go_on_with_signal,
    b"bs": back,
    b"bc": back_to_breakpoint,
}
