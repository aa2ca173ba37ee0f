"""What `course grade` and `course feedback` do, and what they print."""

from __future__ import annotations

import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from course_utils import release
from course_utils.grading import sandbox
from course_utils.grading.archive import NAMESAKE
from course_utils.grading.grader import Task
from course_utils.grading.handed import nfc
from course_utils.grading.intake import from_archive, from_folder
from course_utils.grading.outputs import printable
from course_utils.grading.records import Graded, Submission
from course_utils.grading.schedule import ScheduleError, grade_all, workers
from course_utils.grading.term import FILE, read_term
from course_utils.notebooks import grade_id, points_of
from course_utils.overlay import OverlayError

if TYPE_CHECKING:
    from distributed import Client

    from course_utils.grading.gradebook import Book, Score

MOST_NAMED = 5
_NUMBER = re.compile(r"_\d+$")
UNSAFE = "no sandbox (--unsafe): students' code runs with your rights on this machine; the gradebook records it"


@dataclass(frozen=True)
class Order:
    """What is to be graded, and how.

    Attributes:
        root: the repository that holds the assignments.
        name: the assignment.
        course: nbgrader's course folder.
        archive: a zip of a learning platform, in place of the folder ``submitted``.
        students: only these; everyone where empty.
        workers: submissions graded at once on this machine; 0 for one a core.
        scheduler: the address of a Dask scheduler, in place of processes on this machine.
        db: the gradebook's URL; ``gradebook.db`` in the course folder where empty.
        regrade: also what has not changed.
        unsafe: without a sandbox.
        overlay: the folder of the private overlay, in place of the one that ``course.toml`` names.
        preview: only say whose points would change.
    """

    root: Path
    name: str
    course: Path
    archive: Path | None = None
    students: tuple[str, ...] = ()
    workers: int = 0
    scheduler: str | None = None
    db: str = ""
    regrade: bool = False
    unsafe: bool = False
    overlay: Path | None = None
    preview: bool = False


def grade(order: Order, console: Console) -> None:
    """Grade what was handed in for an assignment and is not in the gradebook yet, or has changed since.

    Raises:
        SandboxError, IntakeError, GradebookError, ScheduleError, ReleaseError, TermError, OverlayError: one line each.
    """
    known = release.assignments(order.root)
    term = read_term(order.course)
    term.require(known)
    order = replace(order, overlay=order.overlay or term.overlay)
    task = Task.of(order.root, order.name, order.overlay)
    submissions = _taken_in(order, task)
    _announce(order, console)
    count = min(order.workers or os.cpu_count() or 1, len(submissions))
    # Their warm parents take seconds to start: meanwhile the gradebook is opened.
    with workers(count, order.scheduler, unsafe=order.unsafe) as client, _target(order) as (book, before):
        book.check_course(known)
        _grade_into(book, client, order, task, submissions, console)
        _tell_lateness(book, order, console)
        if order.preview:
            _tell_changes(before, book.scores(order.name), console)
            return
    console.print(f"Gradebook: {book.place}", markup=False)
    console.print(f"Logs: {order.course / 'logs' / order.name}", markup=False)


def _grade_into(
    book: Book, client: Client, order: Order, task: Task, submissions: Sequence[Submission], console: Console
) -> None:
    """Grade what is new or has changed since it was recorded in a gradebook."""
    source = nbformat.reads(task.source, as_version=4)
    done = {} if order.regrade else book.done(order.name)
    marks = {one.student: task.fingerprint(one, unsafe=order.unsafe) for one in submissions}
    waiting = [one for one in submissions if done.get(one.student) != marks[one.student]]
    if order.overlay and waiting:
        _require_reference(client, task, order.overlay)
    book.register(order.name, source)
    _tell_namesakes(book, submissions, console)
    unchanged = len(submissions) - len(waiting)
    console.print(f"{order.name}: {len(waiting)} to grade, {unchanged} graded before and unchanged")
    if not waiting:
        return
    began = time.monotonic()
    points = {grade_id(cell): points_of(cell) for cell in source.cells}
    graded = _graded(client, task, points, waiting, marks, book, console)
    counts = Counter(kind for one in graded for kind in _kinds(one))
    _sum_up(counts, time.monotonic() - began, console)
    if counts["failed"]:
        raise ScheduleError(f"{counts['failed']} could not be graded, nothing of them was recorded: run it again")


