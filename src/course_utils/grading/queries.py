"""What is asked of nbgrader's tables about an assignment's submissions."""

from __future__ import annotations

from typing import Any

import nbgrader.apps  # noqa: F401 - first: nbgrader's packages import each other in a circle
from nbgrader.api import Assignment, BaseCell, Grade, SubmittedAssignment, SubmittedNotebook
from sqlalchemy import Select, select


def submissions_of(name: str, *columns: Any) -> Select:
    """Columns of an assignment's submissions."""
    return select(*columns).select_from(SubmittedAssignment).join(Assignment).where(Assignment.name == name)


def only(query: Select, student: str | None) -> Select:
    """A query for all students, or for one."""
    return query if student is None else query.where(SubmittedAssignment.student_id == student)


def arrivals_of(name: str) -> Select:
    """When an assignment's submissions came and when they were due, their penalties, and the ids of both rows."""
    columns = (SubmittedAssignment.student_id, SubmittedAssignment.timestamp, SubmittedAssignment.extension)
    penalty = SubmittedNotebook.late_submission_penalty.label("penalty")
    ids = (SubmittedAssignment.id.label("submission"), SubmittedNotebook.id.label("notebook"))
    return submissions_of(name, *columns, Assignment.duedate, penalty, *ids).join(
        SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id
    )


def grades_of(name: str) -> Select:
    """The points of every graded cell of an assignment's submissions."""
    columns = (SubmittedAssignment.student_id, BaseCell.name, Grade.score, Grade.max_score, Grade.needs_manual_grade)
    return (
        select(*columns)
        .select_from(Grade)
        .join(BaseCell, BaseCell.id == Grade.cell_id)
        .join(SubmittedNotebook, SubmittedNotebook.id == Grade.notebook_id)
        .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
        .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
        .where(Assignment.name == name)
    )
