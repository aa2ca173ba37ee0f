"""`course grade` on a whole class: what is graded, what is graded again, and that nothing is lost on the way."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgresql import Server
from rich.console import Console
from support import SMALL, small_repository, stub, submission

from course_utils import release
from course_utils.grading import commands
from course_utils.grading.gradebook import Book
from course_utils.grading.grader import Task
from course_utils.grading.records import Submission
from course_utils.grading.schedule import ScheduleError, grade_all, workers
from course_utils.overlay import OverlayError

NAME = "01-sums"
COURSE = Path(sys.executable).parent / "course"
WRONG_MEAN = {"mean": "def mean(numbers):\n    return 0.0"}
WRONG_SPREAD = {"spread": "def spread(numbers):\n    return 2"}
KOREAN = '김민준 [2] "o\'b"'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def made(root: Path) -> release.Released:
    return release.build(root, NAME)


def hand_in(folder: Path, student: str, content: str) -> None:
    path = folder / "submitted" / student / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def a_class(folder: Path, made: release.Released, size: int) -> Path:
    """Students who in turn are right, wrong in one problem, wrong in the other, and have written nothing."""
    answers = [{}, WRONG_MEAN, WRONG_SPREAD, stub(made)]
    for number in range(size):
        hand_in(folder, f"s{number:03}", json.dumps(submission(made, answers[number % 4])))
    return folder


def start(root: Path, *words: object) -> subprocess.Popen[str]:
    command = [str(word) for word in (COURSE, *words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=root, env={**os.environ, "COLUMNS": "200"}, start_new_session=True, **pipes)


def one_is_graded(process: subprocess.Popen[str]) -> None:
    """Wait for the first student's line."""
    assert process.stdout is not None
    assert any(line.startswith("s0") for line in iter(process.stdout.readline, "")), process.communicate()


def course(root: Path, *words: object) -> tuple[int, str, str]:
    with start(root, *words) as process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def grade(root: Path, folder: Path, *words: object) -> str:
    status, out, err = course(root, "grade", NAME, "--course", folder, *words)
    assert (status, err) == (0, ""), err
    return out


def exported(root: Path, folder: Path) -> str:
    status, out, err = course(root, "report", NAME, "--course", folder, "--format", "csv")
    assert (status, err) == (0, "")
    return out


def test_a_class_is_graded_and_only_what_changed_is_graded_again(root: Path, made, tmp_path: Path) -> None:
    a_class(tmp_path, made, 4)
    hand_in(tmp_path, KOREAN, json.dumps(submission(made, {})))
    hand_in(tmp_path, "broken", "{")
    out = grade(root, tmp_path, "--workers", 2)
    assert "6 to grade, 0 graded before" in out
    assert "1 pending review" in out
    table = exported(root, tmp_path)
    for student, points in (("s000", 100), ("s001", 50), ("s002", 70), ("s003", 0), ("broken", 0)):
        assert f"\n{NAME},{student},,0,{points},100," in table, table
    assert '김민준 [2] ""o\'b"""' in table
    assert "0 to grade, 6 graded before and unchanged" in grade(root, tmp_path)
    hand_in(tmp_path, "s003", json.dumps(submission(made, {})))
    hand_in(tmp_path, "broken", json.dumps(submission(made, WRONG_MEAN)))
    assert "2 to grade, 4 graded before" in grade(root, tmp_path)
    assert f"\n{NAME},s003,,0,100,100," in exported(root, tmp_path)
    assert f"\n{NAME},broken,,0,50,100,0,50,0,50,no," in exported(root, tmp_path)
    assert "1 to grade, 0 graded before" in grade(root, tmp_path, "--regrade", "--student", KOREAN)
    # Whom only students.csv names has handed in nothing; its letters may be put together in another way.
    listed = unicodedata.normalize("NFD", KOREAN).replace('"', '""')
    (tmp_path / "students.csv").write_text(f'id\nzoe\n"{listed}"\n', encoding="utf-8")
    status, term, _ = course(root, "report", "--course", tmp_path, "--format", "csv")
    assert (status, term.splitlines()[0]) == (
        0,
        "student,01-sums,total,dropped,not_handed_in,not_graded,pending_review",
    )
    assert "\ns001,50,50,,,,\n" in term
    assert "\nzoe,0,0,,01-sums,,\n" in term
    assert term.count("\n") == 8
    assert course(root, "feedback", NAME, "--course", tmp_path)[0] == 0
    assert (tmp_path / "feedback" / KOREAN / NAME / f"{NAME}.html").is_file()


