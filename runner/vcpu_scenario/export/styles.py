"""The kinds of C file: a program of its own, and a test within the kernel's tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct


class Style(Struct, frozen=True):
    """``variants`` are those of the parts that it takes, ``headers`` what it includes besides
    those of libc; ``enter`` is ``KVM_RUN``, ``begin`` the first lines of ``main``. ``advice`` says
    how a file of a name is built. ``trusting`` are variants that take it that ioctls succeed: not
    for a program that expects one to be refused."""

    variants: frozenset[str]
    trusting: frozenset[str]
    headers: tuple[str, ...]
    enter: str
    begin: tuple[str, ...]
    advice: Callable[[str], str]


_STATUS: Final = "Exit status: 0 as expected, 1 not as expected, 4 skipped"

C: Final = Style(
    frozenset(),
    frozenset(),
    (),
    "result = ioctl(vcpu_fd, KVM_RUN, 0) < 0 ? -errno : 0;",
    ('printf("TAP version 13\\n1..1\\n");',),
    lambda name: (
        f"Build it with `gcc -Wall -O2 -static -o {name} {name}.c` on or for arm64."
        f" {_STATUS} for want of a capability."
    ),
)
SELFTEST: Final = Style(
    frozenset({"selftest"}),
    frozenset({"harness"}),
    ("kvm_util.h", "processor.h", "test_util.h"),
    "result = __vcpu_run(vcpu) ? -errno : 0;",
    ("ksft_print_header();", "ksft_set_plan(1);"),
    lambda name: (
        f"It goes to tools/testing/selftests/kvm/arm64/{name}.c, with this line in Makefile.kvm:"
        f"\n\nTEST_GEN_PROGS_arm64 += arm64/{name}\n\nUp to 6.13 the folder is aarch64 and the line"
        f" in Makefile is TEST_GEN_PROGS_aarch64 += aarch64/{name}."
    ),
)
"""Of tools/testing/selftests/kvm, on its harness."""
