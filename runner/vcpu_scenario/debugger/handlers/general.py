"""What a debugger asks of the stub itself: what it can, the threads, to let go and to end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from vcpu_scenario.debugger.handlers.fields import is_all, number, vcpu_of, vcpus_of
from vcpu_scenario.debugger.stub import WHOLE, Bad, Handler, Stub
from vcpu_scenario.vmm.told import Over, Stopped, Why

_EXTRA: Final = {
    "QStartNoAckMode": "QStartNoAckMode+",
    "swbreak": "swbreak+",
    "hwbreak": "hwbreak+",
    "bs": "ReverseStep+",
    "bc": "ReverseContinue+",
}


def supported(stub: Stub, rest: bytes) -> bytes:
    asked = rest.decode("ascii", "replace").lstrip(":").split(";")
    knew = stub.multiprocess and stub.dialect.qemu
    stub.multiprocess = "multiprocess+" in asked or knew
    offered = [text for name, text in _EXTRA.items() if name in stub.dialect.extras]
    stub.names = frozenset(
        name for name in ("swbreak", "hwbreak") if f"{name}+" in asked and f"{name}+" in offered
    )
    if stub.dialect.gdbstub:
        return ";".join((*_of_gdbstub(stub), *offered, "qXfer:features:read+")).encode()
    ours = (
        f"PacketSize={stub.dialect.size:x}",
        "qXfer:features:read+",
        "vContSupported+",
        *offered,
    )
    # QEMU says so whoever asks (handle_query_supported).
    says = stub.multiprocess or stub.dialect.qemu
    return ";".join((*ours, *(["multiprocess+"] if says else []))).encode()


def _of_gdbstub(stub: Stub) -> Iterable[str]:
    """``handle_base``: what it has in any case, in its order."""
    return f"PacketSize={stub.dialect.size:x}", "vContSupported+", "multiprocess+"


def why(stub: Stub, rest: bytes) -> bytes:
    """A debugger asks it as it comes: breakpoints of the one before are taken away, as QEMU does
    (``handle_target_halt``)."""
    if stub.dialect.clears:
        stub.target.clear_points()
    told = stub.target.session.told
    if isinstance(told, Over):
        return b"W%02x" % told.status
    return stub.stop_reply(Stopped(Why.START))


def extended(stub: Stub, rest: bytes) -> bytes:
    return b"OK"


def select(stub: Stub, rest: bytes) -> bytes:
    """``Hg`` and ``Hc``; all of them may be said of anything, and it changes nothing
    (``handle_set_thread``)."""
    named = vcpus_of(stub, rest[1:])
    if not named or (rest[:1] not in (b"g", b"c") and not rest.endswith(b"-1")):
        raise Bad
    if not is_all(rest[1:]):
        if rest[:1] == b"g":
            stub.target.select(stub.target.session.vmm.shown(named[0]))
        else:
            stub.target.choose(named[0])
    return b"OK"


def alive(stub: Stub, rest: bytes) -> bytes:
    if vcpu_of(stub, rest) is None:
        raise Bad
    return b"OK"


def current(stub: Stub, rest: bytes) -> bytes:
    """QEMU always says the first of its process (``handle_query_curr_tid``)."""
    return f"QC{stub.thread(0 if stub.dialect.qemu else stub.target.session.vcpu)}".encode()


def threads(stub: Stub, rest: bytes) -> bytes:
    stub.listed = 0
    return more_threads(stub, rest)


def more_threads(stub: Stub, rest: bytes) -> bytes:
    """One at a time (``handle_query_threads``)."""
    stub.listed += 1
    there = stub.listed <= stub.target.session.count
    return f"m{stub.thread(stub.listed - 1)}".encode() if there else b"l"


def thread_words(stub: Stub, rest: bytes) -> bytes | None:
    vcpu = vcpu_of(stub, rest)
    if vcpu is None:
        if stub.dialect.qemu:
            return None
        raise Bad
    session = stub.target.session
    looks_at = session.vcpu
    stub.target.select(vcpu)
    stub.target.synchronize()
    # CPUState.halted of one that begins switched off is not brought up to date with KVM.
    halted = vcpu > 0 if stub.dialect.qemu else session.off
    stub.target.select(looks_at)
    state = "halted " if halted else "running"
    return stub.dialect.thread_words.format(vcpu=vcpu, state=state).encode().hex().encode()


def attached(stub: Stub, rest: bytes) -> bytes:
    return b"1"


def no_acks(stub: Stub, rest: bytes) -> bytes:
    stub.offers("QStartNoAckMode")
    stub.without_acks()
    return b"OK"


def attach(stub: Stub, rest: bytes) -> bytes:
    stub.offers("vAttach")
    if number(rest) not in (0, 1):
        raise Bad
    return stub.stop_reply(Stopped(Why.START))


def detach(stub: Stub, rest: bytes) -> bytes | None:
    """The guest goes on without breakpoints, unless it is process 0 that goes, which QEMU takes for
    any (``handle_detach``)."""
    asks = rest[1:] or (stub.multiprocess and stub.dialect.qemu)
    process = number(rest[1:]) if asks else 1
    if stub.dialect.qemu and not stub.multiprocess:
        process = 1
    if process > 1:
        return _crash(stub, None)
    if stub.dialect.clears or not stub.dialect.ends_at_detach:
        stub.target.clear_points()
    stub.closing = stub.ended = stub.dialect.ends_at_detach
    stub.detached = bool(process)
    return b"OK"


def _crash(stub: Stub, reply: bytes | None) -> bytes | None:
    """What QEMU's process does not outlive; of another stub it is only bad."""
    if not stub.dialect.qemu:
        raise Bad
    stub.closing = stub.ended = True
    return reply


def kill(stub: Stub, rest: bytes) -> bytes | None:
    stub.closing = stub.ended = True
    return stub.dialect.last_word.encode() or None


def kill_process(stub: Stub, rest: bytes) -> bytes | None:
    stub.closing = stub.ended = True
    if stub.dialect.gdbstub:
        return None
    stub.farewell = stub.dialect.last_word.encode()
    return b"OK"


HANDLERS: Final[Mapping[bytes, Handler]] = {
    b"qSupported:": supported,
    b"qSupported" + WHOLE: supported,
    b"?": why,
    b"!": extended,
    b"H": select,
    b"T": alive,
    b"qC" + WHOLE: current,
    b"qfThreadInfo" + WHOLE: threads,
    b"qsThreadInfo" + WHOLE: more_threads,
    b"qThreadExtraInfo,": thread_words,
    b"qAttached:": attached,
    b"qAttached" + WHOLE: attached,
    b"QStartNoAckMode" + WHOLE: no_acks,
    b"vAttach;": attach,
    b"D": detach,
    b"k": kill,
    b"vKill;": kill_process,
}