def _require_reference(client: Client, task: Task, overlay: Path) -> None:
    """Refuse checks that take points from the reference solution: they would take them from everybody.

    Raises:
        OverlayError: they do.
        ScheduleError: that could not be found out.
    """
    ((_, graded),) = grade_all(client, task, [task.reference()])
    if isinstance(graded, str):
        raise ScheduleError(f"the reference could not be graded, nothing was recorded: {graded}")
    lost = [f"loses {each.grade_id}: {each.message}" for each in graded.verdicts if not each.passed]
    if graded.refusal:
        lost = [f"cannot be graded: {graded.refusal}"]
    if lost:
        words, again = " ".join(lost[0].split()).rstrip(": "), f"course release {task.name} --overlay {overlay}"
        raise OverlayError(f"{overlay}: the reference itself {words}: mend it, then `{again}`")


def _tell_namesakes(book: Book, submissions: Sequence[Submission], console: Console) -> None:
    """Name the new ids that are known ones but for a number: Moodle's is another one in every assignment."""
    known = {nfc(student) for student in book.people()}
    by_name = {_NUMBER.sub("", student): student for student in sorted(known, reverse=True)}  # without a number first
    pairs = []
    for one in submissions:
        name = _NUMBER.sub("", one.student)
        other = by_name.get(name)
        if other and one.student not in known and (name in (other, one.student) or NAMESAKE in one.notes):
            pairs.append(f"{printable(one.student)} ({printable(other)}?)")
    if pairs:
        names = ", ".join(pairs[:MOST_NAMED]) + ", …" * (len(pairs) > MOST_NAMED)
        words = "new beside a student in the gradebook; if they are the same, their grades do not add up"
        console.print(Text(f"Note: {names}: {words}", style="yellow"))


@contextmanager
def _target(order: Order) -> Iterator[tuple[Book, list[Score]]]:
    """The gradebook to write to: the course's, or for a preview a copy of it, with the scores that are recorded."""
    if not order.preview:
        with _book(order.course, order.db) as book:
            yield book, []
        return
    from course_utils.grading.preview import copied

    with copied(order.course, order.db, order.name) as (course, before), _book(course, "") as book:
        yield book, before


def _tell_lateness(book: Book, order: Order, console: Console) -> None:
    """Who was late, of whom that is not known, and extensions of which nobody is known to have need."""
    arrivals = book.renew(order.name)
    late = sum(one.late_seconds > 0 for one in arrivals)
    unknown = [one.student for one in arrivals if one.due and not one.known]
    if any(one.due for one in arrivals):
        lost = math.fsum(one.penalty for one in arrivals)
        console.print(f"{late} of {len(arrivals)} late, {lost:.10g} points taken for it")
    if unknown:
        names = ", ".join(map(printable, unknown[:MOST_NAMED])) + ", …" * (len(unknown) > MOST_NAMED)
        words = f"{len(unknown)} without a timestamp.txt that can be read count as in time: {names}"
        console.print(Text(f"Note: {words}", style="yellow"))
    there = {*book.people(), *(one.student for one in arrivals), *_folders(order.course)}
    for student in sorted(set(book.term.of(order.name).extensions) - there):
        where = f"{order.course / FILE}: assignments.{order.name}.extensions.{printable(student)}"
        words = "nobody of that id has handed in anything, or is in the gradebook: is the id right?"
        console.print(Text(f"Note: {where}: {words}", style="yellow"))