def session(pid: int) -> set[int]:
    """The processes of a session, zombies left out."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == pid and fields[0] != "Z":
            found.add(int(path.parent.name))
    return found


def until_empty(pid: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while session(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_killed_at_ten_moments_it_goes_on_where_it_was(root: Path, made, tmp_path: Path) -> None:
    """SIGKILL after a random number of lines; the exported grades are those of a run that nobody disturbed."""
    calm, killed = (a_class(tmp_path / name, made, 50) for name in ("calm", "killed"))
    grade(root, calm, "--workers", 2)
    chance = random.Random(20)
    for _ in range(10):
        with start(root, "grade", NAME, "--course", killed, "--workers", 2) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(14)):
                process.stdout.readline()
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert until_empty(process.pid), "processes were left behind"
    out = grade(root, killed, "--workers", 2)
    assert " 0 graded before" not in out
    assert exported(root, killed) == exported(root, calm)


def test_three_instructors_at_once_lose_nothing(root: Path, made, tmp_path: Path, db: str) -> None:
    """Two grade the same assignment, one another; nobody has made the gradebook before."""
    other = "02-sums"
    with contextlib.suppress(FileExistsError):
        (root / "solutions" / other).mkdir()
        source = (root / "solutions" / NAME / f"{NAME}.md").read_text(encoding="utf-8")
        (root / "solutions" / other / f"{other}.md").write_text(source, encoding="utf-8")
    a_class(tmp_path, made, 4)
    for student in (tmp_path / "submitted").iterdir():
        text = (student / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8").replace(NAME, other)
        (student / other).mkdir()
        (student / other / f"{other}.ipynb").write_text(text, encoding="utf-8")
    where = ("--course", tmp_path, *(("--db", db) if db else ()))
    together = [start(root, "grade", name, *where, "--workers", 1) for name in (NAME, NAME, other)]
    for process in together:
        out, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, ""), out
        assert "4 to grade" in out or "graded before" in out
        assert f"Gradebook: {'postgresql+psycopg://teacher:***@' if db else tmp_path}" in out
    for name in (NAME, other):
        status, table, err = course(root, "report", name, *where, "--format", "csv")
        assert (status, err) == (0, "")
        assert [line.split(",")[1:5:3] for line in table.splitlines()[1:]] == [
            ["s000", "100"], ["s001", "50"], ["s002", "70"], ["s003", "0"],
        ]  # fmt: skip


def test_a_database_that_goes_away_in_the_middle_is_one_line_and_the_next_run_goes_on(
    root: Path, made, tmp_path: Path, postgres: Server
) -> None:
    a_class(tmp_path, made, 8)
    where = ("--course", tmp_path, "--db", postgres.emptied(), "--workers", 2)
    with start(root, "grade", NAME, *where) as process:
        one_is_graded(process)
        postgres.stop()
        _, said = process.communicate()
    postgres.start()
    assert process.returncode == 1
    assert said.startswith("course: gradebook postgresql+psycopg://teacher:***@/emptied")
    assert said.count("\n") == 1, said
    status, out, err = course(root, "grade", NAME, *where)
    assert (status, err) == (0, "")
    assert "0 graded before" not in out
    assert course(root, "report", NAME, *where[:4], "--format", "csv")[1].count(f"\n{NAME},s0") == 8


def test_another_grader_beside_it_takes_nothing_from_it(root: Path, made, tmp_path: Path) -> None:
    folder = a_class(tmp_path, made, 1)
    with socket.socket() as taken:  # where Dask would like to show its dashboard
        with contextlib.suppress(OSError):
            taken.bind(("", 8787))
        taken.listen()
        assert "1 to grade" in grade(root, folder)


class ByHand:
    """A Dask scheduler and workers, each a process of its own as one starts them in terminals."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []
        self.scheduler = self.dask("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard")
        self.wait_for("Scheduler at:")
        self.address = re.findall(r"Scheduler at: +(\S+)", self.log())[0]

    def dask(self, *words: object, path: str = "") -> subprocess.Popen[bytes]:
        before = os.pathsep.join(filter(None, (path, os.environ.get("PYTHONPATH"))))
        with open(self.folder / "dask.log", "ab") as log:
            command = [str(word) for word in (COURSE.with_name("dask"), *words)]
            env = {**os.environ, "PYTHONPATH": before}
            self.processes.append(subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log))
        return self.processes[-1]

    def worker(self, path: Path | str = "") -> subprocess.Popen[bytes]:
        words = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", self.folder)
        count = self.log().count("Registered to:")
        started = self.dask("worker", self.address, *words, path=str(path))
        self.wait_for("Registered to:", count)
        return started

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        count = self.log().count("Remove worker")
        worker.kill()
        self.wait_for("Remove worker", count)

    def log(self) -> str:
        return (self.folder / "dask.log").read_text(encoding="utf-8")

    def wait_for(self, words: str, count: int = 0) -> None:
        """Wait until the log has said it more often."""
        deadline = time.monotonic() + 60
        while self.log().count(words) <= count:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[ByHand]:
    dask = ByHand(tmp_path)
    yield dask
    dask.end()


