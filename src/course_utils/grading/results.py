"""What `course report` and `course similar` do: from the gradebook to the screen, or into a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from rich.console import Console

from course_utils import release
from course_utils._errors import CourseError
from course_utils.grading import pages, platforms, report
from course_utils.grading.gradebook import Book, Person, Score
from course_utils.grading.items import graded

if TYPE_CHECKING:
    from course_utils.notebooks import Problem

WIDTH = 200  # columns of a table in a file


class OutputError(CourseError):
    """A file that cannot be written; the message is one line."""


def show_report(root: Path, name: str, course: Path, db: str, form: str, output: Path | None, console: Console) -> None:
    """Give out the grades of an assignment.

    Args:
        root: the repository that has the assignment's source.
        name: the assignment.
        course: nbgrader's course folder.
        db: the gradebook's URL; ``gradebook.db`` in the course folder where empty.
        form: ``table`` (with what the class found hard), ``csv``, ``html``, ``canvas`` or ``moodle``.
        output: the file to write; without it the console is written to.
        console: where tables go, and what was written is said.

    Raises:
        GradebookError, ReleaseError, PlatformError, OutputError: one line each.
    """
    problems = release.build(root, name).problems
    with Book(course, db, new=False) as book:
        scores = book.scores(name)
        known = platforms.people(course, book.people()) if form in ("canvas", "moodle") else {}
    if form == "table":
        _tables(scores, problems, output, console)
        return
    if form == "csv":
        text = report.csv_text(scores, problems)
    elif form == "html":
        text = pages.statistics_page(name, scores, problems)
    else:
        make = platforms.canvas_text if form == "canvas" else platforms.moodle_text
        text = make(name, scores, problems, known)
        _say_what_to_know(form, scores, known)
    _give(text, output, console)


def show_similar(root: Path, name: str, course: Path, db: str, output: Path | None, console: Console) -> None:
    """List the pairs of graded submissions that resemble each other.

    Args:
        root: the repository that has the assignment's source.
        name: the assignment.
        course: nbgrader's course folder.
        db: the gradebook's URL; ``gradebook.db`` in the course folder where empty.
        output: a page to write, which has them side by side.
        console: where the table goes, and what was written is said.

    Raises:
        GradebookError, ReleaseError, PlatformError, OutputError: one line each.
    """
    from course_utils.grading import similar  # scikit-learn takes two seconds to import

    released = nbformat.reads(release.build(root, name).student.decode(), as_version=4)
    with Book(course, db, new=False) as book:
        records = {score.student: score.record for score in graded(book.scores(name)) if score.record}
    written = {student: similar.pieces(record.notebook, released) for student, record in records.items()}
    found = similar.pairs(written, released)
    console.print(similar.table(found, len(written)))
    if output:
        _give(similar.page(name, found, written), output, console)


def _tables(scores: Sequence[Score], problems: Sequence[Problem], output: Path | None, console: Console) -> None:
    drawn = Console(file=io.StringIO(), width=WIDTH, highlight=False) if output else console
    drawn.print(report.table(scores, problems))
    drawn.print(report.statistics(scores, problems))
    if isinstance(drawn.file, io.StringIO):
        _give(drawn.file.getvalue(), output, console)


def _give(text: str, output: Path | None, console: Console) -> None:
    """Print a text as it is, or write it to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    if output is None:
        print(text, end="")
        return
    if output.is_dir():
        raise OutputError(f"{output} is a folder: name a file with --output")
    try:
        release.write_atomically(output, text.encode("utf-8", "replace"))
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}") from error
    console.print(f"Written: {output}", markup=False)


def _say_what_to_know(form: str, scores: Sequence[Score], known: Mapping[str, Person]) -> None:
    """Say on stderr, beside the file, who is not in it, and whose number was read from the id."""
    left = len(scores) - len(platforms.settled(scores))
    if left:
        words = "pending review and left out: give them their points in nbgrader's formgrader, then make the file again"
        print(f"course: {left} of {len(scores)} are {words}", file=sys.stderr)
    read = platforms.named_by_canvas(scores, known) if form == "canvas" else []
    if read:
        words = f"numbers for Canvas are the ends of ids, as Canvas's zip gives them: {report.one_line(read[0])}"
        print(f"course: {len(read)} {words}", file=sys.stderr)
