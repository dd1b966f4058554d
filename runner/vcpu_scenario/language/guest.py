"""What the vCPU runs: code, words, a flat binary, an ELF file or Linux, and its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from vcpu_scenario.assembly.assembled import Assembled, AssemblerError, NoAssembler
from vcpu_scenario.assembly.names import Names
from vcpu_scenario.case import Load
from vcpu_scenario.language.faultycode import Faulty
from vcpu_scenario.language.files import Folder
from vcpu_scenario.language.linux import DEFAULT_MEMORY, Tree, read_linux
from vcpu_scenario.language.nodes import Map, Node, Scalar
from vcpu_scenario.language.nodes import Sequence as Items
from vcpu_scenario.language.scope import IPA_LIMIT, PAGE, Scope
from vcpu_scenario.language.text import TextPlace
from vcpu_scenario.source import Span, quoted

DEFAULT_BASE: Final = 0x4000_0000

Assemble = Callable[[str, int, Names], Assembled]


class Program(Struct, frozen=True):
    """Guest code: its bytes, the names it brings, where it starts.

    ``lines`` maps the address of an instruction to the text it comes from; ``ok`` is off where
    the code could not be had, and its names are therefore not known. ``room`` is the size of the
    memory around it if the file says nothing of memory.
    """

    base: int = DEFAULT_BASE
    loads: tuple[Load, ...] = ()
    symbols: Mapping[str, int] = field(default_factory=dict)
    lines: Mapping[int, Span] = field(default_factory=dict)
    entry: int | None = None
    span: Span | None = None
    ok: bool = True
    linux: bool = False
    tree: Tree | None = None
    room: int = 1 << 20
    defined: frozenset[str] = frozenset()
    """Names that the code gives a meaning, where it could not be assembled."""
    movable: bool = False
    """It runs wherever it is loaded: an ELF file that is position-independent."""


class Sources(NamedTuple):
    """What reading a program takes: the assembler, the scenario's folder, the file's lines."""

    assemble: Assemble
    folder: Folder
    file_lines: Sequence[str]


def read_program(guest: Map, scope: Scope, sources: Sources) -> Program:
    """The program that the mapping ``guest`` describes, with its ``symbols`` added to its own."""
    forms = [(key, value) for key, value in guest.entries if key.text in _FORMS]
    reports = scope.problems.reports
    base = _base(guest.get("at"), scope)
    placed = scope.problems.reports == reports
    if not forms and guest.faulty:
        return _failed(base)
    if len(forms) != 1:
        scope.problems.add(
            "a guest has exactly one of code, words, binary, elf and linux",
            forms[1][0].span if forms else guest.span,
            found=", ".join(key.text for key, _ in forms) or "none of them",
        )
        return _failed(base)
    (key, value), at = forms[0], guest.key("at")
    program = _FORMS[key.text](value, base, scope, sources)
    if key.text == "elf" and at is not None and program.ok:
        _check_place(program, at, base, scope)
    tree = guest.get("device_tree")
    if tree is not None and not program.linux:
        program = replace(program, tree=Tree(scope.number(tree, high=IPA_LIMIT - PAGE)))
    elif tree is not None:
        scope.problems.add("a device tree has its place behind Linux", tree.span)
    program = replace(program, ok=program.ok and placed)
    return _with_symbols(program, guest.get("symbols"), scope, sources.folder)


def _check_place(program: Program, at: Scalar, base: int, scope: Scope) -> None:
    """Reports an ``at`` that an ELF file cannot be loaded at."""
    if not program.movable:
        scope.problems.add(
            "an ELF file brings its own addresses",
            at.span,
            help="leave `at` out, or link the file with -static-pie: that is loaded at `at`",
        )
    elif base % PAGE:
        scope.problems.add(
            "a position-independent ELF file is not aligned",
            at.span,
            found=f"{base:#x}",
            expected=f"a multiple of {PAGE:#x}",
        )


def _base(at: Node | None, scope: Scope) -> int:
    if at is None:
        return DEFAULT_BASE
    base = scope.number(at, high=IPA_LIMIT - 4)
    if base % 4:
        scope.problems.add(
            "the guest's code is not aligned",
            at.span,
            found=f"{base:#x}",
            expected="a multiple of 4",
        )
        return DEFAULT_BASE
    return base


def _failed(base: int) -> Program:
    return Program(base, ok=False)


def _code(node: Node, base: int, scope: Scope, sources: Sources) -> Program:
    assert isinstance(node, Scalar)
    place = TextPlace(node, sources.file_lines)
    try:
        assembled = sources.assemble(node.text, base, Names(scope.devices, scope.registers_of))
    except AssemblerError as error:
        code = Faulty(node.text, scope)
        for problem in error.problems:
            if not code.is_of_another_fault(problem):
                span = place.point(problem.line, problem.column)
                told = code.in_words(problem)
                scope.problems.add(f"assembler: {told.message}", span, help=told.hint)
        return replace(_failed(base), defined=code.defined)
    except NoAssembler as error:
        scope.problems.add("this code needs an assembler", node.span, found=str(error))
        return _failed(base)
    lines = place.lines(assembled.lines)
    if not assembled.code:
        scope.problems.add("the code is empty", node.span, expected="at least one instruction")
        return _failed(base)
    load = Load(base, assembled.code)
    return Program(base, (load,), assembled.symbols, lines, base, node.span)


def _words(node: Node, base: int, scope: Scope, sources: Sources) -> Program:
    assert isinstance(node, Items)
    words = [scope.word(item, 32) for item in node.items]
    code = b"".join(word.to_bytes(4, "little") for word in words)
    lines = {base + 4 * n: item.span for n, item in enumerate(node.items)}
    return Program(base, (Load(base, code),), {}, lines, base, node.span)


def _binary(node: Node, base: int, scope: Scope, sources: Sources) -> Program:
    assert isinstance(node, Scalar)
    code = sources.folder.read(node)
    if code is None:
        return _failed(base)
    if not code:
        scope.problems.add("the file is empty", node.span, expected="guest code")
        return _failed(base)
    return Program(base, (Load(base, code),), {}, {}, base, node.span)


def _elf(node: Node, base: int, scope: Scope, sources: Sources) -> Program:
    from vcpu_scenario.assembly.elf import read_elf
    from vcpu_scenario.assembly.refusal import NotAGuest

    assert isinstance(node, Scalar)
    raw = sources.folder.read(node)
    if raw is None:
        return _failed(base)
    try:
        image = read_elf(raw, base)
    except NotAGuest as fault:
        scope.problems.add(f"{quoted(node.text)} is no guest: {fault}", node.span)
        return _failed(base)
    last = max(load.end for load in image.loads)
    if last > IPA_LIMIT:
        scope.problems.add(
            "beyond the guest's physical address space",
            node.span,
            found=f"segments at {image.base:#x} to {last:#x}",
            expected=f"at most {IPA_LIMIT:#x}, 40 bits",
            help="give the segments physical addresses when linking: AT(...), or -Ttext=0x40000000",
        )
        return _failed(base)
    return Program(
        image.base,
        image.loads,
        image.symbols,
        {},
        image.entry,
        node.span,
        movable=image.movable,
    )


def _linux(node: Node, base: int, scope: Scope, sources: Sources) -> Program:
    assert isinstance(node, Map)
    found = read_linux(node, base, scope, sources.folder)
    if found is None:
        return _failed(base)
    return Program(
        base,
        found.loads,
        found.symbols,
        {},
        found.entry,
        node.span,
        linux=True,
        tree=found.tree,
        room=DEFAULT_MEMORY,
    )


_FORMS: Final[Mapping[str, Callable[[Node, int, Scope, Sources], Program]]] = {
    "code": _code,
    "words": _words,
    "binary": _binary,
    "elf": _elf,
    "linux": _linux,
}


def _with_symbols(program: Program, node: Node | None, scope: Scope, folder: Folder) -> Program:
    if isinstance(node, Scalar):
        return _with_symbols_of(program, node, scope, folder)
    if not isinstance(node, Map):
        return program
    symbols = dict(program.symbols)
    for key, value in node.entries:
        if key.text in symbols:
            scope.problems.add(f"the code already has a label {quoted(key.text)}", key.span)
        symbols[key.text] = scope.word(value)
    return replace(program, symbols=symbols)


def _with_symbols_of(program: Program, name: Scalar, scope: Scope, folder: Folder) -> Program:
    """The program with the names of a file, which has to agree with those that it has itself."""
    from vcpu_scenario.assembly.refusal import NotAGuest
    from vcpu_scenario.assembly.symbolfile import names_in

    data = folder.read(name)
    if data is None:
        return replace(program, ok=False)
    try:
        found = names_in(data, program.base & -PAGE if program.movable else program.base)
    except NotAGuest as fault:
        scope.problems.add(f"no symbols from {quoted(name.text)}: {fault}", name.span)
        return replace(program, ok=False)
    own = program.symbols
    # Linux has local names more than once, and System.map need not have the same of them first.
    other = next((key for key in own if found.get(key, own[key]) != own[key]), None)
    if other is not None and not program.linux:
        scope.problems.add(
            f"{quoted(name.text)} has another address for {quoted(other)} than the guest itself",
            name.span,
            found=f"{found[other]:#x}, and {own[other]:#x} in the guest",
            expected="the symbols of this guest",
        )
    return replace(program, symbols={**found, **own})
