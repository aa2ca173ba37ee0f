"""The command `course`: exit statuses, one-line errors, and a table that reads well in 80 columns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from support import ROOT, fill, reads, reference, small_repository, submission

from course_utils import notebooks, release
from course_utils.measurements import LAB, MEASURED

NAME = "01-sums"
COURSE = Path(sys.executable).parent / "course"


def course(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a pipe, as a script would."""
    env = {**os.environ, "COLUMNS": "80"}
    return subprocess.run([COURSE, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose one assignment is released."""
    root = small_repository(tmp_path_factory.mktemp("repository"))
    made = release.build(root, NAME)
    release.write_atomically(root / "exercises" / NAME / f"{NAME}.ipynb", made.student)
    return root


def notebook(root: Path, tmp_path: Path, cells: dict[str, str]) -> Path:
    made = release.build(root, NAME)
    path = tmp_path / "mine.ipynb"
    nbformat.write(fill(reads(made.student), {**reference(made), **cells}), path)
    return path


def one_line(done: subprocess.CompletedProcess[str], status: int, said: str) -> None:
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"course: {said}")
    assert done.stderr.count("\n") == 1


def test_version_and_help(tmp_path: Path) -> None:
    assert course("--version", cwd=tmp_path).stdout == f"course {notebooks.package_version()}\n"
    shown = course("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert "release" in shown.stdout
    assert course(cwd=tmp_path).returncode == 2


def test_release_writes_and_check_agrees(tmp_path: Path) -> None:
    root = small_repository(tmp_path)
    missing = course("release", "--check", cwd=root)
    one_line(missing, 1, f"exercises/{NAME}/{NAME}.ipynb is missing: run `course release {NAME}`")
    done = course("release", cwd=root / "solutions")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"exercises/{NAME}/{NAME}.ipynb: 2 problems, reference 100, stub 0\n"
    done = course("release", "--check", cwd=root)
    assert (done.returncode, done.stdout) == (0, "exercises/ is up to date (1 assignment)\n")


def test_a_refused_source_is_one_line_and_status_1(tmp_path: Path) -> None:
    text = (small_repository(tmp_path / "kept") / "solutions" / NAME / f"{NAME}.md").read_text()
    root = small_repository(tmp_path / "broken", text.replace("points: 20", "points: 21", 1))
    one_line(course("release", cwd=root), 1, f"{NAME}: the automatic points add up to 101, not to 100")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("release", "09-none"), 2, f"no assignment '09-none' in solutions/; there are: {NAME}"),
        (("check", "none.ipynb"), 2, "none.ipynb: there is no such file; the course's notebooks are in exercises/"),
        (("check", f"solutions/{NAME}/{NAME}.md"), 2, f"solutions/{NAME}/{NAME}.md: not a notebook, or a damaged one"),
        (("check",), 2, "Missing argument"),
        (("release", "--chekc"), 2, "No such option: --chekc"),
        (("relaese",), 2, "No such command 'relaese'."),
    ],
)
def test_misuse_is_one_line_and_status_2(root: Path, words: tuple[str, ...], status: int, said: str) -> None:
    one_line(course(*words, cwd=root), status, said)


def test_debug_shows_the_traceback(root: Path) -> None:
    done = course("check", "none.ipynb", "--debug", cwd=root)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "UnreadableError" in done.stderr


def test_check_of_right_answers(root: Path, tmp_path: Path) -> None:
    done = course("check", notebook(root, tmp_path, {}), cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 problems pass their visible tests: 40 of 40 points so far." in done.stdout
    assert "60 more are" in done.stdout


def test_check_of_wrong_answers_fits_into_80_columns(root: Path, tmp_path: Path) -> None:
    words = "the mean is a number that " + "lies between the smallest and the largest " * 3
    cells = {"mean": f'def mean(numbers):\n    raise AssertionError("{words}[bold]")\nimport statistics'}
    done = course("check", notebook(root, tmp_path, cells), cwd=root)
    assert (done.returncode, done.stderr) == (1, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    for said in ("0 of 20", "Fails", "Passes", "[bold]", "statistics is forbidden", "1 of 2 problems"):
        assert said in done.stdout
    assert "\x1b" not in done.stdout


def test_a_dying_kernel_is_one_line_and_status_1(root: Path, tmp_path: Path) -> None:
    path = notebook(root, tmp_path, {"mean": "import os\nos._exit(1)"})
    one_line(course("check", path, cwd=root), 1, f"{path}: the kernel died in cell 'mean'")


# --- course measure ---


@pytest.fixture(scope="module")
def lab() -> release.Released:
    return release.build(ROOT, LAB)


def lab_notebook(made: release.Released, folder: Path, cells: dict[str, str]) -> Path:
    path = folder / f"{LAB}.ipynb"
    nbformat.write(submission(made, cells), path)
    return path


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("none.ipynb",), 2, "none.ipynb: there is no such file; the course's notebooks are in exercises/"),
        (("none.ipynb", "--device", "tpu"), 2, "no device 'tpu': there are cpu and cuda"),
        (
            (f"exercises/{NAME}/{NAME}.ipynb",),
            1,
            f"exercises/{NAME}/{NAME}.ipynb: this is {NAME}; only {LAB}",
        ),
    ],
)
def test_what_cannot_be_measured_is_one_line(root: Path, words: tuple[str, ...], status: int, said: str) -> None:
    one_line(course("measure", *words, cwd=root), status, said)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (
            "def absorb(*_):\n    raise NotImplementedError()\nfinish = absorb",
            f"cell '{MEASURED}' (problem 1) is not written yet",
        ),
        ("print('{}')\nimport sys\nsys.stdout.flush()\n1 / 0", f"cell '{MEASURED}' stopped with ZeroDivisionError"),
        ("import os\nos._exit(3)", "the process that measures died: out of memory, or a call of exit()"),
        ("%time x = 1", f"cell '{MEASURED}' is not plain Python (line 1)"),
    ],
)
def test_code_that_cannot_be_measured_is_one_line_and_leaves_no_record(
    lab: release.Released, tmp_path: Path, cell: str, said: str
) -> None:
    path = lab_notebook(lab, tmp_path, {MEASURED: cell})
    one_line(course("measure", path.name, cwd=tmp_path), 1, said)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_ctrl_c_leaves_no_measuring_process_behind(lab: release.Released, tmp_path: Path) -> None:
    said = tmp_path / "pid"
    waiting = f"import os, threading\nopen({str(said)!r}, 'w').write(f'{{os.getpid()}} ')\nthreading.Event().wait()"
    path = lab_notebook(lab, tmp_path, {MEASURED: waiting})
    running = subprocess.Popen([COURSE, "measure", path], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: said.exists() and said.read_text().endswith(" "))
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert (running.returncode, stderr) == (130, "course: interrupted; nothing was left half-written\n")
    wait_for(lambda: not Path("/proc", said.read_text().strip()).exists())
    assert sorted(item.name for item in tmp_path.iterdir()) == [path.name, "pid"]


def test_ctrl_c_leaves_no_kernel_behind(root: Path, tmp_path: Path) -> None:
    """The cell writes its kernel's process id and waits; once it is there, the command is interrupted."""
    said = tmp_path / "pid"
    waiting = f"import os, threading\nopen({str(said)!r}, 'w').write(f'{{os.getpid()}} ')\nthreading.Event().wait()"
    path = notebook(root, tmp_path, {"mean": waiting})
    running = subprocess.Popen([COURSE, "check", path], cwd=root, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: said.exists() and said.read_text().endswith(" "))
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert (running.returncode, stderr) == (130, "course: interrupted; nothing was left half-written\n")
    wait_for(lambda: not Path("/proc", said.read_text().strip()).exists())
    assert sorted(item.name for item in tmp_path.iterdir()) == ["mine.ipynb", "pid"]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something that another process does has happened; a minute is only the guard."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
