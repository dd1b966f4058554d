"""The benchmarks measure what users have: their inputs are made of what ships."""

from pathlib import Path

import pytest
from vcpu_scenario.cli.check import check
from vcpu_scenario.cli.status import Status

from benchmarks.loading import templates, write


@pytest.mark.slow
def test_what_the_benchmark_of_loading_makes_are_scenarios(tmp_path: Path) -> None:
    write(tmp_path, len(list(templates())))
    assert check([str(tmp_path)]) is Status.OK
