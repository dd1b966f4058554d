"""A scenario as one C file, in one of two styles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final

from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.case import Action
from vcpu_scenario.export import course, guest, runloop, setup
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.parts import headers_for, parts_for
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.remarks import Remarks
from vcpu_scenario.export.styles import C, Style
from vcpu_scenario.export.subject import Branch, Subject
from vcpu_scenario.export.text import (
    comment,
    function,
    identifier,
    identifiers,
    joined,
    paragraphs,
    string,
    symbols,
    words_of,
)
from vcpu_scenario.ioctls.devices import CreateVgic

_COMPILERS: Final = words_of("main abort memcpy memmove memset memcmp strlen puts putchar")
"""Names of functions that a compiler calls of itself."""

_WITH_DEBUGGER: Final = {"qemu": {"qemu"}, "qemu-2017": {"qemu", "leaves_at_mmio"}}
"""The personalities of VMMs that do things of their own for a debugger, with their variants of
parts."""

VMMS: Final = frozenset({"plain", *_WITH_DEBUGGER})
"""The personalities that there are in C."""

_MIDR_CPU: Final = 0xFF00_FFF0
"""Of MIDR_EL1 what tells one CPU from another: not its revision."""


def program(subject: Subject, *, style: Style = C, words: bool = False) -> str:
    """The C file in ``style``. With ``words`` the guest is in machine words, whatever its text is.

    Raises :class:`~vcpu_scenario.export.refusal.Unexportable`.
    """
    if subject.vmm not in VMMS:
        raise Unexportable(f"the VMM {subject.vmm}, of which there is none in C")
    case = subject.combination.case
    if case.quantum is not None and subject.vmm in _WITH_DEBUGGER:
        raise Unexportable("quantum with a VMM that kicks its vCPU")
    code = guest.code_of(subject)
    names = Names(case, code, subject.combination.symbols, debugger=subject.vmm in _WITH_DEBUGGER)
    remarks = Remarks(subject.scenario.path)
    body = [
        *setup.definitions(case, names, _every_action(subject)),
        *(line for each in subject.branches for line in course.definitions(each, names, remarks)),
        *_main(subject, style),
    ]
    kept = [f"static struct snapshot snapshot_{name};" for name in names.snapshots]
    body = [*kept, *([""] if kept else []), *body]
    before = runloop.definitions(case, names, identifiers("\n".join(body)), style)
    return _file(subject, names, [*before, *body], style, words=words)


def _every_action(subject: Subject) -> list[Action]:
    """What the VMM does, whatever the branch."""
    every = (course.actions_of(each.clause.case) for each in subject.branches)
    return list(chain.from_iterable(every))


def _main(subject: Subject, style: Style) -> list[str]:
    branches = subject.branches
    body = [*style.begin]
    if subject.cpu is not None:
        body += [f"if (running_cpu() != {_cpu(subject.cpu)})", f'\tskip("{_NOTHING} CPU");']
    if not (subject.condition or any(branch.condition for branch in branches)):
        return [*function("int main(void)", [*body, *_run(subject, branches[0]), "pass();"]), ""]
    if subject.condition:
        terms = subject.condition.split(" || ")
        body += [*joined(terms, "if (!(", "))", "||"), f'\tskip("{_NOTHING} kernel");']
    for number, branch in enumerate(branches):
        head = "else if (" if number else "if ("
        refusal = course.refusal_of(branch)
        choice = (
            f"expected_refusal = {refusal};" if refusal else f"test = {course.name_of(branch)};"
        )
        if branch.condition:
            body += [*joined(branch.condition.split(" || "), head, ")", "||"), f"\t{choice}"]
        else:
            body += ["else", f"\t{choice}"] if number else [choice]
    refusing = any(map(course.refusal_of, branches))
    if branches[-1].condition:
        nothing = "if (!test && !expected_refusal)" if refusing else "if (!test)"
        body += ["", nothing, f'\tskip("{_NOTHING} kernel");']
    body += ["", "set_up();"]
    if refusing:
        refused = _refused_at_last(subject)
        brace, end = (" {", ["}"]) if len(refused) > 1 else ("", [])
        body += [f"if (expected_refusal){brace}", *(f"\t{line}" for line in refused), *end]
    local = ["uint64_t kernel = running_kernel();", "void (*test)(void) = NULL;", ""]
    return [*function("int main(void)", [*local, *body, "test();", "pass();"]), ""]


_NOTHING: Final = "nothing is expected of this"
_NOT_REFUSED: Final = 'fail("KVM did not refuse: %s was expected", strerror(expected_refusal));'


def _cpu(cpu: CpuModel) -> str:
    return f"CPU_{identifier(cpu.name).upper()}"


def _run(subject: Subject, branch: Branch) -> list[str]:
    if refusal := course.refusal_of(branch):
        return [f"expected_refusal = {refusal};", "set_up();", *_refused_at_last(subject)]
    return ["set_up();", f"{course.name_of(branch)}();"]


def _refused_at_last(subject: Subject) -> list[str]:
    """What is left once the set-up is done: the first KVM_RUN finds what is wrong with a vGIC or
    one of several vCPUs, and then not even registers can be read."""
    case = subject.combination.case
    made = any(isinstance(action, CreateVgic) for action in case.before)
    return [*(["run_vcpu();"] if case.several or made else []), _NOT_REFUSED]


def _file(subject: Subject, names: Names, body: Sequence[str], style: Style, *, words: bool) -> str:
    case = subject.combination.case
    variants = {*style.variants, *_WITH_DEBUGGER.get(subject.vmm, ())}
    if any(each.typed or each.spi is not None for each in case.devices):
        variants.add("typed")
    if "expected_refusal" in identifiers("\n".join(body)):
        variants.add("refusal")
    else:
        variants |= style.trusting
    text = "\n".join(body)
    parts = paragraphs(parts_for(text, variants))
    everything = f"{parts}\n{text}"
    macros = [
        f"#define TEST_NAME\t{string(subject.short_name)}",
        f"#define GUEST_CODE\t{names.code.addr:#x}ul",
        *setup.counts(case, _every_action(subject)),
        *(
            [f"#define {_cpu(subject.cpu)}\t{subject.cpu.midr & _MIDR_CPU:#x}"]
            if subject.cpu
            else []
        ),
        *(f"#define {name}\t{value}" for name, value in sorted(names.definitions.items())),
    ]
    asm = guest.block(subject, names, symbols(everything) | _COMPILERS, words=words)
    if "PC" in identifiers(text):
        asm += ["", *_PC]
    sections = [
        ["// SPDX-License-Identifier: GPL-2.0-only", *_head(subject, style)],
        headers_for(everything),
        [f'#include "{header}"' for header in style.headers],
        macros,
        comment("The guest, which is copied to GUEST_CODE"),
    ]
    top = "\n\n".join("\n".join(section) for section in sections if section)
    return f"{top}\n{chr(10).join(asm)}\n\n{parts}\n\n{text.rstrip()}\n"


_PC: Final = [
    *comment("Where a label of the guest is in its memory"),
    "#define PC(label)\t(GUEST_CODE + (uint64_t)(at_##label - guest_code))",
]


def _head(subject: Subject, style: Style) -> list[str]:
    scenario = subject.scenario
    paragraphs = [
        scenario.title,
        scenario.about.strip(),
        f"Made by `scenario export` from {scenario.path.name}. {style.advice(subject.file_name)}",
    ]
    if subject.kernel:
        paragraphs.insert(2, f"What is expected is what Linux {subject.kernel} does.")
    return comment("\n\n".join(filter(None, paragraphs)))
