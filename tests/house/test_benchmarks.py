"""The benchmarks measure what users have: their inputs are made of what ships."""

from pathlib import Path

import pytest
from vcpu_scenario import loads
from vcpu_scenario.cli.check import check
from vcpu_scenario.cli.status import Status

from benchmarks.__main__ import matrix_scenario
from benchmarks.loading import templates, write


def test_the_matrix_that_is_timed_is_a_scenario() -> None:
    assert len(loads(matrix_scenario()).cases(["6.12"])) == 2_000


@pytest.mark.slow
def test_what_the_benchmark_of_loading_makes_are_scenarios(tmp_path: Path) -> None:
    write(tmp_path, len(list(templates())))
    assert check([str(tmp_path)]) is Status.OK
