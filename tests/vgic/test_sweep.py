"""All registers of a vGIC, at each width, read and written: as on a real kernel, or told by name.

Held to ``sweep.json.xz``: Debian's kernels on QEMU 7.2.
"""

from __future__ import annotations

import pytest

from tests.vgic.recorded import recorded
from tests.vgic.sweep import Sweep, emulated, results, sweeps

TIMER = "the virtual timer's interrupt"


@pytest.mark.slow
@pytest.mark.parametrize("kernel", sorted(recorded()))
@pytest.mark.parametrize("sweep", list(sweeps()), ids=lambda sweep: sweep.name)
def test_each_register_is_as_on_the_kernel_or_told(sweep: Sweep, kernel: str) -> None:
    real = recorded()[kernel][sweep.name]
    trace = emulated(kernel, sweep)
    if trace.unmodelled is None:
        assert results(trace) == real
    else:
        assert trace.unmodelled.what.startswith(TIMER)
        assert sweep.value
