"""A scenario as one C file, in one of two styles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final

from vcpu_scenario.case import Action, Case
from vcpu_scenario.export import course, devices, guest, setup
from vcpu_scenario.export.afterexit import GOES_ON
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.parts import headers_for, parts_for
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.remarks import Remarks
from vcpu_scenario.export.styles import C, Style
from vcpu_scenario.export.subject import Branch, Subject
from vcpu_scenario.export.text import (
    comment,
    function,
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

_SECOND: Final = 1_000_000
_AGAIN: Final = 50_000
"""Microseconds between later alarms, should the first have come before the vCPU ran."""


def program(subject: Subject, *, style: Style = C, words: bool = False) -> str:
    """The C file in ``style``. With ``words`` the guest is in machine words, whatever its text is.

    Raises :class:`~vcpu_scenario.export.refusal.Unexportable`.
    """
    if subject.vmm not in VMMS:
        raise Unexportable(f"the VMM {subject.vmm}, of which there is none in C")
    case = subject.combination.case
    code = guest.code_of(subject)
    names = Names(case, code, subject.combination.symbols, debugger=subject.vmm in _WITH_DEBUGGER)
    remarks = Remarks(subject.scenario.path)
    body = [
        *setup.definitions(case, names, _every_action(subject)),
        *(line for each in subject.branches for line in course.definitions(each, names, remarks)),
        *_main(subject, style),
    ]
    before = _before(case, names, body, style)
    return _file(subject, names, [*before, *body], style, words=words)


def _every_action(subject: Subject) -> list[Action]:
    """What the VMM does, whatever the branch."""
    every = (course.actions_of(each.clause.case) for each in subject.branches)
    return list(chain.from_iterable(every))


def _before(case: Case, names: Names, body: Sequence[str], style: Style) -> list[str]:
    """What the functions in ``body`` call, as far as that depends on the scenario."""
    used = identifiers("\n".join(body))
    out: list[str] = []
    if "run_vcpu" in used:
        out += _run_vcpu(case, used, style, debugger=names.debugger)
    if "handle_exit" in used and not names.debugger:
        out += _HANDLE_EXIT
    elif "handle_exit" in used:
        out += _HANDLE_EXIT_FOR_DEBUGGER
    if not used.isdisjoint({"handle_mmio", "handle_exit"}):
        out = [*devices.definitions(case, names), *out]
    return out


_HANDLE_EXIT: Final = [
    *comment("What the VMM does of itself after an exit"),
    *function(
        "static void handle_exit(bool skip_brk)",
        [
            "if (!result && run->exit_reason == KVM_EXIT_MMIO)",
            "\thandle_mmio();",
            "if (skip_brk && debug_class() == ESR_EC_BRK64)",
            "\tskip_instruction();",
        ],
    ),
    "",
]
_HANDLE_EXIT_FOR_DEBUGGER: Final = [
    *comment("What the VMM does of itself after an exit"),
    *function(
        "static void handle_exit(bool skip_brk)",
        [
            "told = is_told();",
            "if (!result && run->exit_reason == KVM_EXIT_MMIO)",
            "\thandle_mmio();",
            "if (told)",
            "\tstop_stepping();",
            "if (!told && is_for_the_guest())",
            "\tgive_to_the_guest();",
            "else if (skip_brk && debug_class() == ESR_EC_BRK64)",
            "\tskip_instruction();",
        ],
    ),
    "",
]


def _enter(style: Style, *, debugger: bool, signals: bool) -> list[str]:
    once = [
        "setitimer(ITIMER_REAL, &limit, NULL);",
        style.enter,
        "setitimer(ITIMER_REAL, &off, NULL);",
        "run->immediate_exit = 0;",
        *(["take_signal();"] if signals else []),
    ]
    if not debugger:
        return once
    return [
        "do {",
        "\tkicked = kick;",
        "\tkick = false;",
        "\trun->immediate_exit = kicked;",
        *(f"\t{line}" for line in once),
        "} while (kicked && result == -EINTR);",
    ]


def _run_vcpu(case: Case, used: set[str], style: Style, *, debugger: bool) -> list[str]:
    limit = round(case.limits.seconds * _SECOND)
    seconds, rest = divmod(limit, _SECOND)
    value = [f".it_value.tv_sec = {seconds},"] if seconds else []
    value += [f".it_value.tv_usec = {rest},"] if rest else []
    hooks: list[str] = []
    declared: list[str] = []
    if "when_run" in used:
        declared += [*comment("Called after each exit"), "static void (*when_run)(void);", ""]
        hooks += ["if (when_run)", "\twhen_run();"]
    if "when_told" in used:
        declared += comment("Called when a debugger is told of an exit")
        declared += ["static void (*when_told)(int nr);", "static int nr_stops;", ""]
        hooks += ["if (when_told && is_told())", "\twhen_told(nr_stops++);"]
    over, again = "is_over()", []
    if GOES_ON in used:
        declared += comment("The VMM acts after an exit that ends a run without actions")
        declared += [f"static bool {GOES_ON};", ""]
        over, again = f"is_over() && !{GOES_ON}", [f"{GOES_ON} = false;"]
    return [
        *declared,
        *comment("The next exit; a run that does not end in time is interrupted"),
        *function(
            "static void run_vcpu(void)",
            [
                "static const struct itimerval limit = {",
                *(f"\t{line}" for line in value),
                f"\t.it_interval.tv_usec = {_AGAIN},",
                "};",
                "static const struct itimerval off;",
                *(["bool kicked;"] if debugger else []),
                "",
                f"if ({over}) {{",
                "\tprint_exit();",
                '\tfail("another exit was expected after exit %d", nr_exits - 1);',
                "}",
                *again,
                *(["resume();"] if debugger else []),
                *_enter(style, debugger=debugger, signals="pend_signal" in used),
                "exit_pc = get_reg(REG_PC);",
                "nr_exits++;",
                *hooks,
            ],
        ),
        "",
    ]


def _main(subject: Subject, style: Style) -> list[str]:
    branches = subject.branches
    body = [*style.begin]
    if not (subject.condition or any(branch.condition for branch in branches)):
        return [*function("int main(void)", [*body, *_run(subject, branches[0]), "pass();"]), ""]
    if subject.condition:
        terms = subject.condition.split(" || ")
        body += [*joined(terms, "if (!(", "))", "||"), _NOTHING]
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
        body += ["", nothing, _NOTHING]
    body += ["", "set_up();"]
    if refusing:
        refused = _refused_at_last(subject)
        brace, end = (" {", ["}"]) if len(refused) > 1 else ("", [])
        body += [f"if (expected_refusal){brace}", *(f"\t{line}" for line in refused), *end]
    local = ["uint64_t kernel = running_kernel();", "void (*test)(void) = NULL;", ""]
    return [*function("int main(void)", [*local, *body, "test();", "pass();"]), ""]


_NOTHING: Final = '\tskip("nothing is expected of this kernel");'
_NOT_REFUSED: Final = 'fail("KVM did not refuse: %s was expected", strerror(expected_refusal));'


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
