"""The gradebook: what stock nbgrader would have recorded, all of a submission or nothing, and what is given by hand."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output
from nbgrader.api import Base, Gradebook, get_alembic_version
from nbgrader.preprocessors import ClearSolutions, ComputeChecksums, SaveAutoGrades, SaveCells
from sqlalchemy import create_engine
from sqlalchemy.exc import SAWarning
from support import reads, small_repository

from course_utils import release
from course_utils.grading import database, files
from course_utils.grading.database import GradebookError
from course_utils.grading.files import autograded_path
from course_utils.grading.gradebook import Book, Score
from course_utils.grading.records import Graded, Verdict

NAME = "01-sums"
POINTS = {"mean-visible": 20, "mean-hidden": 30, "spread-visible": 20, "spread-hidden": 30}
ESSAY = "essay"
STUB = "YOUR ANSWER HERE"


@pytest.fixture(scope="module")
def instructor(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The small assignment with a written answer of 10 points, which a person grades."""
    nb = reads(release.build(small_repository(tmp_path_factory.mktemp("repository")), NAME).instructor)
    nb.cells.append(essay("### BEGIN SOLUTION\nBecause.\n### END SOLUTION"))
    return nb


def essay(source: str) -> NotebookNode:
    role = {"grade": True, "solution": True, "locked": False, "task": False, "points": 10, "schema_version": 3}
    return new_markdown_cell(source, id=ESSAY, metadata={"nbgrader": {**role, "grade_id": ESSAY}})


@pytest.fixture
def course(tmp_path: Path) -> Path:
    (tmp_path / "course").mkdir()
    return tmp_path / "course"


@pytest.fixture
def book(course: Path, db: str, instructor: NotebookNode) -> Iterator[Book]:
    with Book(course, db) as opened:
        opened.register(NAME, instructor)
        yield opened


def graded(instructor: NotebookNode, student: str = "kim", lost: tuple[str, ...] = (), answer: str = STUB) -> Graded:
    """A record whose notebook stock nbgrader can judge too: a lost cell ends in an error."""
    nb = deepcopy(instructor)
    for cell in nb.cells:
        if cell.id in lost:
            cell.outputs = [new_output("error", ename="AssertionError", evalue="wrong", traceback=["wrong"])]
        if cell.id == ESSAY:
            cell.source = answer
    verdicts = tuple(Verdict(name, name not in lost, "wrong" if name in lost else "") for name in POINTS)
    return Graded(student, NAME, verdicts=verdicts, notebook=nbformat.writes(nb))


def only(book: Book) -> Score:
    (score,) = book.scores(NAME)
    return score


def by_hand(book: Book, cell: str, **values: object) -> None:
    """What an instructor does in the formgrader."""
    with Gradebook(book.url) as stock:
        grade = stock.find_grade(cell, NAME, NAME, "kim")
        for name, value in values.items():
            setattr(grade, name, value)
        grade.needs_manual_grade = False
        stock.db.commit()


# --- opening ------------------------------------------------------------------------------------------------------


