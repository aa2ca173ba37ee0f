"""The grades of a term: a row for each student, with every assignment and the weighted total.

The rule, which stands below the table: an assignment counts with what it has in per cent of all its points, penalties
taken off; one that was not handed in counts 0; of those that have a weight, the lowest percentages are dropped, as many
as ``course.toml`` says, but never the last; the total is the weighted mean of the others. An assignment of which
nothing is graded yet does not count for anybody. As long as nothing that is graded has a weight, nobody has a total.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from course_utils.grading.handed import nfc
from course_utils.grading.report import harmless, number, one_line

if TYPE_CHECKING:
    from course_utils.grading.gradebook import Score
    from course_utils.grading.term import Term

ABSENT, UNGRADED, PENDING = "not handed in", "not graded yet", "pending review"
NO_TOTAL = "nobody has a total: all that is graded has weight 0 in course.toml"


@dataclass(frozen=True)
class Entry:
    """One student's standing in one assignment.

    Attributes:
        percent: of all points, penalties taken off.
        remark: "not handed in", "not graded yet", "pending review", or nothing.
        dropped: whether it is left out of the total.
    """

    percent: float = 0.0
    remark: str = ""
    dropped: bool = False


@dataclass(frozen=True)
class Standing:
    """One student's term: an entry for each assignment that counts, and the total in per cent; None without weights."""

    student: str
    entries: Mapping[str, Entry]
    total: float | None


def standings(
    scores: Mapping[str, Sequence[Score]],
    students: Collection[str],
    handed_in: Collection[tuple[str, str]],
    term: Term,
) -> list[Standing]:
    """Work out everybody's term, in the order of the students' ids.

    Args:
        scores: of each assignment, from :meth:`course_utils.grading.gradebook.Book.scores`.
        students: everybody, whether anything of theirs is graded or not.
        handed_in: student and assignment of what lies in the folder ``submitted``.
        term: weights, and how many are dropped.
    """
    graded = {name: {score.student: score for score in found} for name, found in scores.items() if found}
    everybody = {*students, *(student for found in graded.values() for student in found)}
    rows = []
    for student in sorted(everybody):
        entries = {
            name: _entry(found.get(student), (student, name) in handed_in) for name, found in sorted(graded.items())
        }
        rows.append(_standing(student, entries, term))
    return rows


def _entry(score: Score | None, handed_in: bool) -> Entry:
    if score is None:
        return Entry(remark=UNGRADED if handed_in else ABSENT)
    return Entry(100 * score.total / score.max_score if score.max_score else 0.0, PENDING if score.pending else "")


def _standing(student: str, entries: Mapping[str, Entry], term: Term) -> Standing:
    weights = {name: term.of(name).weight for name in entries if term.of(name).weight}
    # Of equal percentages the one with more weight is dropped, which is better for the student.
    lowest = sorted(weights, key=lambda name: (entries[name].percent, -weights[name], name))
    dropped = set(lowest[: min(term.drop_lowest, len(lowest) - 1)]) if lowest else set()
    kept = [name for name in weights if name not in dropped]
    whole = math.fsum(weights[name] for name in kept)
    total = math.fsum(weights[name] * entries[name].percent for name in kept) / whole if whole else None
    marked = {name: Entry(each.percent, each.remark, name in dropped) for name, each in entries.items()}
    return Standing(student, marked, total)


def show_term(known: Sequence[str], course: Path, db: str, form: str, console: Console) -> None:
    """Print everybody's total of the term: ``table`` or ``csv``.

    Args:
        known: all assignments of the course.
        course: nbgrader's course folder.
        db: the gradebook's URL; ``gradebook.db`` in the course folder where empty.
        form: which of both.
        console: where the table is printed.

    Raises:
        GradebookError, TermError, PlatformError: one line each.
    """
    from course_utils.grading.gradebook import Book  # nbgrader takes a second to import
    from course_utils.grading.platforms import people

    with Book(course, db, new=False) as book:
        term = book.term
        term.require(known)
        book.check_course(known)
        scores, students = {name: book.scores(name) for name in book.assignments()}, people(course, book.people())
    handed_in = {(nfc(path.parts[-2]), path.name) for path in (course / "submitted").glob("*/*")}
    rows = standings(scores, students, handed_in, term)
    if form == "csv":
        print(csv_text(rows), end="")
        if _without_totals(rows):
            print(f"course: {NO_TOTAL}", file=sys.stderr)
        return
    waiting = [name for name in sorted({*scores, *term.assignments}) if not scores.get(name)]
    console.print(table(rows, waiting, term))


# --- as a table and as CSV ----------------------------------------------------------------------------------------


def table(rows: Sequence[Standing], waiting: Sequence[str], term: Term) -> Table:
    """A row for each student; a percentage in brackets is dropped.

    Args:
        rows: from :func:`standings`.
        waiting: assignments of which nothing is graded yet.
        term: weights, and how many are dropped.
    """
    rule = _rule(term) + f" Here {NO_TOTAL}." * _without_totals(rows)
    shown = Table(box=box.HORIZONTALS, pad_edge=False, caption=Text(rule), caption_justify="left")
    shown.add_column("Student")
    names = list(rows[0].entries) if rows else []
    for name in names:
        shown.add_column(Text(f"{name}\nweight {number(term.of(name).weight)}"), justify="right")
    for name in waiting:
        shown.add_column(Text(f"{name}\n{UNGRADED}"), justify="right")
    shown.add_column("Total", justify="right")
    shown.add_column("To look at")
    for row in rows:
        percents = [_shown(row.entries[name]) for name in names]
        remarks = [f"{name} {entry.remark}" for name, entry in row.entries.items() if entry.remark]
        cells = [*percents, *("" for _ in waiting), "" if row.total is None else f"{row.total:.1f}"]
        shown.add_row(Text(one_line(row.student)), *cells, Text(", ".join(remarks)))
    return shown


def _without_totals(rows: Sequence[Standing]) -> bool:
    """Whether there are students, and no weight by which to reckon their totals."""
    return any(row.total is None for row in rows)


def _shown(entry: Entry) -> str:
    words = "–" if entry.remark in (ABSENT, UNGRADED) else f"{entry.percent:.1f}"
    return f"({words})" if entry.dropped else words


def _rule(term: Term) -> str:
    lowest = {0: "", 1: " The lowest percentage is dropped, in brackets."}
    dropped = lowest.get(term.drop_lowest, f" The {term.drop_lowest} lowest percentages are dropped, in brackets.")
    return (
        "Per cent of all points, penalties taken off. What was not handed in (–) counts 0."
        f"{dropped} The total is the mean of the others by weight; what nobody is graded in yet does not count."
    )


def csv_text(rows: Sequence[Standing]) -> str:
    """The same as CSV: a line for each student; names of what is dropped, missing or open are joined by semicolons.

    Args:
        rows: from :func:`standings`.
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    names = list(rows[0].entries) if rows else []
    columns = {"dropped": None, "not_handed_in": ABSENT, "not_graded": UNGRADED, "pending_review": PENDING}
    writer.writerow(["student", *map(harmless, names), "total", *columns])
    for row in rows:
        percents = [number(row.entries[name].percent) for name in names]
        lists = [
            ";".join(name for name, each in row.entries.items() if (each.remark == said if said else each.dropped))
            for said in columns.values()
        ]
        total = "" if row.total is None else number(row.total)
        writer.writerow([harmless(row.student), *percents, total, *map(harmless, lists)])
    return written.getvalue()
