"""The guest gets every module that its agent imports."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path, PurePosixPath

import pytest
import vcpu_scenario
from vcpu_scenario.interchange.cases import case_to_json
from vcpu_scenario.interchange.traces import trace_to_json
from vcpu_scenario.machine.real.lab import bytecode, initramfs, userland
from vcpu_scenario.machine.real.lab.cpio import Archive
from vcpu_scenario.recordings.jobs import jobs

from .conftest import Debian
from .test_cpio import entries
from .test_kernels import quiet

PROJECT = Path(vcpu_scenario.__file__).parent
RECORDED = Path(__file__).parents[1] / "recorded/core.json.xz"
LIBRARIES = PROJECT / "machine/real/lab/guestlib"

_IMPORT = """
import json, sys
sys.path[:0] = sys.argv[1:]
import vcpu_scenario.vmm.agent
print(json.dumps([getattr(module, "__file__", None) for module in sys.modules.values()]))
"""


@pytest.fixture(scope="module")
def imported() -> list[Path]:
    """The files of all modules that are loaded once the agent is."""
    command = [sys.executable, "-ISB", "-c", _IMPORT, str(LIBRARIES), str(PROJECT.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [Path(file) for file in json.loads(done.stdout) if file is not None]


def names(archive: bytes) -> set[str]:
    return {name for name, *_ in entries(archive)}


def test_the_projects_modules_are_all_taken(imported: list[Path], tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.write_bytes(b"")
    taken = names(initramfs.initramfs(base))
    known = [file for file in imported if not file.is_relative_to(LIBRARIES)]
    ours = [file.relative_to(PROJECT) for file in known if file.is_relative_to(PROJECT)]
    assert ours
    assert {f"lab/vcpu_scenario/{file.as_posix()}" for file in ours} <= taken
    assert {"lab/init.py", "lab/msgspec/__init__.py", "lab/msgspec/structs.py"} <= taken


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the guest's Python is 3.11")
def test_the_standard_librarys_modules_are_all_taken(imported: list[Path]) -> None:
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    used = [
        PurePosixPath(file.relative_to(stdlib))
        for file in imported
        if file.suffix == ".py" and file.is_relative_to(stdlib)
    ]
    assert used
    assert [str(file) for file in used if not userland._wanted_of_stdlib(file)] == []


def test_it_follows_the_userland_at_a_multiple_of_four(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.write_bytes(b"12345")
    made = initramfs.initramfs(base)
    assert made[:8] == b"12345\0\0\0"
    assert made[8:14] == b"070701"


def test_bytecode_is_taken_as_it_is_where_the_releases_agree(tmp_path: Path) -> None:
    source = b"VALUE = 6 * 7\n"
    made = bytecode.compiled("lab/answer.py", source)
    if sys.version_info[:2] != (3, 11):
        assert made is None
        return
    assert made is not None
    path, content = made
    assert path == "lab/__pycache__/answer.cpython-311.pyc"
    (tmp_path / "answer.py").write_text("VALUE = 'compiled again'\n")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "answer.cpython-311.pyc").write_bytes(content)
    command = [sys.executable, "-c", "import answer; print(answer.VALUE)"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout == "42\n"


def test_source_that_does_not_compile_is_taken_without() -> None:
    assert bytecode.compiled("lib2to3/tests/data/bad.py", b"print 'python 2'") is None


def offer_python(debian: Debian) -> None:
    files = {
        "python3.11-minimal": {"usr/bin/python3.11": "ELF", "usr/share/doc/readme": "no"},
        "libpython3.11-minimal": {
            "usr/lib/python3.11/os.py": "pass",
            "usr/lib/python3.11/encodings/utf_8.py": "pass",
        },
        "libpython3.11-stdlib": {
            "usr/lib/python3.11/tkinter/__init__.py": "pass",
            "usr/lib/python3.11/lib-dynload/_ctypes.cpython-311-aarch64-linux-gnu.so": "ELF",
            "usr/lib/python3.11/lib-dynload/_sqlite3.cpython-311-aarch64-linux-gnu.so": "ELF",
        },
        "libc6": {
            "lib/aarch64-linux-gnu/libc.so.6": "ELF",
            "lib/ld-linux-aarch64.so.1": "-> aarch64-linux-gnu/ld-linux-aarch64.so.1",
        },
        "libexpat1": {
            "usr/lib/aarch64-linux-gnu/libexpat.so.1": "-> libexpat.so.1.8.10",
            "usr/lib/aarch64-linux-gnu/libexpat.so.1.8.10": "ELF",
        },
        "libffi8": {"usr/lib/aarch64-linux-gnu/libffi.so.8.1.2": "ELF"},
        "zlib1g": {"lib/aarch64-linux-gnu/libz.so.1.2.13": "ELF"},
    }
    for name, held in files.items():
        debian.holds(name, "1.0", held)


@pytest.mark.slow
def test_the_userland_is_an_interpreter_and_what_it_needs(debian: Debian) -> None:
    offer_python(debian)
    made = userland.archive(progress=quiet)
    found = {name: (mode, content) for name, mode, content, _ in entries(made.read_bytes())}
    assert found["usr/bin/python3"][1] == b"python3.11"
    assert found["usr/bin/python3.11"] == (0o100755, b"ELF")
    assert found["usr/lib/aarch64-linux-gnu/libexpat.so.1"][1] == b"libexpat.so.1.8.10"
    assert {"usr/lib/python3.11/os.py", "usr/lib/python3.11/encodings/utf_8.py"} <= set(found)
    assert [name for name in found if "ctypes" in name]
    assert not [name for name in found if "tkinter" in name or "sqlite" in name or "doc" in name]
    assert "dev/console" in found


@pytest.mark.slow
def test_the_userland_is_made_once(debian: Debian) -> None:
    offer_python(debian)
    made = userland.archive(progress=quiet)
    before = len(debian.asked())
    assert userland.archive(progress=quiet) == made
    assert len(debian.asked()) == before


@pytest.mark.slow
def test_a_mirror_without_python_is_told(debian: Debian) -> None:
    with pytest.raises(Exception, match="no package libc6 in bookworm"):
        userland.archive(progress=quiet)


def test_linux_is_told_what_to_start() -> None:
    command = initramfs.COMMAND.split()
    assert command[0] == "rdinit=/usr/bin/python3"
    assert command[command.index("--") + 1 :] == ["-ISB", "/lab/init.py"]


def test_an_archive_of_ones_own_can_take_the_userlands_place(tmp_path: Path) -> None:
    own = Archive()
    own.file("usr/bin/python3", b"ELF", executable=True)
    base = tmp_path / "own"
    archive = own.finish()
    base.write_bytes(archive)
    made = initramfs.initramfs(base)
    assert names(made) == {"usr", "usr/bin", "usr/bin/python3"}
    assert "lab/init.py" in names(made[len(archive) :])


_THERE_AND_BACK = """
import json, sys
sys.path[:0] = sys.argv[1:]
from vcpu_scenario.interchange.cases import case_from_json, case_to_json
from vcpu_scenario.interchange.traces import trace_from_json, trace_to_json
for line in sys.stdin:
    case, trace = json.loads(line)
    print(json.dumps([case_to_json(case_from_json(case)), trace_to_json(trace_from_json(trace))]))
"""


def test_cases_and_traces_are_in_the_guest_what_they_are_outside() -> None:
    recorded = list(jobs(RECORDED))
    said = [
        [case_to_json(job.case), trace_to_json(each.trace)]
        for job in recorded
        for each in job.traces[:1]
    ]
    done = subprocess.run(
        [sys.executable, "-ISB", "-c", _THERE_AND_BACK, str(LIBRARIES), str(PROJECT.parent)],
        input="\n".join(map(json.dumps, said)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(said) == 52
    assert [json.loads(line) for line in done.stdout.splitlines()] == json.loads(json.dumps(said))