def test_a_new_gradebook_is_nbgraders_own_without_alembic_on_path(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setenv("PATH", "")
        with Book(course) as book:
            url = book.url
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with sqlite3.connect(course / "gradebook.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(get_alembic_version(),)]
    connection.close()
    with Gradebook(url) as stock:
        assert stock.assignments == []


def not_a_database(path: Path) -> None:
    path.write_bytes(b"grades" * 1000)


def foreign(path: Path) -> None:
    execute(path, "CREATE TABLE recipes (name TEXT)")


def older(path: Path) -> None:
    whole(path)
    execute(path, "UPDATE alembic_version SET version_num = '167914646830'")


def newer(path: Path) -> None:
    whole(path)
    execute(path, "UPDATE alembic_version SET version_num = 'fedcba987654'")


def unknown(path: Path) -> None:
    whole(path)
    execute(path, "DELETE FROM alembic_version")
    execute(path, "ALTER TABLE student DROP COLUMN lms_user_id")


def whole(path: Path) -> None:
    with Book(path.parent):
        pass


def execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (not_a_database, "no SQLite database"),
        (foreign, "something else (recipes)"),
        (older, "`nbgrader db upgrade`"),
        (newer, "another nbgrader made it (version fedcba987654)"),
        (unknown, "another nbgrader made it (version None)"),
    ],
)
def test_what_is_no_gradebook_of_this_nbgrader_is_refused_and_left_alone(
    course: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(course / "gradebook.db")
    before = (course / "gradebook.db").read_bytes()
    with pytest.raises(GradebookError) as caught, Book(course):
        pass
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (course / "gradebook.db").read_bytes() == before


def test_tables_that_nbgrader_left_without_a_version_get_it(course: Path, instructor: NotebookNode) -> None:
    engine = create_engine(f"sqlite:///{course / 'gradebook.db'}")
    Base.metadata.create_all(engine)  # nbgrader's own first step, before it looks for alembic
    engine.dispose()
    for _ in range(2):
        with Book(course) as book:
            book.register(NAME, instructor)
    connection = sqlite3.connect(course / "gradebook.db")
    assert len(connection.execute("SELECT version_num FROM alembic_version").fetchall()) == 1
    connection.close()


def test_a_gradebook_is_made_whole_or_not_at_all(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(database, "GRADINGS", None)
        with pytest.raises(AttributeError), Book(course):
            pass
    connection = sqlite3.connect(course / "gradebook.db")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    whole(course / "gradebook.db")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////no/such/folder/gradebook.db", "there is no folder /no/such/folder"),
        ("sqlite:////proc/gradebook.db", "rights"),
        ("gradebook.db", "no database URL"),
        ("oracle+nodriver://host/name", "in SQLite or PostgreSQL, not in oracle"),
        ("postgresql+nodriver://host/name", "no database URL"),
    ],
)
def test_a_place_that_cannot_be_is_refused_in_one_line(course: Path, url: str, words: str) -> None:
    with pytest.raises(GradebookError, match=words) as caught, Book(course, url):
        pass
    assert "\n" not in str(caught.value)


def test_a_course_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GradebookError, match=r"there is no course folder .*nowhere"), Book(tmp_path / "nowhere"):
        pass


@pytest.mark.parametrize("url", ["", "sqlite:///{}/other.db"])
def test_one_that_is_only_to_be_read_is_not_made(course: Path, url: str) -> None:
    words = rf"there is no gradebook {course}/\w+\.db: grade first, or name the course folder"
    with pytest.raises(GradebookError, match=words), Book(course, url.format(course), new=False):
        pass
    assert list(course.iterdir()) == []
    whole(course / "gradebook.db")
    with Book(course, new=False) as book:
        assert book.assignments() == []


def test_a_read_only_gradebook_is_refused(course: Path) -> None:
    whole(course / "gradebook.db")
    url = f"sqlite:///file:{course / 'gradebook.db'}?mode=ro&uri=true"
    with pytest.raises(GradebookError, match="cannot be written: check the rights"), Book(course, url):
        pass


