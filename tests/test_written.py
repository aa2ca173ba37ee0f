"""Answers in words: what their source must hold, what students see of it, and that a person's points stay."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from support import ROOT, SMALL, WRITTEN, fill, points, reads, reference, small_repository

from course_utils import release
from course_utils.grading import report
from course_utils.grading.feedback import write_feedback
from course_utils.grading.gradebook import Book, Score
from course_utils.grading.grader import Grader, Task
from course_utils.grading.records import Graded, Submission
from course_utils.notebooks import grade_id, is_written, points_of
from course_utils.release import ReleaseError
from course_utils.selfcheck import check

NAME = "01-sums"
SECRETS = ("Marking scheme", "6 points", "zero divided by zero", "SOLUTION")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_repository(tmp_path_factory.mktemp("repository"), WRITTEN)


@pytest.fixture(scope="module")
def made(root: Path) -> release.Released:
    return release.build(root, NAME)


def handed_in(made: release.Released, why: str) -> NotebookNode:
    return fill(reads(made.student), {**reference(made), "why": why})


# --- the source ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"written": true', '"written": false', "cell 'why': an answer in words is a Markdown cell with course meta"),
        ('"problem": "why", ', "", "cell 'why': a solution cell needs course metadata `problem`"),
        ('"grade": true, "grade_id": "why"', '"grade": false, "grade_id": "why"', "cell 'why': a written problem is"),
        ('"points": 10, ', "", "cell 'why': a graded cell needs `points`"),
        ("- 4 points: the", "- 3 points: the", "cell 'why': its marking scheme adds up to 9 points, the cell has 10"),
        ("- 6 points: the sum\n- 4 points: the", "Ten for the", "cell 'why': its solution region has no marking"),
        ("### BEGIN SOLUTION\nA sum", "A sum", "cell 'why': ### END SOLUTION in line 7 has no BEGIN"),
        (
            '"problem": "why"',
            '"problem": "mean"',
            "cell 'mean': its problem 'mean' is written, and one cell only: 'why'",
        ),
    ],
)
def test_a_fault_of_a_written_problem_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in WRITTEN
    with pytest.raises(ReleaseError) as refusal:
        release.build(small_repository(tmp_path, WRITTEN.replace(old, new)), NAME)
    assert str(refusal.value).startswith(f"{NAME}: {said}")
    assert "\n" not in str(refusal.value)


def test_its_points_come_on_top_and_its_scheme_stays_with_the_instructor(made: release.Released) -> None:
    assert [(problem.name, problem.written) for problem in made.problems][2] == ("why", {"why": 10})
    assert sum(points(made).values()) == 100
    given = made.student.decode()
    assert [secret for secret in SECRETS if secret in given] == []
    assert all(secret in made.instructor.decode() for secret in SECRETS)
    (cell,) = filter(is_written, reads(made.student).cells)
    assert (cell.cell_type, cell.source, points_of(cell)) == ("markdown", "YOUR ANSWER HERE", 10)


def test_an_assignment_without_one_is_released_as_before(tmp_path: Path) -> None:
    made = release.build(small_repository(tmp_path, SMALL), NAME)
    assert {tuple(sorted(each)) for each in _released(made)} == {("hidden", "name", "solutions", "title", "visible")}


def _released(made: release.Released) -> list[dict[str, object]]:
    return json.loads(made.student)["metadata"]["course"]["problems"]


# --- the student --------------------------------------------------------------------------------------------------


def test_the_self_check_says_who_grades_it(made: release.Released, tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.ipynb"
    nbformat.write(handed_in(made, "Because of the sum."), path)
    found = check(path)
    last = found.results[-1]
    assert (last.status, last.written, last.available, last.hidden) == ("graded by a person", 10, 0, 0)
    assert (found.passed, found.warnings) == (True, [])


@pytest.mark.parametrize("answer", ["YOUR ANSWER HERE", "", " \n"])
def test_the_self_check_misses_an_answer(made: release.Released, tmp_path: Path, answer: str) -> None:
    nb = handed_in(made, answer)
    nb.cells = [cell for cell in nb.cells if cell.cell_type == "markdown"]  # nothing to run: a kernel takes seconds
    nb.metadata.course.problems = nb.metadata.course.problems[2:]
    path = tmp_path / f"{NAME}.ipynb"
    nbformat.write(nb, path)
    found = check(path)
    assert [(result.status, result.message) for result in found.results] == [("not written yet", "")]
    assert not found.passed


# --- the grader ---------------------------------------------------------------------------------------------------


def changed_into(kind: str, nb: NotebookNode) -> NotebookNode:
    """What a slip of the keyboard in JupyterLab does to the answer."""
    for place, cell in enumerate(nb.cells):
        if grade_id(cell) == "why":
            made = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_raw_cell
            nb.cells[place] = made(cell.source, metadata=cell.metadata, id=cell.id)
    return nb


@pytest.fixture(scope="module")
def records(root: Path, made: release.Released) -> dict[str, Graded]:
    """Who wrote something, who did not, who wrote into another kind of cell, and who took the cell out."""
    gone = handed_in(made, "")
    gone.cells = [cell for cell in gone.cells if grade_id(cell) != "why"]
    notebooks = {
        "ann": handed_in(made, "A sum of nothing, [and](javascript:x) 0/0."),
        "bob": handed_in(made, "YOUR ANSWER HERE"),
        "cod": changed_into("code", handed_in(made, "In a code cell.")),
        "raw": changed_into("raw", handed_in(made, "In a raw cell.")),
        "out": gone,
    }
    task = Task.of(root, NAME)
    with Grader() as grader:
        return {
            student: grader.grade(task, Submission(student, nbformat.writes(nb).encode()))
            for student, nb in notebooks.items()
        }


@pytest.fixture
def book(tmp_path: Path, made: release.Released, records: dict[str, Graded]) -> Book:
    with Book(tmp_path) as book:
        book.register(NAME, reads(made.instructor))
        for student, record in records.items():
            book.write(record, f"of {student}")
        return book


def scores(book: Book) -> dict[str, Score]:
    return {score.student: score for score in book.scores(NAME)}


def test_what_was_written_waits_for_a_person_in_whatever_cell_it_stands(book: Book) -> None:
    assert {student: (score.score, score.pending) for student, score in scores(book).items()} == {
        "ann": (100, True),
        "bob": (100, False),
        "cod": (100, True),
        "raw": (100, True),
        "out": (100, False),
    }
    assert {score.max_score for score in scores(book).values()} == {110}


def test_a_person_reads_what_was_written_as_markdown(records: dict[str, Graded]) -> None:
    for student, words in (("ann", "A sum of nothing"), ("cod", "In a code cell."), ("raw", "In a raw cell.")):
        (cell,) = filter(is_written, nbformat.reads(records[student].notebook, as_version=4).cells)
        assert cell.cell_type == "markdown"
        assert words in cell.source
    assert "cell 'why' was turned into a code cell" in records["cod"].notes
    assert "solution cell 'why' is missing" in records["out"].notes


def test_a_persons_points_stay_when_it_is_graded_again(book: Book, records: dict[str, Graded]) -> None:
    with Gradebook(book.url) as stock:
        grade = stock.find_grade("why", NAME, NAME, "ann")
        grade.manual_score, grade.needs_manual_grade = 7.5, False
        stock.db.commit()
    for _ in range(2):
        assert (scores(book)["ann"].score, scores(book)["ann"].pending) == (107.5, False)
        book.write(records["ann"], "again")


def test_the_report_and_the_feedback_show_it(book: Book, made: release.Released) -> None:
    lines = report.csv_text(list(scores(book).values()), made.problems).splitlines()
    assert lines[0].endswith(",mean,spread,why,pending_review,unsafe,notes")
    assert lines[1].endswith(",50,50,0,yes,no,0")
    page = write_feedback(book.course, NAME, ["ann"])[0].read_text(encoding="utf-8")
    assert "A sum of nothing" in page
    assert "javascript:x" not in page
    assert [secret for secret in SECRETS[:3] if secret in page] == []  # the last stands in the code handed in


# --- the course's own ---------------------------------------------------------------------------------------------


def test_the_course_has_two_of_ten_points_each() -> None:
    found = {name: release.build(ROOT, name).problems[-1].written for name in release.assignments(ROOT)}
    assert sorted(sum(each.values()) for each in found.values() if each) == [10, 10]
