"""The run loop in C: the next exit, and what the VMM does of itself after one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from vcpu_scenario.case import Case, Device
from vcpu_scenario.export import devices
from vcpu_scenario.export.afterexit import GOES_ON
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.styles import Style
from vcpu_scenario.export.text import comment, function, identifier, joined
from vcpu_scenario.vmm.loop import TURN

_SECOND: Final = 1_000_000
_AGAIN: Final = 50_000
"""Microseconds between later alarms, should the first have come before the vCPU ran."""


def definitions(case: Case, names: Names, used: Collection[str], style: Style) -> list[str]:
    """What a program calls that uses the identifiers ``used``, as far as that depends on the
    scenario."""
    out: list[str] = []
    answers = not {"handle_mmio", "handle_exit"}.isdisjoint(used)
    if "run_vcpu" in used:
        consoles = [device for device in case.devices if device.console]
        answers |= bool(consoles)
        local, enter = _entering(case, used, style, debugger=names.debugger)
        if consoles:
            out += [*function("static void enter_vcpu(void)", [*local, "", *enter]), ""]
            out += _is_for_console(case, consoles)
            local, enter = [], _PAST_CONSOLES
        out += _run_vcpu(local, enter, used, debugger=names.debugger)
    if "handle_exit" in used:
        out += _HANDLE_EXIT_FOR_DEBUGGER if names.debugger else _HANDLE_EXIT
    return [*devices.definitions(case, names), *out] if answers else out


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


def _entering(
    case: Case, used: Collection[str], style: Style, *, debugger: bool
) -> tuple[list[str], list[str]]:
    """``KVM_RUN`` with an end: variables, and what is done."""
    by_turns = case.quantum is not None and case.vcpus > 1
    limit = TURN if by_turns else case.limits.seconds
    seconds, rest = divmod(round(limit * _SECOND), _SECOND)
    value = [f".it_value.tv_sec = {seconds},"] if seconds else []
    value += [f".it_value.tv_usec = {rest},"] if rest else []
    local = [
        "static const struct itimerval limit = {",
        *(f"\t{line}" for line in value),
        f"\t.it_interval.tv_usec = {_AGAIN},",
        "};",
        "static const struct itimerval off;",
    ]
    enter = [
        "setitimer(ITIMER_REAL, &limit, NULL);",
        style.enter,
        "setitimer(ITIMER_REAL, &off, NULL);",
        "run->immediate_exit = 0;",
        *(["take_signal();"] if "pend_signal" in used else []),
    ]
    if by_turns:
        local.append(f"int turns = {round(case.limits.seconds / TURN)};")
        again = "result == -EINTR && --turns && turn_to_next()"
        enter = ["do {", *(f"\t{line}" for line in enter), f"}} while ({again});"]
    if debugger:
        local.append("bool kicked;")
        enter = [
            "do {",
            "\tkicked = kick;",
            "\tkick = false;",
            "\trun->immediate_exit = kicked;",
            *(f"\t{line}" for line in enter),
            "} while (kicked && result == -EINTR);",
        ]
    return local, enter


_PAST_CONSOLES: Final = [
    "enter_vcpu();",
    "while (is_for_console()) {",
    "\thandle_mmio();",
    "\tenter_vcpu();",
    "}",
]


def _is_for_console(case: Case, consoles: Sequence[Device]) -> list[str]:
    at = "run->mmio.phys_addr - {}_BASE < {:#x}"
    places = [at.format(identifier(one.name).upper(), one.size) for one in consoles]
    return [
        *comment("An access to a console, which is answered and is no exit"),
        *function(
            "static bool is_for_console(void)",
            [
                f"static int left = {case.console_accesses};",
                "",
                "if (result || run->exit_reason != KVM_EXIT_MMIO)",
                "\treturn false;",
                *joined(places, "if (!(", "))", "||"),
                "\treturn false;",
                "return left-- > 0;",
            ],
        ),
        "",
    ]


def _run_vcpu(
    local: Sequence[str], enter: Sequence[str], used: Collection[str], *, debugger: bool
) -> list[str]:
    declared: list[str] = []
    hooks: list[str] = []
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
                *local,
                *([""] if local else []),
                f"if ({over}) {{",
                "\tprint_exit();",
                '\tfail("another exit was expected after exit %d", nr_exits - 1);',
                "}",
                *again,
                *(["resume();"] if debugger else []),
                *enter,
                "exit_pc = get_reg(REG_PC);",
                "nr_exits++;",
                *hooks,
            ],
        ),
        "",
    ]