def test_a_locked_gradebook_is_waited_for_then_said(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole(course / "gradebook.db")
    monkeypatch.setattr(database, "WAIT", 0.01)
    other = sqlite3.connect(course / "gradebook.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(GradebookError, match="another program has kept it locked"), Book(course):
        pass
    other.close()
    whole(course / "gradebook.db")


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_full_disk_is_said_and_costs_only_that_submission(book: Book, instructor: NotebookNode) -> None:
    book.write(graded(instructor, "ann"), "f")
    with book.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the size that it has
    long = dataclasses.replace(graded(instructor), notes=("much" * 100_000,))
    with pytest.raises(GradebookError, match=r"the disk is full: make room"):
        book.write(long, "f")
    book.engine.dispose()
    assert list(book.done(NAME)) == ["ann"]
    book.write(long, "f")
    assert list(book.done(NAME)) == ["ann", "kim"]


def test_the_gradebook_of_another_course_is_refused(course: Path, db: str, instructor: NotebookNode) -> None:
    with Book(course, db) as book:
        book.check_course([NAME])  # an empty one is anybody's
        book.register(NAME, instructor)
        book.check_course([NAME, "02-other"])
        with pytest.raises(GradebookError, match=r"of another course \(it has 01-sums\): give this course's with --db"):
            book.check_course(["02-other"])


# --- registering --------------------------------------------------------------------------------------------------


def stock_register(url: str, instructor: NotebookNode) -> None:
    """What `nbgrader generate_assignment` does to the database."""
    with Gradebook(url) as stock:
        stock.update_or_create_assignment(NAME)
    nb = deepcopy(instructor)
    where = {"nbgrader": {"notebook": NAME, "assignment": NAME, "db_url": url}}
    for step in (ClearSolutions(), ComputeChecksums(), SaveCells()):
        nb, _ = step.preprocess(nb, where)


def known_cells(url: str) -> list[dict[str, object]]:
    with Gradebook(url) as stock:
        notebook = stock.find_notebook(NAME, NAME)
        parts = (notebook.grade_cells, notebook.solution_cells, notebook.task_cells, notebook.source_cells)
        cells = [{"kind": type(cell).__name__, **cell.to_dict()} for part in parts for cell in part]
    return sorted(({**cell, "id": ""} for cell in cells), key=repr)


def test_registering_is_what_generate_assignment_does_however_often(
    book: Book, instructor: NotebookNode, tmp_path: Path
) -> None:
    before = deepcopy(instructor)
    book.register(NAME, instructor)
    assert instructor == before
    (tmp_path / "other").mkdir()
    with Book(tmp_path / "other") as other:
        stock_register(other.url, instructor)
    assert known_cells(book.url) == known_cells(other.url)
    assert "SEED = 1234" in book.cells(NAME)["mean-hidden"].source
    assert "sum(numbers)" not in book.cells(NAME)["mean"].source


def test_a_changed_test_keeps_every_grade(book: Book, instructor: NotebookNode) -> None:
    book.write(graded(instructor, lost=("mean-hidden",)), "f")
    by_hand(book, "mean-hidden", manual_score=12.0)
    changed = deepcopy(instructor)
    for cell in changed.cells:
        if cell.id == "spread-hidden":
            cell.source = cell.source.replace("SEED = 7", "SEED = 8")
            cell.metadata.nbgrader.points = 31
    book.register(NAME, changed)
    assert "SEED = 8" in book.cells(NAME)["spread-hidden"].source
    assert only(book).points == {**POINTS, "mean-hidden": 12, ESSAY: 0}
    assert only(book).available == {**POINTS, "spread-hidden": 31, ESSAY: 10}


def test_cells_cannot_go_once_there_are_submissions(book: Book, instructor: NotebookNode) -> None:
    fewer = deepcopy(instructor)
    fewer.cells = [cell for cell in fewer.cells if cell.id != "mean-hidden"]
    book.register(NAME, fewer)
    assert "mean-hidden" not in book.cells(NAME)
    book.register(NAME, instructor)
    book.write(graded(instructor), "f")
    with pytest.raises(GradebookError, match=r"^01-sums: its source has other graded cells .* --db$"):
        book.register(NAME, fewer)
    assert only(book).score == 100


# --- grades -------------------------------------------------------------------------------------------------------


def stock_grade(url: str, nb: NotebookNode, stub: str) -> None:
    """What `nbgrader autograde` does to the database with a notebook that has been run."""
    nb = deepcopy(nb)
    for cell in nb.cells:
        if cell.id == ESSAY:  # OverwriteCells gives a submitted cell the checksum of the released one
            released = essay(stub)
            ComputeChecksums().preprocess_cell(released, {}, 0)
            cell.metadata.nbgrader.checksum = released.metadata.nbgrader.checksum
    with warnings.catch_warnings(), Gradebook(url) as stock:
        warnings.simplefilter("ignore", SAWarning)  # nbgrader's own, on every new submission
        stock.update_or_create_student("kim")
        stock.update_or_create_submission(NAME, "kim")
    SaveAutoGrades().preprocess(
        nb, {"nbgrader": {"notebook": NAME, "assignment": NAME, "student": "kim", "db_url": url}}
    )


def standing(url: str) -> dict[str, object]:
    with Gradebook(url) as stock:
        submission = stock.find_submission(NAME, "kim")
        grades = {grade.name: (grade.auto_score, grade.needs_manual_grade) for grade in submission.notebooks[0].grades}
        comments = {comment.name: comment.comment for comment in submission.notebooks[0].comments}
        return {"score": submission.score, "of": submission.max_score, "grades": grades, "comments": comments}


@pytest.mark.parametrize("answer", [STUB, "Because of the sum."])
@pytest.mark.parametrize("lost", [(), ("mean-hidden",), ("mean-visible", "spread-hidden"), tuple(POINTS)])
def test_grades_are_those_of_stock_nbgrader(
    book: Book, instructor: NotebookNode, tmp_path: Path, lost: tuple[str, ...], answer: str
) -> None:
    record = graded(instructor, lost=lost, answer=answer)
    book.write(record, "f")
    (tmp_path / "other").mkdir()
    with Book(tmp_path / "other") as other:
        stock_register(other.url, instructor)
    stock_grade(other.url, nbformat.reads(record.notebook, as_version=4), STUB)
    ours = standing(book.url)
    assert {**ours, "comments": {}} == {**standing(other.url), "comments": {}}
    assert ours["score"] == 100 - sum(POINTS[name] for name in lost)
    assert ours["comments"][ESSAY] == ("No response." if answer == STUB else None)
    assert only(book).pending == (answer != STUB)


def test_what_was_given_by_hand_stays_and_is_shown_again_only_where_it_judged_something_else(
    book: Book, instructor: NotebookNode
) -> None:
    book.write(graded(instructor, answer="First."), "f")
    by_hand(book, ESSAY, manual_score=7.0)
    by_hand(book, "mean-hidden", manual_score=1.0, extra_credit=2.0)
    with Gradebook(book.url) as stock:
        stock.find_comment("mean", NAME, NAME, "kim").manual_comment = "Well done"
        stock.db.commit()
    given = {**POINTS, "mean-hidden": 3.0, ESSAY: 7.0}
    for record, pending in [
        (graded(instructor, answer="First."), False),
        (graded(instructor, answer="Second."), True),
        (graded(instructor, answer="Second."), True),
    ]:
        book.write(record, "f")
        assert (only(book).points, only(book).pending) == (given, pending)
    by_hand(book, ESSAY)
    assert not only(book).pending
    book.write(graded(instructor, answer="Second.", lost=("mean-hidden",)), "f")
    assert (only(book).points, only(book).pending) == (given, True)
    assert standing(book.url)["comments"]["mean"] == "Well done"


def test_a_refused_submission_has_no_points_and_waits_for_a_person(book: Book, instructor: NotebookNode) -> None:
    book.write(graded(instructor), "f")
    book.write(Graded("kim", NAME, refusal="the file is no notebook"), "g")
    assert (only(book).score, only(book).max_score, only(book).pending) == (0, 110, True)
    assert "the file is no notebook" in nbformat.read(autograded_path(book.course, "kim", NAME), 4).cells[0].source
    book.write(graded(instructor), "h")
    assert (only(book).score, only(book).pending) == (100, False)


def test_verdicts_on_other_cells_are_refused_before_anything_is_written(book: Book, instructor: NotebookNode) -> None:
    record = graded(instructor)
    with pytest.raises(GradebookError, match=r"other cells than the gradebook has \(spread-hidden\)"):
        book.write(dataclasses.replace(record, verdicts=record.verdicts[:-1]), "f")
    assert book.scores(NAME) == []
    assert not (book.course / "autograded").exists()


@pytest.mark.parametrize("student", ["kim\x1b[2J", "kim\nlee"])
def test_no_error_hands_a_students_escape_sequences_on(
    book: Book, instructor: NotebookNode, student: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = dataclasses.replace(graded(instructor), student=student)
    with pytest.raises(GradebookError, match="other cells") as caught:
        book.write(dataclasses.replace(record, verdicts=record.verdicts[:-1]), "f")
    assert str(caught.value).isprintable()
    with pytest.raises(GradebookError, match="No such notebook: ") as caught:
        book.write(Graded("kim", student, refusal="late"), "f")
    assert str(caught.value).isprintable()

    def no_room(path: Path, _: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "write_atomically", no_room)
    with pytest.raises(GradebookError, match="No space left on device; nothing of this submission") as caught:
        book.write(record, "f")
    assert str(caught.value).isprintable()


def test_an_assignment_that_was_never_registered_is_said(book: Book) -> None:
    with pytest.raises(GradebookError, match="No such notebook: 02-other/02-other"):
        book.write(Graded("kim", "02-other", refusal="late"), "f")


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-03-01 12:00:00 Asia/Seoul\n", "2026-03-01T03:00:00"),
        ("2026-03-01 12:00:00.250000 UTC", "2026-03-01T12:00:00.250000"),
        ("", ""),
        ("yesterday, I think", ""),
        ("9" * 400, ""),
        ("1", ""),  # nbgrader would take the rest from the day on which it is asked
        ("10:00", ""),
        ("Monday 10:00:00 UTC", ""),
        ("2026-03", ""),
        ("12 March", ""),
    ],
)
def test_timestamps_are_read_as_nbgrader_reads_them(
    book: Book, instructor: NotebookNode, timestamp: str, expected: str
) -> None:
    book.write(graded(instructor), "f", "2020-01-01 00:00:00 UTC")
    book.write(graded(instructor), "f", timestamp)
    assert only(book).timestamp == expected
    path = autograded_path(book.course, "kim", NAME).with_name("timestamp.txt")
    assert (path.read_text(encoding="utf-8") if path.exists() else "") == timestamp


def test_late_seconds_count_from_the_due_date_and_its_extension(book: Book, instructor: NotebookNode) -> None:
    book.write(graded(instructor), "f", "2026-03-01 12:00:00 UTC")
    with Gradebook(book.url) as stock:
        stock.grant_extension(NAME, "kim", minutes=10)
        assert only(book).late_seconds == 0  # no due date: nbgrader itself would stop here
        stock.update_or_create_assignment(NAME, duedate="2026-03-01 11:00:00 UTC")
    assert only(book).late_seconds == 50 * 60


# --- files --------------------------------------------------------------------------------------------------------

ODD = ["김철수", "a b", "[x]*?", 'o\'hara "q"', "=1+1", "{student_id}", "-r", "x" * 120]


def test_any_name_that_a_folder_may_have_is_a_student(book: Book, instructor: NotebookNode) -> None:
    for student in ODD:
        book.write(graded(instructor, student), f"of {student}")
    assert book.done(NAME) == {student: f"of {student}" for student in ODD}
    assert [score.student for score in book.scores(NAME)] == sorted(ODD)
    assert {path.name for path in (book.course / "autograded").iterdir()} == set(ODD)


@pytest.mark.parametrize("student", ["", ".", "..", "../outside", "a/b", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(book: Book, instructor: NotebookNode, student: str) -> None:
    with pytest.raises(GradebookError, match="cannot be the name of a folder"):
        book.write(graded(instructor, student), "f")
    assert book.scores(NAME) == []


def test_the_log_says_what_was_found_and_used(book: Book, instructor: NotebookNode) -> None:
    record = dataclasses.replace(
        graded(instructor, lost=("mean-hidden",)),
        notes=("a cell was deleted",),
        unsafe=True,
        seconds=1.25,
        cpu_seconds=0.5,
        memory_bytes=3 << 20,
        starts=2,
    )
    book.write(record, "f", "2026-03-01 12:00:00 UTC")
    log = (book.course / "logs" / NAME / "kim.log").read_text(encoding="utf-8")
    for words in (
        "01-sums of kim, handed in 2026-03-01 12:00:00 UTC",
        "mean-visible: 20 of 20\nmean-hidden: 0 of 30\n    wrong\nspread-visible: 20 of 20\n",
        "note: a cell was deleted",
        "without a sandbox",
        "1.2 s, 0.5 s of CPU time, 3 MiB, 2 starts",
    ):
        assert words in log


def test_text_that_is_none_does_not_stop_a_class(book: Book, instructor: NotebookNode) -> None:
    record = graded(instructor, lost=("mean-hidden",))
    half = Verdict("mean-hidden", False, "half a letter: \ud800")
    book.write(dataclasses.replace(record, verdicts=(record.verdicts[0], half, *record.verdicts[2:])), "f")
    assert only(book).score == 70


def test_a_submission_that_was_removed_is_to_be_graded_again(book: Book, instructor: NotebookNode) -> None:
    for student in ("ann", "kim", "lee"):
        book.write(graded(instructor, student), "f")
    with Gradebook(book.url) as stock:
        stock.remove_submission(NAME, "ann")
    autograded_path(book.course, "kim", NAME).unlink()
    assert list(book.done(NAME)) == ["lee"]


def test_files_that_cannot_be_written_leave_nothing_recorded(book: Book, instructor: NotebookNode) -> None:
    (book.course / "logs").write_text("in the way", encoding="utf-8")
    with pytest.raises(GradebookError, match="nothing of this submission was recorded") as caught:
        book.write(graded(instructor), "f")
    assert "\n" not in str(caught.value)
    assert book.scores(NAME) == []


# Every change of a row is once the last before a kill; a fork for each, in a process that has no threads.
KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from sqlalchemy import event
from course_utils.grading.files import autograded_path
from course_utils.grading.gradebook import Book
from course_utils.grading.records import Graded

course, db = Path(sys.argv[1]), sys.argv[2]
old, new = (Graded.from_json(Path(path).read_text()) for path in sys.argv[3:])

def die(*ignored):
    os.kill(os.getpid(), signal.SIGKILL)

def write(stop):
    with Book(course, db) as book:
        left = [stop]
        def count(connection, cursor, statement, *ignored):
            if statement.startswith(("INSERT", "UPDATE", "DELETE")):
                left[0] -= 1
                left[0] or die()
        event.listen(book.engine, "after_cursor_execute", count)
        if stop == 0:
            event.listen(book.engine, "commit", die)
        for record in (new, replace(new, student="ann")):
            book.write(record, "new")

def state():
    with Book(course, db) as book:
        return book.done("01-sums"), {score.student: score.score for score in book.scores("01-sums")}

seen = []
for stop in range(1000):
    with Book(course, db) as book:
        book.write(old, "old")
    child = os.fork()
    if not child:
        write(stop)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    now = state()
    seen += [now] if now not in seen else []
    if stop == 0:
        assert '"new"' in autograded_path(course, "kim", "01-sums").read_text(), "its file comes first"
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
    if "ann" in now[1]:
        break
print(stop, seen)
"""


def test_a_kill_between_any_two_changes_leaves_all_of_a_submission_or_nothing(
    book: Book, db: str, instructor: NotebookNode, tmp_path: Path
) -> None:
    old, new = graded(instructor, lost=tuple(POINTS)), graded(instructor, answer="new")
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, record in zip(paths, (old, new), strict=True):
        path.write_text(record.to_json(), encoding="utf-8")
    book.engine.dispose()
    command = [sys.executable, "-W", "error", "-c", KILLED, book.course, db, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    stop, seen = done.stdout.split(" ", 1)
    before, first = ({"kim": "old"}, {"kim": 0.0}), ({"kim": "new"}, {"kim": 100.0})
    both = ({"ann": "new", "kim": "new"}, {"ann": 100.0, "kim": 100.0})
    assert seen.strip() == str([before, first, both])
    assert int(stop) > 10