def test_local_workers_or_a_scheduler_by_hand_one_worker_killed_give_the_same_grades(
    root: Path, made, tmp_path: Path, by_hand: ByHand
) -> None:
    one, killed = (a_class(tmp_path / name, made, 30) for name in ("one", "killed"))
    grade(root, one, "--workers", 1)
    first, _ = by_hand.worker(), by_hand.worker()
    process = start(root, "grade", NAME, "--course", killed, "--scheduler", by_hand.address)
    with process:
        one_is_graded(process)
        first.kill()
        process.communicate()
    assert process.returncode == 0
    assert exported(root, killed) == exported(root, one)


OTHER = """
from importlib import metadata
original = metadata.version
metadata.version = lambda name: "9.9" if name == "torch" else original(name)
"""


def test_a_scheduler_that_cannot_grade_is_one_line(root: Path, made, tmp_path: Path, by_hand: ByHand) -> None:
    """Without workers; with one that has another torch; with one that lacks the grader; when it goes away."""

    handed_in = [Submission(f"s{n}", json.dumps(submission(made, {})).encode()) for n in range(6)]

    def grading() -> None:
        with workers(1, by_hand.address) as client:
            for _ in grade_all(client, Task.of(root, NAME), handed_in):
                by_hand.scheduler.kill()

    def said() -> str:
        with pytest.raises(ScheduleError) as caught:
            grading()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "has no workers: start some with `dask worker`" in said()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sitecustomize.py").write_text(OTHER)
    odd = by_hand.worker(tmp_path / "other")
    assert "has torch 9.9, here it is " in said()
    by_hand.kill(odd)
    (tmp_path / "lacking" / "course_utils").mkdir(parents=True)
    (tmp_path / "lacking" / "course_utils" / "__init__.py").write_text("")
    odd = by_hand.worker(tmp_path / "lacking")
    assert "a worker cannot grade (ModuleNotFoundError" in said()
    by_hand.kill(odd)
    by_hand.worker()
    assert "the scheduler or its last worker went away: start them again" in said()


def test_many_workers_take_every_submission_once(root: Path, made) -> None:
    task = Task.of(root, NAME)
    handed_in = [Submission(f"s{n}", json.dumps(submission(made, {})).encode()) for n in range(23)]
    with workers(6) as client:
        found = [(one.student, graded.student) for one, graded in grade_all(client, task, handed_in)]
    assert sorted(found) == sorted((one.student, one.student) for one in handed_in)


