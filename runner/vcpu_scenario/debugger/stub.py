"""The stub as a state machine: bytes in, bytes out, and the resume that is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from vcpu_scenario.debugger.dialect import Dialect
from vcpu_scenario.debugger.packets import Event, Framing, Packet, Sign, framed
from vcpu_scenario.debugger.target import Target
from vcpu_scenario.vmm.memory import Unreachable
from vcpu_scenario.vmm.session import Steps
from vcpu_scenario.vmm.told import SIGINT, Over, Stopped, Told, Why
from vcpu_scenario.vmm.vmms.terms import Hangs, Refused

Monitor: TypeAlias = Callable[[str], str]
"""Answers a ``monitor`` command."""

_EMPTY: Final = b""
WHOLE: Final = b"$"
"""Behind the name of a packet that is the whole packet."""
_QUIET: Final = 20
"""Looks for the rest of a packet while the guest runs, after which it does not come any more."""
_MOST_TEXT: Final = 1000
"""Characters of text in one packet to the debugger's console."""


class Resume(NamedTuple):
    """What the debugger waits for: a step or not, forth or back."""

    step: Steps
    back: bool = False


class NotOffered(Exception):
    """The packet is answered as one that the stub does not know."""


class Ends(Exception):
    """The stub ends at the packet; the message says why."""


class Bad(Exception):
    """The packet is answered with an error."""

    def __init__(self, number: int = 22) -> None:
        super().__init__(number)
        self.number = number


Handler: TypeAlias = "Callable[[Stub, bytes], bytes | None]"
"""Answers a packet by what comes behind its name; None where there is no answer, or not yet."""