def _folders(course: Path) -> set[str]:
    """The students who have a folder for what they hand in."""
    return {nfc(path.name) for path in (course / "submitted").glob("*")}


def _tell_changes(before: Sequence[Score], after: Sequence[Score], console: Console) -> None:
    from course_utils.grading.preview import changes, summary

    found = changes(before, after)
    console.print("Before → after:", style="bold")
    for change in found:
        if change.kind != "same" or change.cells or change.pending:
            console.print(change.line)
    console.print(f"{summary(found)}. Nothing was written: without --preview it will be.", style="bold")


def give_feedback(name: str, course: Path, db: str, students: Sequence[str], console: Console) -> None:
    """Write a page for each student.

    Raises:
        GradebookError: one line.
    """
    from course_utils.grading.feedback import write_feedback  # it takes a second to import

    pages = write_feedback(course, name, list(students) or None, db)
    console.print(f"{len(pages)} pages in {course / 'feedback'}/<student>/{name}", markup=False)


def _announce(order: Order, console: Console) -> None:
    """Say what code will run in, and refuse where that is not enough."""
    if order.unsafe:
        console.print(UNSAFE, style="bold red")
    elif order.scheduler is None:
        found = sandbox.probe()
        console.print(Text(str(found), style="dim"))
        sandbox.require(found)


def _taken_in(order: Order, task: Task) -> list[Submission]:
    if order.archive is None:
        return from_folder(order.course, order.name, declared=task.declared, students=order.students)
    return from_archive(order.archive, order.name, declared=task.declared, students=order.students)


def _book(course: Path, db: str) -> Book:
    from course_utils.grading.gradebook import Book  # nbgrader takes a second to import

    return Book(course, db)


def _graded(
    client: Client,
    task: Task,
    points: dict[str, float],
    waiting: Sequence[Submission],
    marks: dict[str, str],
    book: Book,
    console: Console,
) -> Iterator[Graded | str]:
    """Grade and record, one by one as they are done, with a line for each."""
    with _progress(console, len(waiting)) as (bar, item):
        for submission, graded in grade_all(client, task, waiting):
            if isinstance(graded, Graded):
                book.write(graded, marks[submission.student], submission.timestamp)
                bar.console.print(_line(graded, points))
            else:
                bar.console.print(Text(f"{printable(submission.student):<24} {graded}", style="bold red"))
            bar.update(item, advance=1, rate=_rate(bar, item))
            yield graded


@contextmanager
def _progress(console: Console, total: int) -> Iterator[tuple[Progress, TaskID]]:
    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("Grading"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield bar, bar.add_task("", total=total, rate="")


def _rate(bar: Progress, item: TaskID) -> str:
    speed = bar.tasks[item].speed
    return f"{60 * speed:.0f} a minute" if speed else ""


def _line(graded: Graded, points: dict[str, float]) -> Text:
    """One student's line: points, and what to look at."""
    text = Text(f"{printable(graded.student):<24} ")
    if graded.refusal:
        return text.append(f"pending review: {graded.refusal}", style="red")
    earned = sum(points[verdict.grade_id] for verdict in graded.verdicts if verdict.passed)
    text.append(f"{earned:>5g} of {sum(points[verdict.grade_id] for verdict in graded.verdicts):g}")
    if graded.notes:
        text.append(f"  {len(graded.notes)} note{'s' * (len(graded.notes) > 1)}: {graded.notes[0]}", style="yellow")
    return text


def _kinds(graded: Graded | str) -> list[str]:
    if isinstance(graded, str):
        return ["failed"]
    return ["graded", *(["refused"] if graded.refusal else []), *(["noted"] if graded.notes else [])]


def _sum_up(counts: Counter[str], seconds: float, console: Console) -> None:
    console.print(
        f"{counts['graded']} graded in {seconds:.0f} s ({60 * counts['graded'] / seconds:.0f} a minute); "
        f"{counts['refused']} pending review, {counts['noted']} with integrity notes",
        style="bold",
    )
