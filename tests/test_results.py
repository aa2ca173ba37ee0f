"""`course report` and `course similar` on a class that was graded: every form, twice the same, nothing hidden."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from support import points, reads, small_repository, submission

from course_utils import release
from course_utils.cli.teaching import FORMS
from course_utils.grading.feedback import SHORTEST_LEAK, _parted
from course_utils.grading.gradebook import Book
from course_utils.grading.platforms import PlatformError
from course_utils.grading.records import Graded, Verdict
from course_utils.grading.results import show_report, show_similar
from course_utils.notebooks import course_of

NAME = "01-sums"
COURSE = Path(sys.executable).parent / "course"
ONE_WAY = """def mean(numbers):
    total = 0
    for number in numbers:
        total = total + number
    return total / len(numbers)"""
ANSWERS = {
    "ann": {},
    "kim": {"mean": ONE_WAY},
    "lee": {"mean": ONE_WAY.replace("total", "s")},
    "max": {"mean": "def mean(numbers):\n    raise KeyError('=1+1')"},
    'o\'hara, "bo"': {
        "mean": "def mean(numbers):\n    return numbers[999]",
        "spread": "def spread(numbers):\n    return 2",
    },
    "=1+1": {
        "mean": "def mean(numbers):\n    return 2.5",
        "spread": "import traceback\nspread = traceback.format_stack",
    },
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def made(root: Path) -> release.Released:
    return release.build(root, NAME)


@pytest.fixture(scope="module")
def graded(root: Path, made: release.Released, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class of seven, one of them refused, with the addresses and numbers that platforms ask for."""
    folder = tmp_path_factory.mktemp("course")
    contents = {student: json.dumps(submission(made, cells)) for student, cells in ANSWERS.items()}
    for student, content in {**contents, "broken": "{"}.items():
        path = folder / "submitted" / student / NAME / f"{NAME}.ipynb"
        release.write_atomically(path, content.encode())
    with (folder / "students.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [(student, f"s{number}@example.org", 100 + number) for number, student in enumerate(ANSWERS)]
        csv.writer(file).writerows([("id", "email", "lms_user_id"), *rows])
    assert course(root, "grade", NAME, "--course", folder, "--workers", 2).returncode == 0
    return folder


def course(root: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in (COURSE, *words)]
    env = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=300)


def written(root: Path, folder: Path, path: Path, form: str) -> str:
    """What a form gives, in a file."""
    console = Console(file=io.StringIO(), width=400)  # a path is one line
    if form == "similar":
        show_similar(root, NAME, folder, "", path, console)
    else:
        show_report(root, NAME, folder, "", form, path, console)
    assert console.file.getvalue().splitlines()[-1] == f"Written: {path}"  # type: ignore[attr-defined]
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", [*FORMS, "similar"])
def test_every_form_is_twice_the_same_and_shows_no_hidden_test(root, made, graded, tmp_path: Path, form: str) -> None:
    text = written(root, graded, tmp_path / "1", form)
    assert text == written(root, graded, tmp_path / "2", form)
    hidden = _parted("\n".join(cell.source for cell in reads(made.instructor).cells))[0]
    code = [line for line in hidden if len(line) >= SHORTEST_LEAK and not line.startswith("###")]
    assert len(code) == 8
    assert not [line for line in code if line in text]
    assert "broken" in text or form in ("canvas", "moodle", "similar")


def test_messages_are_those_of_the_tests(root, made, graded, tmp_path: Path) -> None:
    text = written(root, graded, tmp_path / "page", "html")
    assert "the mean of seven numbers" in text  # a hidden test may say what it found
    assert "KeyError" in text
    assert any(course_of(cell).get("tests") == "hidden" for cell in reads(made.instructor).cells)


def test_platforms_get_everybody_who_is_done(root, graded, capsys: pytest.CaptureFixture[str]) -> None:
    show_report(root, NAME, graded, "", "canvas", None, Console(file=io.StringIO()))
    out, err = capsys.readouterr()
    rows = list(csv.reader(io.StringIO(out)))
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("Student", "ID", NAME),
        ("    Points Possible", "", "100"),
        ("'=1+1", "105", "20"),
        *(("ann", "100", "100"), ("kim", "101", "100"), ("lee", "102", "100"), ("max", "103", "50")),
        ('o\'hara, "bo"', "104", "20"),
    ]
    assert err.startswith("course: 1 of 7 are pending review and left out: ")


def test_numbers_read_from_ids_are_said(root, made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Book(tmp_path) as book:
        book.register(NAME, reads(made.instructor))
        book.write(Graded("hokim_12345", NAME, tuple(Verdict(name, True) for name in points(made))), "f")
    text = written(root, tmp_path, tmp_path / "out", "canvas")
    assert text.splitlines()[2:] == ["hokim_12345,12345,,,,100"]
    assert capsys.readouterr().err.endswith("the ends of ids, as Canvas's zip gives them: hokim_12345\n")
    written(root, tmp_path, tmp_path / "out", "table")
    assert capsys.readouterr().err == ""


def test_a_class_of_nobody_has_all_forms(root, tmp_path: Path) -> None:
    with Book(tmp_path):
        pass
    for form in [*FORMS, "similar"]:
        assert written(root, tmp_path, tmp_path / "out", form)


@pytest.mark.parametrize("form", ["canvas", "moodle"])
def test_whom_a_platform_does_not_know_is_said_in_one_line(root, graded, tmp_path: Path, form: str) -> None:
    (tmp_path / "gradebook.db").write_bytes((graded / "gradebook.db").read_bytes())
    with pytest.raises(PlatformError, match=r"which is not known of =1.1, ann, kim and 3 more: give it in "):
        written(root, tmp_path, tmp_path / "out", form)
    assert not (tmp_path / "out").exists()


def test_the_commands_reach_them(root, graded, tmp_path: Path) -> None:
    done = course(root, "similar", NAME, "--course", graded, "--output", tmp_path / "pairs.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 compared: pairs to look at, no findings" in done.stdout
    first = next(line.split() for line in done.stdout.splitlines() if "%" in line)
    assert first == ["100%", "kim", "and", "lee", "mean"]
    assert "<h2 id=" in (tmp_path / "pairs.html").read_text(encoding="utf-8")
    done = course(root, "report", NAME, "--course", graded, "--format", "csv", "--output", graded)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"course: {graded} is a folder: name a file with --output\n"


def test_an_unknown_form_is_one_line(root) -> None:
    done = course(root, "report", NAME, "--format", "pdf")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "course: no format 'pdf': there are table, csv, html, canvas, moodle\n"