# --- the overlay, and who is who ---


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose graded cells may take a second each."""
    text = SMALL.replace("  title: Two small sums\n", "  title: Two small sums\n  limits: {cell_cpu_seconds: 1}\n")
    return small_repository(tmp_path_factory.mktemp("strict"), text)


BROKEN = {
    'assert meen([1.0]) == 1.0, "x"': "NameError: name 'meen' is not defined",
    'assert mean([1.0]) == 2.0, "two\\nlines"': "two lines",
    "assert mean([1.0]) == 2.0": "loses mean-hidden: mend it",
    "raise SystemExit(3)": "SystemExit: 3",
    "import os; os._exit(3)": "it exited with status 3",
    "while True: pass": "1 s of CPU time",
}


def test_whatever_an_overlay_does_to_the_reference_is_one_line(strict: Path, tmp_path: Path) -> None:
    with workers(1) as client:
        for code, said in BROKEN.items():
            release.write_atomically(tmp_path / NAME / "mean.py", code.encode())
            with pytest.raises(OverlayError) as caught:
                commands._require_reference(client, Task.of(strict, NAME, tmp_path), tmp_path)
            assert str(caught.value).startswith(f"{tmp_path}: the reference itself loses mean-hidden")
            assert said in str(caught.value)
            assert str(caught.value).endswith(f": mend it, then `course release {NAME} --overlay {tmp_path}`")
            assert "\n" not in str(caught.value)


def test_an_overlay_that_takes_points_from_the_reference_records_nothing(root: Path, made, tmp_path: Path) -> None:
    folder = a_class(tmp_path / "course", made, 2)
    release.write_atomically(tmp_path / "private" / NAME / "mean.py", b"raise SystemExit")
    (folder / "course.toml").write_text('overlay = "../private"')
    said = refused(root, "grade", NAME, "--course", folder)
    assert ": the reference itself loses mean-hidden: SystemExit: mend it, then `course release " in said
    with Book(folder) as book:
        assert (book.people(), book.assignments()) == ({}, [])
    assert not (folder / "autograded").exists()


def test_a_sound_overlay_grades_and_what_is_graded_needs_no_reference(
    root: Path, made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = a_class(tmp_path / "course", made, 2)
    release.write_atomically(tmp_path / "private" / NAME / "spread.py", b"assert spread([1, 11]) == 10")
    assert "2 to grade, 0 graded before" in graded_here(root, course, overlay=tmp_path / "private")
    monkeypatch.setattr(commands, "_require_reference", None)
    assert "0 to grade, 2 graded before" in graded_here(root, course, overlay=tmp_path / "private")
    with Book(course) as book:
        assert {score.student: score.total for score in book.scores(NAME)} == {"s000": 100, "s001": 50}


def graded_here(root: Path, folder: Path, **options: Any) -> str:
    """What `course grade` prints, in this process."""
    console = Console(record=True, width=300, file=io.StringIO())
    commands.grade(commands.Order(root, NAME, folder, workers=1, **options), console)
    return console.export_text()


def test_new_ids_that_are_known_but_for_a_number_are_told_once(root: Path, made, tmp_path: Path) -> None:
    """Ann becomes two in a later zip of Moodle's, and two others there; bo_1 is Canvas's; c_1 and c_2 are two."""
    hand_in(tmp_path, "Ann", "{")
    hand_in(tmp_path, "bo_1", "{")
    hand_in(tmp_path, "c_1", "{")
    assert "Note" not in graded_here(root, tmp_path)
    hand_in(tmp_path, "bo", "{")
    hand_in(tmp_path, "c_2", "{")
    words = "new beside a student in the gradebook; if they are the same, their grades do not add up"
    assert f"Note: bo (bo_1?): {words}\n" in graded_here(root, tmp_path)
    for archive, numbers, said in (("one.zip", (11, 12), "Ann_11 (Ann?), Ann_12 (Ann?)"), ("two.zip", (21, 22), "")):
        with zipfile.ZipFile(tmp_path / archive, "w") as made_of:
            for number in numbers:
                made_of.writestr(f"Ann_{number}_assignsubmission_file_/{NAME}.ipynb", "{")
                made_of.writestr(f"Dan_{number}_assignsubmission_file_/{NAME}.ipynb", "{")
        said = said or "Ann_21 (Ann?), Ann_22 (Ann?), Dan_21 (Dan_11?), Dan_22 (Dan_11?)"
        assert f"Note: {said}: {words}\n" in graded_here(root, tmp_path, archive=tmp_path / archive)
        assert words not in graded_here(root, tmp_path, archive=tmp_path / archive)


# --- what is wrong is said in one line ---


def refused(root: Path, *words: object) -> str:
    status, _, err = course(root, *words)
    assert status in (1, 2)
    assert err.startswith("course: ")
    assert err.count("\n") == 1, err
    return err


def test_without_bubblewrap_it_refuses(root: Path, made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_class(tmp_path, made, 1)
    monkeypatch.setenv("PATH", str(COURSE.parent))
    assert "apt-get install bubblewrap" in refused(root, "grade", NAME, "--course", tmp_path)
    assert not (tmp_path / "autograded").exists()
    assert "1 graded" in grade(root, tmp_path, "--unsafe")
    assert ",yes," in exported(root, tmp_path)


@pytest.mark.parametrize("words", [("grade", NAME), ("report",), ("report", NAME), ("feedback", NAME)])
def test_a_half_written_course_toml_stops_every_command(
    root: Path, made, tmp_path: Path, words: tuple[str, ...]
) -> None:
    a_class(tmp_path, made, 1)
    (tmp_path / "course.toml").write_text("[assignments.01-sums]\ndue = 2026-10")
    said = refused(root, *words, "--course", tmp_path)
    assert f"{tmp_path / 'course.toml'}: is not complete TOML: " in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course.toml", "submitted"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("grade", "02-none"), "no assignment '02-none'"),
        (("grade", NAME, "--course", "nowhere"), "nowhere"),
        (("grade", NAME, "--archive", "nothing.zip"), "nothing.zip"),
        (("grade", NAME, "--scheduler", "localhost:8786"), "--scheduler: localhost:8786 is no address"),
        (("grade", NAME, "--scheduler", "tcp://127.0.0.1:1"), "no Dask scheduler answers at tcp://127.0.0.1:1"),
        (("grade", NAME, "--db", "sqlite:////proc/none.db"), "none.db"),
        (("grade", NAME, "--student", "nobody"), "nobody"),
        (("grade", NAME, "--workers", "-1"), "workers"),
        (("grade", NAME, "--overlay", "nowhere"), "nowhere: there is no such folder"),
        (("report", NAME, "--format", "xls"), "no format 'xls'"),
        (("feedback", NAME), "there is no gradebook"),
        (("report", NAME), "there is no gradebook"),
        (("report",), "there is no gradebook"),
        (("similar", NAME), "there is no gradebook"),
    ],
)
def test_bad_input_is_one_line(root: Path, made, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    a_class(tmp_path, made, 1)
    folder = () if "--course" in words else ("--course", tmp_path)
    assert said in refused(root, *words, *folder)
