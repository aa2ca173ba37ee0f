"""Lateness: when submissions came, and what ``course.toml`` takes from them, by nbgrader's own plugin interface.

`course grade` and `nbgrader autograde` ask the same plugin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nbgrader.apps  # noqa: F401 - first: nbgrader's packages import each other in a circle
from nbgrader.api import Assignment, SubmittedAssignment, SubmittedNotebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import BasePlugin
from sqlalchemy import Row
from sqlalchemy.orm import Session
from traitlets import Unicode

from course_utils.grading.queries import arrivals_of, grades_of, only
from course_utils.grading.term import Term, read_term

ASSIGNMENTS, SUBMISSIONS, NOTEBOOKS = (
    table.__table__ for table in (Assignment, SubmittedAssignment, SubmittedNotebook)
)


class TermLateness(BasePlugin):
    """Penalties by ``course.toml`` in the course folder; none where it says nothing of lateness.

    Raises:
        TermError: when made: the file cannot be used.
    """

    course = Unicode("", help="The folder that holds course.toml; nbgrader's course folder if empty.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lateness = read_term(Path(self.course or CourseDirectory(parent=self).root)).lateness

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """The points that a late submission loses.

        Args:
            student_id: whose it is; the same holds for all.
            score: the points earned, automatically and from a person.
            total_seconds_late: after the due date, extensions counted.

        Returns:
            Between 0 and the score; None where ``course.toml`` does not say.
        """
        return self.lateness.penalty(score, total_seconds_late) if self.lateness else None


@dataclass(frozen=True)
class Arrival:
    """When a submission came.

    Attributes:
        student: whose.
        due: until when it would have been in time, in UTC, the student's extension counted; None if there is no date.
        known: whether it is known when it came; if not, it counts as in time.
        late_seconds, penalty: how late it was, and the points that it loses for that.
    """

    student: str
    due: datetime | None
    known: bool
    late_seconds: float
    penalty: float


def renew(db: Session, plugin: TermLateness, term: Term, name: str, student: str | None = None) -> list[Arrival]:
    """Have due date, extensions and penalties in nbgrader's tables follow ``course.toml``, within a transaction.

    Args:
        db: a session on the gradebook, nothing in it that is not flushed.
        plugin: what is asked for penalties.
        term: what says when the assignment is due.
        name: the assignment.
        student: only this one's submission; all if None.

    Returns:
        The submissions, in the order of the students' ids.
    """
    terms = term.of(name)
    if terms.due is not None:
        other = (ASSIGNMENTS.c.name == name) & ASSIGNMENTS.c.duedate.is_distinct_from(terms.due)
        db.execute(ASSIGNMENTS.update().where(other).values(duedate=terms.due))
    earned: dict[str, list[float]] = {}
    for row in db.execute(only(grades_of(name), student)):
        earned.setdefault(row.student_id, []).append(row.score)
    found = []
    for row in db.execute(only(arrivals_of(name), student)).all():
        extension = row.extension if terms.due is None else terms.extensions.get(row.student_id)
        arrival = _arrival(row, extension, math.fsum(earned.get(row.student_id, ())), plugin)
        _keep(db, row, extension, arrival.penalty)
        found.append(arrival)
    return sorted(found, key=lambda arrival: arrival.student)


def _arrival(row: Row, extension: timedelta | None, score: float, plugin: TermLateness) -> Arrival:
    due = row.duedate + (extension or timedelta()) if row.duedate else None
    late = max(0.0, (row.timestamp - due).total_seconds()) if due and row.timestamp else 0.0
    penalty = plugin.late_submission_penalty(row.student_id, score, late)
    if penalty is None:
        penalty = row.penalty or 0.0  # given by another plugin of nbgrader's, if at all
    return Arrival(row.student_id, due, row.timestamp is not None, late, penalty)


def _keep(db: Session, row: Row, extension: timedelta | None, penalty: float) -> None:
    """Write what is not as it was."""
    if extension != row.extension:
        db.execute(SUBMISSIONS.update().where(SUBMISSIONS.c.id == row.submission).values(extension=extension))
    if penalty != (row.penalty or 0.0):
        changed = NOTEBOOKS.update().where(NOTEBOOKS.c.id == row.notebook)
        db.execute(changed.values(late_submission_penalty=penalty))
