"""nbgrader's gradebook as the grader keeps it: one writer, one transaction for one submission.

A submission's files (the autograded notebook, its log) are written before its rows are committed, so that whatever is
recorded has its files; a kill at any moment leaves all of a submission's rows or none. What was given by hand in
nbgrader's formgrader (scores, extra credit, comments) is never touched.

Due dates, extensions and penalties follow ``course.toml``. They are renewed whenever points are read or written, since
a person may have given more points, or a student more time, meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType

import nbgrader.apps  # noqa: F401 - first: nbgrader's packages import each other in a circle
from dateutil.parser import parse  # type: ignore[import-untyped]
from nbformat import NotebookNode
from nbgrader.api import (
    Assignment,
    BaseCell,
    Gradebook,
    GradeCell,
    Notebook,
    SolutionCell,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
    TaskCell,
)
from nbgrader.preprocessors import ClearSolutions, ComputeChecksums, SaveCells
from nbgrader.utils import parse_utc
from sqlalchemy import Engine, Row, select
from sqlalchemy.orm import Session, undefer, with_polymorphic

from course_utils.grading.database import (
    COURSE,
    GRADINGS,
    GradebookError,
    in_one_line,
    missing_file,
    open_engine,
    place,
)
from course_utils.grading.files import autograded_path, encoded, write_files
from course_utils.grading.lateness import Arrival, TermLateness, renew
from course_utils.grading.queries import grades_of, submissions_of
from course_utils.grading.records import Graded
from course_utils.grading.term import read_term
from course_utils.grading.untrusted import shown
from course_utils.notebooks import grade_id

SWITCHING = Path(".restoring", "switching")  # in a course folder, while `course restore` puts another state there
NO_RESPONSE = "No response."  # nbgrader's own comment on an answer that is still the stub


@dataclass(frozen=True)
class Cell:
    """A cell of an assignment as the gradebook knows it.

    Attributes:
        name: its grade_id.
        points: what it is worth; None where it is not graded.
        solution, task: whether the student writes in it; whether it is nbgrader's task cell.
        kind: ``code`` or ``markdown``.
        source: its text, hidden tests in, solutions cut out.
    """

    name: str
    points: float | None
    solution: bool
    task: bool
    kind: str
    source: str

    @property
    def by_hand(self) -> bool:
        """Whether a person grades it."""
        return self.solution or self.task or self.kind != "code"


@dataclass(frozen=True)
class Score:
    """One submission's points as they stand in nbgrader's tables, those given by hand included.

    Attributes:
        student, assignment: whose, and which.
        timestamp: when it was handed in, in UTC as ``2026-03-01T12:00:00``; empty where that is not known.
        late_seconds: how long after the due date, extensions counted.
        points, available: by grade_id: what it has, and what it could have.
        pending: whether a person has to look at it.
        record: how it was graded; None where `course grade` did not.
        penalty: points taken off for lateness, as nbgrader keeps them.
    """

    student: str
    assignment: str
    timestamp: str = ""
    late_seconds: float = 0.0
    points: Mapping[str, float] = field(default_factory=dict)
    available: Mapping[str, float] = field(default_factory=dict)
    pending: bool = False
    record: Graded | None = None
    penalty: float = 0.0

    @property
    def score(self) -> float:
        """All points together; exact, so that no order shows."""
        return math.fsum(self.points.values())

    @property
    def total(self) -> float:
        """What counts: the points less the penalty, never below zero, as in nbgrader's own export."""
        return max(0.0, self.score - self.penalty)

    @property
    def max_score(self) -> float:
        """All points that there are."""
        return math.fsum(self.available.values())


@dataclass(frozen=True)
class Person:
    """What nbgrader keeps of a student beside the id; empty where it was never given.

    Attributes:
        first_name, last_name, email: as anywhere.
        lms_user_id: what a learning platform knows the student by.
    """

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""


class _Within(Gradebook):
    """nbgrader's interface inside a transaction that is ours: what it commits is kept when ours is."""

    def __init__(self, session: Session) -> None:
        self.db, self.course_id, self.authenticator = session, COURSE, None


