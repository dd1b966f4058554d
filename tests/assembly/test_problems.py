"""What is wrong with a source is said at its place, all of it."""

from __future__ import annotations

import contextlib

import pytest
from vcpu_scenario.assembly.assemble import AssemblerError, Problem, assemble_with
from vcpu_scenario.assembly.assemblers import Assembler
from vcpu_scenario.assembly.source import prepare

BASE = 0x4000_0000


def problems(assembler: Assembler, source: str, base: int = BASE) -> tuple[Problem, ...]:
    with pytest.raises(AssemblerError) as raised:
        assemble_with(assembler, source, base)
    return raised.value.problems


def places(found: tuple[Problem, ...]) -> list[tuple[int, int]]:
    return [(problem.line, problem.column) for problem in found]


def test_every_unknown_mnemonic_is_reported_at_its_own_column(assembler: Assembler) -> None:
    source = 'nop\n  foo x1; bar x2 // c\nlab: zork\n  .asciz "ü; é" ; quux x1\n'
    found = problems(assembler, source)
    assert places(found) == [(2, 3), (2, 11), (3, 6), (4, 19)]
    assert all("mnemonic" in problem.message for problem in found)


def test_an_operand_that_does_not_fit_is_within_its_statement(assembler: Assembler) -> None:
    (found,) = problems(assembler, "nop\nnop; add x0, x0, #99999\n")
    assert found.line == 2
    assert 6 <= found.column <= 18


def test_an_undefined_symbol_is_named_where_it_is_used(assembler: Assembler) -> None:
    source = "start: nop; bl strat\n ldr x0, =nowhere\n .quad start, other\n"
    assert problems(assembler, source) == (
        Problem(1, 16, "`strat` is not defined", "did you mean `start`?"),
        Problem(2, 11, "`nowhere` is not defined"),
        Problem(3, 15, "`other` is not defined"),
    )


def test_an_undefined_numeric_label_is_found(assembler: Assembler) -> None:
    assert places(problems(assembler, "3: nop\n b 3b\n b 3f\n")) == [(3, 4)]


def test_a_bad_literal_is_reported_at_its_expression(assembler: Assembler) -> None:
    (found,) = problems(assembler, "nop\n ldr x0, =1 2\n nop\n")
    assert (found.line, found.column) == (2, 11)


def test_a_fault_in_a_macro_is_placed_in_the_macro_or_at_its_use(assembler: Assembler) -> None:
    found = problems(assembler, ".macro m\n  zork\n.endm\nnop\n  m\n")
    assert places(found) in ([(2, 3)], [(5, 3)])


def test_files_are_not_included(assembler: Assembler) -> None:
    found = problems(assembler, '.include "x"\n nop; .incbin "y"\n')
    assert places(found) == [(1, 1), (2, 7)]
    assert "`.incbin` is not supported" in found[1].message


def test_an_address_less_aligned_than_the_code_is_refused(assembler: Assembler) -> None:
    (found,) = problems(assembler, "nop\n  .balign 2048\nret\n", BASE + 0x400)
    assert (found.line, found.column) == (2, 3)
    assert "0x40000400, which is not a multiple of 2048" in found.message
    (found,) = problems(assembler, "ldr x0, =0x123456789\n", BASE + 4)
    assert "not a multiple of 8" in found.message


def test_a_length_beyond_reason_is_refused(assembler: Assembler) -> None:
    for length in ("0x2000000", "0x100000000"):
        (found,) = problems(assembler, f"nop\n.space {length}\n")
        assert "larger than" in found.message


def test_a_target_out_of_reach_is_refused(assembler: Assembler) -> None:
    (found,) = problems(assembler, ".global far\nnop\ntbz x0, #1, far\n.space 0x10000\nfar: ret\n")
    assert found.line == 3


def test_a_datum_that_does_not_fit_is_refused(assembler: Assembler) -> None:
    found = problems(assembler, ".byte 255\n.long 0x100000000\n  .byte 256\n")
    assert [problem.line for problem in found] == [2, 3]


def test_an_unfinished_block_is_an_error(assembler: Assembler) -> None:
    assert problems(assembler, "nop\n.if 1\nnop\n")
    assert problems(assembler, ".macro m\nnop\n")


def test_the_message_of_the_error_holds_them_all(assembler: Assembler) -> None:
    with pytest.raises(AssemblerError, match=r"1:1: .*mnemonic.*; 2:2: .*mnemonic"):
        assemble_with(assembler, "foo\n bar\n", BASE)


def test_a_statement_far_to_the_right_is_told_where_it_is(assembler: Assembler) -> None:
    source = "nop;" * 50 + " frob x1"
    (problem,) = problems(assembler, source)
    assert problem.line == 1
    assert problem.column == len(source) - len("frob x1") + 1


def test_what_stands_before_a_statement_is_not_repeated_for_each() -> None:
    """The text for the assembler grows as the source does, however long its lines are."""
    sizes = [len(prepare("nop;" * count).text) for count in (1000, 2000)]
    assert sizes[1] < 2.2 * sizes[0]


@pytest.mark.parametrize("kind", ["%1", "%2", "%4", "%9", "%11", "%17", "%18"])
@pytest.mark.parametrize("name", ["foo", ".rela.text", ".symtab", ".strtab"])
def test_a_section_of_a_false_type_is_no_fault_of_the_runner(
    assembler: Assembler, name: str, kind: str
) -> None:
    with contextlib.suppress(AssemblerError):
        assemble_with(assembler, f'nop\n.section {name}, "", {kind}\n.byte 1\n', BASE)


def test_an_object_file_that_cannot_be_read_is_told(assembler: Assembler) -> None:
    (found,) = problems(assembler, '.section foo, "", %2\n.byte 1\n')
    assert found.message == "the assembler's object file cannot be read"
    assert found.hint.startswith("does a `.section` have a type that is not its own?")