class Stub:
    """One client's conversation after the other about one guest.

    ``resume`` is what the guest is to be run for, None while it is stopped; then :meth:`run` is to
    be called. ``closing`` says that the stub hangs up, ``ended`` that it was told to end the guest.
    """

    def __init__(
        self,
        target: Target,
        dialect: Dialect,
        handlers: Mapping[bytes, Handler],
        monitor: Monitor | None = None,
    ) -> None:
        self.target: Final = target
        self.dialect: Final = dialect
        self.monitor: Final = monitor
        self._whole: Final = {
            name.removesuffix(WHOLE): one for name, one in handlers.items() if name.endswith(WHOLE)
        }
        self._handlers: Final = {
            name: one for name, one in handlers.items() if not name.endswith(WHOLE)
        }
        self._longest: Final = max(map(len, handlers))
        self._buffer = b""
        self._fresh()
        self.detached = False
        self.cut = False
        self.ended = False
        self.arrived = _EMPTY
        """What is still to be sent."""

    def _fresh(self) -> None:
        self._framing = Framing(*((self.dialect.size - 1, False) if self.dialect.qemu else ()))
        self._events: deque[Event] = deque()
        self._sent = _EMPTY
        self._acks = True
        self.resume: Resume | None = None
        self.multiprocess = False
        self.names: frozenset[str] = frozenset()
        self.has_read_xml = False
        self.listed = 0
        """Threads that the debugger was told of since it asked for them."""
        self.closing = False
        self.farewell = _EMPTY
        self.chose_all = not self.dialect.strict
        """Whether ``Hc`` named all threads last."""
        self.ends: Over | None = None
        self.hung = False

    # -- clients ---------------------------------------------------------------------------------

    def connected(self) -> bytes:
        """A client came; what it is sent unasked."""
        knew = self.multiprocess and self.dialect.qemu
        self._fresh()
        left_running = self.cut or (self.detached and self.dialect.tells_again)
        again = left_running and self.dialect.strict and not self.target.session.over
        self.detached = self.cut = False
        self.multiprocess = knew or (again and not self.dialect.qemu)
        return self._send(self.stop_reply(Stopped(Why.INTERRUPT, SIGINT))) if again else _EMPTY

    def without_acks(self) -> None:
        """``QStartNoAckMode``: from the next packet on."""
        self._acks = False

    # -- packets ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> bytes:
        """What is sent on ``data``; nothing is done after a resume until it has been run."""
        self._events.extend(self._framing.feed(data))
        return b"".join(self._answers())

    def _answers(self) -> Iterator[bytes]:
        while self._events and self.resume is None and not (self.closing or self.hung):
            event = self._events.popleft()
            if isinstance(event, Packet):
                if self._comes_again(event):
                    continue
                if self._acks:
                    yield b"+"
                reply = self.answer(event.data)
                if reply is not None:
                    yield self._send(reply)
                if self.ends is not None:
                    yield from self._said(self.ends, begin=False)
                if self.farewell:
                    yield self._send(self.farewell)
            elif event is Sign.BROKEN and self._acks:
                yield b"-"
            elif event is Sign.NACK:
                yield self._sent

    def _comes_again(self, packet: Packet) -> bool:
        """Whether gdb sent its first packet again, before it had an answer: it waits two seconds,
        and whoever serves the standard streams may not have started by then."""
        again = self._events and self._events[0] == packet
        return bool(again) and packet.data.startswith(b"qSupported")

    def answer(self, packet: bytes) -> bytes | None:
        """What a packet is answered with, before it is framed."""
        handler, rest = self._handler(packet)
        if handler is None:
            return _EMPTY
        try:
            return handler(self, rest)
        except NotOffered:
            return _EMPTY
        except Bad as bad:
            return (b"E%02x" if self.dialect.hexadecimal else b"E%02d") % bad.number
        except Refused:
            return self.dialect.refuses
        except Unreachable:
            return self.dialect.cannot_reach
        except Hangs as hang:
            self.hung = self.dialect.strict
            return None if self.hung else f"E.{hang}".encode()
        except Ends as end:
            self.ends = Over(1, str(end))
            return None

    def _handler(self, packet: bytes) -> tuple[Handler | None, bytes]:
        for length in range(min(self._longest, len(packet)), 0, -1):
            name = packet[:length]
            whole = packet == name and self._whole.get(name)
            if found := whole or self._handlers.get(name):
                return (None if name in self.dialect.lacks else found), packet[length:]
        return None, packet

    def filled(self, data: bytes, size: int) -> bytes:
        """``data`` with the bytes behind it that QEMU's buffer (``mem_buf``) has of the packets
        before, ``size`` in all; the buffer has it then."""
        self._buffer = data + self._buffer[len(data) :]
        return self._buffer[:size].ljust(size, b"\0")

    def offers(self, packet: str) -> None:
        """Raises :class:`NotOffered` unless the dialect has the packet."""
        if packet not in self.dialect.extras:
            raise NotOffered

    def _send(self, data: bytes) -> bytes:
        self._sent = framed(data)
        return self._sent

    # -- running ---------------------------------------------------------------------------------

    def run(self, more: Callable[[], bytes | None]) -> bytes:
        """Runs the guest for :attr:`resume`, and gives what is sent then.

        ``more`` gives the bytes that came since, None where the client is gone; that and a ^C stop
        the guest. A ^C in a packet is a byte of it, unless the rest does not come.
        """
        resume = self.resume
        assert resume is not None
        gone, quiet = False, 0

        def interrupted() -> bool:
            nonlocal gone, quiet
            data = more()
            gone = data is None
            quiet = 0 if data else quiet + 1
            if data:
                self._events.extend(self._framing.feed(data))
            if Sign.INTERRUPT in self._events:
                self._events.remove(Sign.INTERRUPT)
                return True
            return gone or (quiet >= _QUIET and self._framing.give_up_at_interrupt())

        told = self._run(resume, interrupted)
        self.resume = None
        if gone:
            self.closing = self.cut = True
        return _EMPTY if gone or told is None else self._told(told, resume.back)

    def _told(self, told: Told, back: bool) -> bytes:
        said = self._said(told, begin=back and told == Stopped(Why.START))
        return b"".join((*said, *self._answers()))

    # -- another process ---------------------------------------------------------------------------

    @property
    def conversation(self) -> dict[str, Any]:
        """All that there is to know of it, for a stub that continues with it in another process."""
        return {name: value for name, value in vars(self).items() if name not in _OF_A_PROCESS}

    def arrive(self, conversation: dict[str, Any], told: Told) -> None:
        """Goes on with a conversation in which the debugger waits to be told of a way back."""
        vars(self).update(conversation)
        self.resume = None
        self.arrived = self._told(told, back=True)

    def _run(self, resume: Resume, interrupted: Callable[[], bool]) -> Told | None:
        if self.target.session.vmm.dead:
            return None
        if not resume.back:
            return self.target.resume(resume.step, interrupted)
        return self.target.back(resume.step is True) or Stopped(Why.START)

    def _said(self, told: Told, begin: bool) -> Iterator[bytes]:
        if told.words and not self.dialect.strict:
            yield from map(self._send, console(f"{told.words}\n"))
        if isinstance(told, Over):
            self.closing = self.ended = True
            if self.dialect.qemu or not self.dialect.strict:
                yield self._send(b"W%02x" % told.status)
        else:
            yield self._send(self.stop_reply(told, begin=begin))

    def stop_reply(self, told: Stopped, *, begin: bool = False) -> bytes:
        """The ``T`` packet; ``begin`` says that there is nothing before."""
        watch = told.watch
        at_watch = ""
        session = self.target.session
        unnamed = not session.vmm.names_thread and (self.dialect.strict or session.count > 1)
        if unnamed and told.why in (Why.STEP, Why.INTERRUPT):
            return b"S%02x" % told.signal
        if watch is not None:
            addr = f"{watch.addr:016x}" if self.dialect.wide_watch else f"{watch.addr:x}"
            at_watch = f"{_WATCH[watch.kind]}:{addr};"
        point = _POINTS.get(told.why, "") if self.dialect.names_points and not at_watch else ""
        named = f"{point}:;" if point and (point in self.names or self.dialect.gdbstub) else ""
        log = "replaylog:begin;" if begin else ""
        thread = self.thread(session.chosen)
        return f"T{told.signal:02x}thread:{thread};{named}{at_watch}{log}".encode()

    def thread(self, vcpu: int) -> str:
        """The id of a vCPU, by its number."""
        digits = 2 if self.dialect.two_digits else 1
        thread = f"{vcpu + 1:0{digits}x}"
        return f"p{1:0{digits}x}.{thread}" if self.multiprocess else thread


def console(text: str) -> Iterator[bytes]:
    """Packets that show ``text`` on the debugger's console."""
    for start in range(0, len(text), _MOST_TEXT):
        yield b"O" + text[start : start + _MOST_TEXT].encode().hex().encode()


_OF_A_PROCESS: Final = (
    *("target", "dialect", "monitor", "arrived"),
    *("_whole", "_handlers", "_longest"),
)
"""What a stub in another process has of its own."""
_WATCH: Final = {"w": "watch", "r": "rwatch", "rw": "awatch"}
_POINTS: Final = {Why.SOFTWARE: "swbreak", Why.HARDWARE: "hwbreak"}