class Book:
    """The gradebook of a course folder: a context manager, and the only thing that writes to it.

    Args:
        course: nbgrader's course folder.
        url: the database as SQLAlchemy takes it; ``gradebook.db`` in the course folder if empty.
        new: whether it may be a file that is not there yet.

    Raises:
        GradebookError: on entering, and from every method: it cannot be opened, read or written.
        TermError: on entering: ``course.toml`` cannot be used.
    """

    def __init__(self, course: Path, url: str = "", *, new: bool = True) -> None:
        self.course, self.new = course.absolute(), new
        self.url = url or f"sqlite:///{self.course / 'gradebook.db'}"

    def __enter__(self) -> Book:
        if not self.course.is_dir():
            raise GradebookError(
                f"there is no course folder {self.course}: give nbgrader's course folder with --course"
            )
        if (self.course / SWITCHING).exists():
            raise GradebookError(f"{self.course}: a restore was stopped in the middle: run `course restore` again")
        self.term, self.plugin = read_term(self.course), TermLateness(course=str(self.course))
        if not self.new and (file := missing_file(self.url)):
            raise GradebookError(f"there is no gradebook {file}: grade first, or name the course folder with --course")
        self.engine: Engine = open_engine(self.url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.dispose()

    @property
    def place(self) -> str:
        """Where the database is, without a password."""
        return place(self.engine)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[_Within]:
        with in_one_line(self.engine), self.engine.begin() as connection:
            # Its commit only flushes; what was read stays read, since nobody else writes meanwhile.
            session = Session(connection, join_transaction_mode="rollback_only", expire_on_commit=False)
            with contextlib.closing(session):
                yield _Within(session)
                session.flush()

    def register(self, name: str, instructor_notebook: NotebookNode) -> None:
        """Make an assignment and its cells known, as `nbgrader generate_assignment` does; again, it updates them.

        Args:
            name: the assignment's name, and its notebook's.
            instructor_notebook: hidden tests and solutions in; it is not changed.

        Raises:
            GradebookError: cells came or went since submissions were recorded: nbgrader keeps their grades by cell.
        """
        nb = deepcopy(instructor_notebook)
        for step in (ClearSolutions(), ComputeChecksums()):
            nb, _ = step.preprocess(nb, {})
        saver = SaveCells()
        saver.notebook_id = saver.assignment_id = name
        saver.new_grade_cells, saver.new_solution_cells, saver.new_task_cells, saver.new_source_cells = {}, {}, {}, {}
        with self._transaction() as gradebook:
            gradebook.update_or_create_assignment(name)
            saver.gradebook = gradebook
            for index, cell in enumerate(nb.cells):
                saver.preprocess_cell(cell, {}, index)
            try:
                saver._create_notebook(nb)
            except RuntimeError as error:
                raise GradebookError(
                    f"{name}: its source has other graded cells than when submissions were recorded in this gradebook: "
                    "put them back, or grade into another one with --db"
                ) from error
            renew(gradebook.db, self.plugin, self.term, name)

    def check_course(self, known: Collection[str]) -> None:
        """Refuse the gradebook of another course.

        Args:
            known: all assignments of this one.

        Raises:
            GradebookError: it has assignments, and none of these.
        """
        there = self.assignments()
        if there and not set(there) & set(known):
            held = ", ".join(there[:3])
            raise GradebookError(
                f"gradebook {self.place}: it is of another course (it has {held}): give this course's with --db"
            )

    def assignments(self) -> list[str]:
        """The assignments that it knows, sorted."""
        with self._transaction() as gradebook:
            return sorted(gradebook.db.scalars(select(Assignment.name)))

    def cells(self, name: str) -> dict[str, Cell]:
        """The cells of an assignment by grade_id, in no order that matters.

        Raises:
            GradebookError: the assignment was never registered.
        """
        with self._transaction() as gradebook:
            return _cells(gradebook, name)

    def done(self, name: str) -> dict[str, str]:
        """Who has been graded already, and from what: student -> fingerprint.

        Left out is what was removed from nbgrader's tables or lost its autograded notebook since: it is to be graded.
        """
        query = submissions_of(name, SubmittedAssignment.student_id, GRADINGS.c.fingerprint).join(
            GRADINGS,
            (GRADINGS.c.student == SubmittedAssignment.student_id) & (GRADINGS.c.assignment == Assignment.name),
        )
        with self._transaction() as gradebook:
            found = dict(gradebook.db.execute(query).all())
        return {student: found[student] for student in found if autograded_path(self.course, student, name).is_file()}

    def write(self, graded: Graded, fingerprint: str, timestamp: str = "") -> None:
        """Record what grading a submission gave: its files, then all its rows at once.

        Args:
            graded: a verdict for each automatically graded cell, or a refusal.
            fingerprint: what it was graded from.
            timestamp: the text of ``timestamp.txt``; one that cannot be read counts as none.

        Raises:
            GradebookError: it does not fit the registered assignment, or cannot be written.
        """
        _check_names(graded)
        with self._transaction() as gradebook:
            held = gradebook.db.scalars(
                select(with_polymorphic(BaseCell, "*"))
                .join(Notebook)
                .join(Assignment)
                .where(Assignment.name == graded.assignment)
            ).all()
            cells = _cells(gradebook, graded.assignment)
            _check_verdicts(graded, cells)
            points = {cell.name: cell.points or 0.0 for cell in cells.values()}
            write_files(self.course, graded, points, timestamp)
            gradebook.update_or_create_student(graded.student)
            with gradebook.db.no_autoflush:  # nbgrader reads while it has half of a submission
                submission = gradebook.update_or_create_submission(graded.assignment, graded.student)
            submission.timestamp = _moment(timestamp)
            notebook = gradebook.find_submission_notebook(graded.assignment, graded.assignment, graded.student)
            with gradebook.db.no_autoflush:  # else each cell would be written and asked for by itself
                _set_grades(notebook, cells, graded, _earlier(gradebook.db, graded))
                _set_comments(notebook, cells, graded)
            gradebook.db.flush()
            renew(gradebook.db, self.plugin, self.term, graded.assignment, graded.student)
            _keep_record(gradebook.db, graded, fingerprint)
            del held  # as long as it is there, SQLAlchemy takes the cells from memory

    def renew(self, name: str) -> list[Arrival]:
        """Have due date, extensions and penalties of an assignment follow ``course.toml``; nothing is run.

        Returns:
            Every submission, in the order of the students' ids.
        """
        with self._transaction() as gradebook:
            return renew(gradebook.db, self.plugin, self.term, name)

    def scores(self, name: str) -> list[Score]:
        """Every submission of an assignment as nbgrader's tables have it, in the order of the students' ids."""
        with self._transaction() as gradebook:
            db = gradebook.db
            renew(db, self.plugin, self.term, name)
            records = dict(db.execute(select(GRADINGS.c.student, GRADINGS.c.record).filter_by(assignment=name)).all())
            grades: dict[str, list[Row]] = {}
            for row in sorted(db.execute(grades_of(name)), key=lambda row: row.name):  # databases sort in many ways
                grades.setdefault(row.student_id, []).append(row)
            late = undefer(SubmittedAssignment.late_submission_penalty)  # else a query for each
            submissions = db.scalars(submissions_of(name, SubmittedAssignment).options(late)).all()
            found = [
                _score(name, submission, grades.get(submission.student_id, []), records.get(submission.student_id))
                for submission in submissions
            ]
        return sorted(found, key=lambda score: score.student)

    def people(self) -> dict[str, Person]:
        """Every student that the gradebook knows, by id."""
        fields = Person.__dataclass_fields__
        with self._transaction() as gradebook:
            rows = gradebook.db.execute(select(Student.id, *(getattr(Student, name) for name in fields))).all()
        return {row.id: Person(*(value or "" for value in row[1:])) for row in rows}


# --- what is asked of the database --------------------------------------------------------------------------------


def _score(name: str, submission: SubmittedAssignment, grades: list[Row], record: str | None) -> Score:
    due = submission.assignment.duedate is not None  # nbgrader adds an extension to a due date that is not there
    return Score(
        student=submission.student_id,
        assignment=name,
        timestamp=submission.timestamp.isoformat() if submission.timestamp else "",
        late_seconds=float(submission.total_seconds_late) if due else 0.0,
        points={row.name: row.score for row in grades},
        available={row.name: row.max_score for row in grades},
        pending=any(row.needs_manual_grade for row in grades),
        record=Graded.from_json(record) if record else None,
        penalty=float(submission.late_submission_penalty),
    )


def _cells(gradebook: Gradebook, name: str) -> dict[str, Cell]:
    notebook = gradebook.find_notebook(name, name)
    graded = {cell.name: cell for cell in notebook._base_cells if isinstance(cell, GradeCell | TaskCell)}
    solutions = {cell.name for cell in notebook._base_cells if isinstance(cell, SolutionCell)}
    return {
        cell.name: Cell(
            name=cell.name,
            points=graded[cell.name].max_score if cell.name in graded else None,
            solution=cell.name in solutions,
            task=isinstance(graded.get(cell.name), TaskCell),
            kind=cell.cell_type,
            source=cell.source,
        )
        for cell in notebook.source_cells
    }


def _earlier(db: Session, graded: Graded) -> Graded | None:
    query = select(GRADINGS.c.record).filter_by(student=graded.student, assignment=graded.assignment)
    record = db.scalar(query)
    return Graded.from_json(record) if record else None


def _keep_record(db: Session, graded: Graded, fingerprint: str) -> None:
    key = {"student": graded.student, "assignment": graded.assignment}
    db.execute(GRADINGS.delete().where(*(GRADINGS.c[column] == value for column, value in key.items())))
    record = encoded(graded.to_json()).decode()
    db.execute(GRADINGS.insert().values(**key, fingerprint=fingerprint, record=record))


# --- grades and comments ------------------------------------------------------------------------------------------


def _check_names(graded: Graded) -> None:
    """Refuse a name that is no folder's: it would be written elsewhere."""
    for name in (graded.student, graded.assignment):
        if name in ("", ".", "..") or set(name) & {"/", "\0"}:
            raise GradebookError(f"{name!r} cannot be the name of a folder: rename what was handed in")


def _check_verdicts(graded: Graded, cells: Mapping[str, Cell]) -> None:
    expected = {cell.name for cell in cells.values() if cell.points is not None and not cell.by_hand}
    odd = expected ^ {verdict.grade_id for verdict in graded.verdicts}
    if odd and not graded.refusal:
        where = f"{graded.assignment} of {shown(graded.student)}"
        raise GradebookError(f"{where}: graded by other cells than the gradebook has ({', '.join(sorted(odd))})")


def _moment(timestamp: str) -> datetime | None:
    """A timestamp as nbgrader reads it, in UTC; None for one that nobody can read: it came with the submission."""
    text = timestamp.strip()
    try:
        return parse_utc(text) if text and _is_dated(text) else None
    except (ValueError, OverflowError, TypeError):
        return None


def _is_dated(text: str) -> bool:
    """Whether year, month and day are all said: nbgrader takes what is missing from the day on which it is asked."""
    parts = text.split(" ")
    words = " ".join(parts[:2]) if len(parts) == 3 else text  # nbgrader, too, takes a third word for a zone
    return len({parse(words, default=day).date() for day in (datetime(2000, 1, 1), datetime(2001, 2, 2))}) == 1


def _set_grades(notebook: SubmittedNotebook, cells: Mapping[str, Cell], graded: Graded, earlier: Graded | None) -> None:
    now, before = _seen(graded), _seen(earlier) if earlier else {}
    for grade in notebook.grades:
        cell = cells[grade.name]
        grade.auto_score = _automatic(cell, graded, now)
        if grade.manual_score is None:
            grade.needs_manual_grade = bool(graded.refusal) or grade.auto_score is None
        elif before.get(cell.name) != now.get(cell.name):
            grade.needs_manual_grade = True  # a person judged something else


def _automatic(cell: Cell, graded: Graded, seen: Mapping[str, object]) -> float | None:
    """The score that needs no person, by the rules of nbgrader's determine_grade."""
    if graded.refusal:
        return 0.0
    if not cell.by_hand:
        return cell.points if seen[cell.name] is True else 0.0
    return 0.0 if cell.solution and seen.get(cell.name) == cell.source else None


def _seen(graded: Graded) -> dict[str, object]:
    """What a grade rests on, by grade_id: the verdict of a cell that has one, else its text as handed in."""
    verdicts = {verdict.grade_id: verdict.passed for verdict in graded.verdicts}
    return {**_answers(graded), **verdicts}


def _answers(graded: Graded) -> dict[str, str]:
    if not graded.notebook:
        return {}
    cells = map(NotebookNode, json.loads(graded.notebook)["cells"])  # only their first level: outputs are many
    return {grade_id(cell): "".join(cell.source) for cell in cells if grade_id(cell)}


def _set_comments(notebook: SubmittedNotebook, cells: Mapping[str, Cell], graded: Graded) -> None:
    answers = _answers(graded)
    for comment in notebook.comments:
        cell = cells[comment.name]
        comment.auto_comment = NO_RESPONSE if cell.solution and answers.get(cell.name) == cell.source else None
