"""The results of a run as they are kept until it is reported: their traces packed.

A trace takes some fifty times the memory of all else that a result says, and nothing asks for it
before the report is written, which takes one after the other.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

from msgspec.structs import replace

from vcpu_scenario.verdict.result import Result


class Packed(NamedTuple):
    """A result without its trace, and the trace, empty where there is none."""

    result: Result
    trace: bytes


def pack(result: Result) -> Packed:
    """``result`` as it is kept."""
    if result.trace is None:
        return Packed(result, b"")
    return Packed(replace(result, trace=None), zlib.compress(pickle.dumps(result.trace), 1))


class Kept(Sequence[Result]):
    """Results without their traces; :meth:`whole` has them."""

    def __init__(self, packed: Iterable[Packed] = ()) -> None:
        self._packed = tuple(packed)

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | Sequence[Result]:
        if isinstance(index, slice):
            return [packed.result for packed in self._packed[index]]
        return self._packed[index].result

    def whole(self) -> Iterator[Result]:
        """Each result with its trace, made when it is asked for."""
        for result, trace in self._packed:
            yield replace(result, trace=pickle.loads(zlib.decompress(trace))) if trace else result
