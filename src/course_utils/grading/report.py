"""What an instructor reads after grading: points as a table and as CSV, and what the class found hard.

Pure functions of the gradebook's rows: the same grades give the same text, byte for byte, whatever the order or the
time in which they came. Names and messages are students' text: they are shown as text, never as markup or formulas.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from course_utils.grading.items import Item, cells_of, cut, graded, items, points_of
from course_utils.grading.outputs import printable

if TYPE_CHECKING:
    from course_utils.grading.gradebook import Score
    from course_utils.notebooks import Problem

# A spreadsheet runs a cell that begins so, after blanks and quotes too. One that separates columns by semicolons, as
# those of many countries do, begins a cell in the midst of ours.
_FORMULA = re.compile(r'(^|;)(?=[\s"]*[=+\-@＝＋－＠])')
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # tabs and ends of lines, which begin cells too
LONGEST_MESSAGE = 80  # in a table


def table(scores: Sequence[Score], problems: Sequence[Problem]) -> Table:
    """A row for each submission: points by problem, what was taken off for lateness, all in all, what to look at.

    Args:
        scores: of one assignment, from :meth:`course_utils.grading.gradebook.Book.scores`.
        problems: the assignment's, in their order.
    """
    late = any(score.penalty for score in scores)
    shown = Table(box=box.HORIZONTALS, pad_edge=False)
    shown.add_column("Student")
    for heading in [*(problem.title or problem.name for problem in problems), *["Penalty"] * late, "Total"]:
        shown.add_column(Text(heading), justify="right")
    shown.add_column("To look at")
    for score in by_student(scores):
        points = [number(points_of(score, cells_of(problem))) for problem in problems]
        penalty = [number(score.penalty)] * late
        total = f"{number(score.total)} of {number(score.max_score)}"
        shown.add_row(_text(score.student), *points, *penalty, total, _text(", ".join(remarks(score))))
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
    columns = ["assignment", "student", "timestamp", "late_seconds", "score", "max_score", "penalty", "total"]
    writer.writerow([*columns, *(harmless(problem.name) for problem in problems), "pending_review", "unsafe", "notes"])
    for score in by_student(scores):
        figures = [score.late_seconds, score.score, score.max_score, score.penalty, score.total]
        figures += [points_of(score, cells_of(problem)) for problem in problems]
        flags = [score.pending, bool(score.record and score.record.unsafe)]
        writer.writerow(
            [
                *map(harmless, (score.assignment, score.student, score.timestamp)),
                *map(number, figures),
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
    count = len(graded(scores))
    shown = Table(box=box.HORIZONTALS, pad_edge=False, title=f"{count} graded", title_justify="left")
    shown.add_column("Problem or cell")
    for heading in ("Solved", "Share", "Discrimination"):
        shown.add_column(heading, justify="right")
    shown.add_column("Most often, first")
    for item in items(scores, problems):
        name = Text(f"  {item.title}") if item.cell else Text(item.title, style="bold")
        shown.add_row(name, str(item.solved), percent(item.share), decimal(item.discrimination), _text(_words(item)))
    return shown


def by_student(scores: Sequence[Score]) -> list[Score]:
    """The submissions in the order of the students' ids."""
    return sorted(scores, key=lambda score: score.student)


def number(value: float) -> str:
    """The shortest text: 20, not 20.0; at most ten digits, so that a sum of thirds is one text too."""
    return f"{value:.10g}"


def percent(share: float | None) -> str:
    """A share in whole per cent; nothing for None."""
    return "" if share is None else f"{share:.0%}"


def decimal(value: float | None) -> str:
    """A number to two digits, zero without a sign; nothing for None."""
    return "" if value is None else f"{round(value, 2) + 0.0:.2f}"


def one_line(words: str) -> str:
    """Somebody's text on one line, without escape sequences."""
    return printable(" ".join(words.split("\n")))


def harmless(text: str) -> str:
    """The text on one line, with an apostrophe in front of what a spreadsheet would take for a formula."""
    return _FORMULA.sub(r"\1'", _CONTROLS.sub(" ", text))


def remarks(score: Score) -> list[str]:
    """What the instructor should know of a submission, in a few words each."""
    found = ["pending review"] if score.pending else []
    if score.record is None:
        return [*found, "not graded by `course grade`"]
    found += [f"refused: {score.record.refusal}"] if score.record.refusal else []
    found += ["run without a sandbox"] if score.record.unsafe else []
    count = len(score.record.notes)
    found += [f"{count} note{'s' * (count > 1)}"] if count else []
    forbidden = sum("forbidden" in note.lower() for note in score.record.notes)
    return [*found, *([f"{forbidden} of them on forbidden names"] if forbidden else [])]


def _words(item: Item) -> str:
    return f"{cut(item.messages[0][0], LONGEST_MESSAGE)} ({item.messages[0][1]})" if item.messages else ""


def _text(words: str) -> Text:
    return Text(one_line(words))
