"""What an instructor reads after grading: points as a table and as CSV, and what the class found hard.

Pure functions of the gradebook's rows: the same grades give the same text, byte for byte, whatever the order or the
time in which they came. Names and messages are students' text: they are shown as text, never as markup or formulas.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from course_utils.grading.outputs import printable

if TYPE_CHECKING:
    from course_utils.grading.gradebook import Score
    from course_utils.notebooks import Problem

FORMULA = "=+-@\t\r＝＋－＠"  # a spreadsheet would run a cell that begins so
LONGEST_MESSAGE = 80


def table(scores: Sequence[Score], problems: Sequence[Problem]) -> Table:
    """A row for each submission: points by problem, in all, and what to look at.

    Args:
        scores: of one assignment, from :meth:`course_utils.grading.gradebook.Book.scores`.
        problems: the assignment's, in their order.
    """
    shown = Table(box=box.HORIZONTALS, pad_edge=False)
    shown.add_column("Student")
    for problem in problems:
        shown.add_column(Text(problem.title or problem.name), justify="right")
    shown.add_column("Total", justify="right")
    shown.add_column("To look at")
    for score in _sorted(scores):
        points = [_number(_points(score, problem)) for problem in problems]
        total = f"{_number(score.score)} of {_number(score.max_score)}"
        shown.add_row(_text(score.student), *points, total, _text(", ".join(_remarks(score))))
    return shown


def csv_text(scores: Sequence[Score], problems: Sequence[Problem]) -> str:
    """The same as CSV: a header, then a line for each submission, points as plain numbers.

    A name that a spreadsheet would take for a formula gets an apostrophe in front, as spreadsheets themselves do.

    Args:
        scores: of one assignment.
        problems: the assignment's, in their order; each gives a column under its name.
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    columns = ["assignment", "student", "timestamp", "late_seconds", "score", "max_score"]
    writer.writerow([*columns, *(problem.name for problem in problems), "pending_review", "unsafe", "notes"])
    for score in _sorted(scores):
        figures = [score.late_seconds, score.score, score.max_score, *(_points(score, each) for each in problems)]
        flags = [score.pending, bool(score.record and score.record.unsafe)]
        writer.writerow(
            [
                *map(_harmless, (score.assignment, score.student, score.timestamp)),
                *map(_number, figures),
                *("yes" if flag else "no" for flag in flags),
                len(score.record.notes) if score.record else 0,
            ]
        )
    return written.getvalue()


def statistics(scores: Sequence[Score], problems: Sequence[Problem]) -> Table:
    """Who solved what: a row for each problem and each of its graded cells, with what most often went wrong first.

    Refused submissions are left out: nothing of them was run.

    Args:
        scores: of one assignment.
        problems: the assignment's, in their order.
    """
    run = [score for score in scores if not (score.record and score.record.refusal)]
    shown = Table(box=box.HORIZONTALS, pad_edge=False, title=f"{len(run)} graded", title_justify="left")
    shown.add_column("Problem or cell")
    shown.add_column("Solved", justify="right")
    shown.add_column("Share", justify="right")
    shown.add_column("Most often, first")
    for problem in problems:
        cells = _cells(problem)
        shown.add_row(Text(problem.title or problem.name, style="bold"), *_solved(run, cells))
        for cell in cells:
            if any(cell in score.available for score in run):
                shown.add_row(Text(f"  {cell}"), *_solved(run, [cell]))
    return shown


def _sorted(scores: Sequence[Score]) -> list[Score]:
    return sorted(scores, key=lambda score: score.student)


def _cells(problem: Problem) -> list[str]:
    """All its cells that may have points; a solution cell has them where a person grades it."""
    return [*problem.solutions, *problem.visible, *problem.hidden]


def _points(score: Score, problem: Problem) -> float:
    return math.fsum(score.points.get(cell, 0.0) for cell in _cells(problem))


def _remarks(score: Score) -> list[str]:
    """What the instructor should know of a submission, in a few words each."""
    remarks = ["pending review"] if score.pending else []
    if score.record is None:
        return [*remarks, "not graded by `course grade`"]
    remarks += [f"refused: {score.record.refusal}"] if score.record.refusal else []
    remarks += ["run without a sandbox"] if score.record.unsafe else []
    remarks += [f"{len(score.record.notes)} notes"] if score.record.notes else []
    forbidden = sum("forbidden" in note.lower() for note in score.record.notes)
    return [*remarks, *([f"{forbidden} of them on forbidden names"] if forbidden else [])]


def _solved(scores: Sequence[Score], cells: Sequence[str]) -> tuple[str, str, Text]:
    """How many have all points of these cells, as a share too, and the commonest first message of the others."""
    full = [all(score.points.get(cell, 0.0) >= score.available.get(cell, 0.0) for cell in cells) for score in scores]
    messages = Counter(filter(None, (_first_message(score, cells) for score in scores)))
    commonest = min(messages.items(), key=lambda item: (-item[1], item[0]), default=None)
    words = f"{commonest[0]} ({commonest[1]})" if commonest else ""
    return str(sum(full)), f"{sum(full) / len(full):.0%}" if full else "", _text(words)


def _first_message(score: Score, cells: Sequence[str]) -> str:
    failed = (each for each in score.record.verdicts if not each.passed) if score.record else ()
    verdict = next((each for each in failed if each.grade_id in cells), None)
    line = verdict.message.strip().split("\n")[0] if verdict else ""
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


def _text(words: str) -> Text:
    return Text(printable(words.replace("\n", " ")))


def _number(value: float) -> str:
    """The shortest text: 20, not 20.0; at most ten digits, so that a sum of thirds is one text too."""
    return f"{value:.10g}"


def _harmless(text: str) -> str:
    return f"'{text}" if text.lstrip(" ")[:1] in tuple(FORMULA) else text
