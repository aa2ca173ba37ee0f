"""What grading would change, before it is written: it is graded into a copy of the gradebook, which is thrown away."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbgrader.apps  # noqa: F401 - first: nbgrader's packages import each other in a circle
from nbgrader.api import Base
from rich.text import Text
from sqlalchemy import Engine, Table, make_url, select
from sqlalchemy.exc import ArgumentError

from course_utils.grading.database import GRADINGS, in_one_line, open_engine
from course_utils.grading.files import autograded_path
from course_utils.grading.gradebook import Book, Score
from course_utils.grading.outputs import printable
from course_utils.grading.term import FILE

PENALTY = "late penalty"


@dataclass(frozen=True)
class Change:
    """What became of one student's points.

    Attributes:
        student: whose.
        before: the score as it is recorded; None where there is none.
        after: the score as it would be.
        cells: name, points before and after, of every cell where they differ, and of the penalty.
        pending: whether a person has to look at it who had not before.
    """

    student: str
    before: float | None
    after: float
    cells: tuple[tuple[str, float, float], ...] = ()
    pending: bool = False

    @property
    def kind(self) -> str:
        """``new``, ``up``, ``down`` or ``same``."""
        if self.before is None:
            return "new"
        return "same" if self.after == self.before else "up" if self.after > self.before else "down"

    @property
    def line(self) -> Text:
        """One line: the score before and after, then the cells."""
        before = "new" if self.before is None else f"{self.before:.10g}"
        text = Text(f"{printable(self.student):<24} {before:>5} → {self.after:<5.10g}")
        text.append("".join(f"  {name} {old:.10g} → {new:.10g}" for name, old, new in self.cells))
        return text.append("  pending review" if self.pending else "")


@contextlib.contextmanager
def copied(course: Path, url: str, name: str) -> Iterator[tuple[Path, list[Score]]]:
    """A copy of a course folder, as far as grading an assignment looks at it; it is there for this call.

    Args:
        course: nbgrader's course folder.
        url: the gradebook's; ``gradebook.db`` in the course folder if empty.
        name: the assignment.

    Returns:
        The copy, and the assignment's scores as they are recorded.

    Raises:
        GradebookError: the gradebook cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for student in (course / "autograded").glob("*"):
            if autograded_path(course, student.name, name).is_file():  # a stand-in will do: nobody reads it
                stand_in = autograded_path(copy, student.name, name)
                stand_in.parent.mkdir(parents=True)
                stand_in.touch()
        with Book(copy) as book:
            _copy_rows(url or f"sqlite:///{course.absolute() / 'gradebook.db'}", book.engine)
            recorded = book.scores(name)
        if (course / FILE).exists():  # only now: penalties by what it says today are no record
            shutil.copy(course / FILE, copy)
        yield copy, recorded


def _copy_rows(url: str, target: Engine) -> None:
    if _is_absent(url):
        return
    source = open_engine(url)
    tables: list[Table] = [*Base.metadata.sorted_tables, GRADINGS]
    try:
        with in_one_line(source), source.connect() as reading, target.begin() as writing:
            for table in reversed(tables):
                writing.execute(table.delete())
            for table in tables:
                rows = [row._asdict() for row in reading.execute(select(table))]
                if rows:
                    writing.execute(table.insert(), rows)
    finally:
        source.dispose()


def _is_absent(url: str) -> bool:
    """Whether opening the database would make a file."""
    with contextlib.suppress(ArgumentError):  # open_engine says it
        parsed = make_url(url)
        return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists()
    return False


def changes(before: Iterable[Score], after: Iterable[Score]) -> list[Change]:
    """Compare an assignment's scores: one change for each student, in the order of their ids."""
    known = {score.student: score for score in before}
    return [_change(known.get(score.student), score) for score in sorted(after, key=lambda score: score.student)]


def _change(before: Score | None, after: Score) -> Change:
    if before is None:
        return Change(after.student, None, after.total, pending=after.pending)
    old, new = ({**score.points, PENALTY: 0.0 - score.penalty} for score in (before, after))
    names = sorted(old.keys() | new.keys(), key=lambda name: (name == PENALTY, name))
    cells = [(name, old.get(name, 0.0), new.get(name, 0.0)) for name in names]
    differing = tuple(cell for cell in cells if cell[1] != cell[2])
    return Change(after.student, before.total, after.total, differing, after.pending and not before.pending)


def summary(found: Iterable[Change]) -> str:
    """How many go up, down, stay and are new, in one line."""
    counts = Counter(change.kind for change in found)
    return ", ".join(f"{counts[kind]} {kind}" for kind in ("up", "down", "same", "new"))
