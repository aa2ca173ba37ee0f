"""Grades of an assignment of two problems, as the tests of reports have them."""

from __future__ import annotations

from course_utils.grading.gradebook import Score
from course_utils.grading.records import Graded, Verdict
from course_utils.notebooks import Problem

NAME = "01-sums"
PROBLEMS = [
    Problem("mean", "The mean", ["mean"], {"mean-visible": 20}, {"mean-hidden": 30}),
    Problem("spread", "The spread", ["spread"], {"spread-visible": 20}, {"spread-hidden": 30}),
]
WORTH = {"mean-visible": 20.0, "mean-hidden": 30.0, "spread-visible": 20.0, "spread-hidden": 30.0}
HOSTILE = "</td><script>alert(1)</script>&amp;\x1b[2J"


def record(student: str, lost: dict[str, str] | None = None, **fields: object) -> Graded:
    lost = lost or {}
    verdicts = tuple(Verdict(name, name not in lost, lost.get(name, "")) for name in WORTH)
    return Graded(student, NAME, **{"verdicts": verdicts, **fields})  # type: ignore[arg-type]


def score(
    student: str, lost: dict[str, str] | None = None, pending: bool = False, penalty: float = 0.0, **fields: object
) -> Score:
    """A student's points: all but those of the cells that were lost, each with its message."""
    earned = {name: 0.0 if name in (lost or {}) else worth for name, worth in WORTH.items()}
    made = record(student, lost, **fields)
    return Score(student, NAME, points=earned, available=WORTH, pending=pending, record=made, penalty=penalty)


def refused(student: str) -> Score:
    made = Graded(student, NAME, refusal="no notebook")
    return Score(student, NAME, points=dict.fromkeys(WORTH, 0.0), available=WORTH, pending=True, record=made)
