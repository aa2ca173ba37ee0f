"""Judging a submission from the outside: the graded cells run here, the student's cells in a process of their own.

A graded cell is the instructor's, from the source, unchanged; the names that its problem defines are stand-ins for
what stands in the student's process at that moment. The cell's verdict is whether it ran to its end *here*.

How the student's process is kept from doing harm is not decided here.
"""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode

from course_utils.grading.peer import LONGEST_TEXT, Peer
from course_utils.notebooks import course_of, grade_id, is_locked, is_test, labelled

WAIT = 120.0  # seconds for one answer of the student's process; a guard, CPU time is what a limit should count


@dataclass(frozen=True)
class Verdict:
    """Whether a graded cell ran to its end, and what stopped it if it did not."""

    grade_id: str
    passed: bool
    message: str = ""


class Student:
    """A student's process, seen from the trusted side.

    Args:
        connection: the socket that the process serves.
        wait: seconds that one answer may take.
    """

    def __init__(self, connection: socket.socket, wait: float = WAIT) -> None:
        connection.settimeout(wait)
        self.peer = Peer(connection)

    def run(self, source: str) -> None:
        """Run one cell; what goes wrong is the student's affair, as in a notebook whose next cell is run anyway."""
        with contextlib.suppress(Exception):
            self.peer.ask("run", {"source": source})

    def name(self, name: str) -> Any:
        """What stands under a name: a value, or a stand-in.

        Raises:
            NameError: nothing does.
        """
        return self.peer.value("name", {"name": name})


def judge(source: NotebookNode, submission: NotebookNode, student: Student) -> list[Verdict]:
    """Run a submission against the instructor's graded cells.

    Each problem is judged by what stood when its graded cell was reached in the submission; graded cells that are
    missing there are reached at its end.

    Args:
        source: the instructor's notebook, hidden tests in.
        submission: the student's notebook.
        student: a fresh process.

    Returns:
        A verdict for each graded cell, in the order of the source.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    defined = _defined(source)
    verdicts: dict[str, Verdict] = {}
    for ours, cell in _in_order(source, submission):
        if not ours:
            student.run(cell.source)
        elif is_test(cell):
            verdicts[grade_id(cell)] = _verdict(cell, namespace, student, defined)
        else:
            _execute(cell.source, namespace)
            student.run(cell.source)
    return [verdicts[grade_id(cell)] for cell in source.cells if is_test(cell)]


def _in_order(source: NotebookNode, submission: NotebookNode) -> Iterator[tuple[bool, NotebookNode]]:
    """The student's cells where the submission has them, and the instructor's (True) as the source has them.

    Whose a cell is, its origin says: what a submission's metadata claims of its own cells is never believed.
    """
    own = {grade_id(cell): cell for cell in source.cells if is_locked(cell) and cell.cell_type == "code"}
    waiting = {name: cell for name, cell in own.items() if is_test(cell)}
    yield from ((True, cell) for name, cell in own.items() if name not in waiting)
    last = {grade_id(cell): place for place, cell in enumerate(submission.cells)}  # of copies, the last one counts
    for place, cell in enumerate(submission.cells):
        name = grade_id(cell)
        if name in waiting and place == last[name]:
            yield True, waiting.pop(name)
        elif name not in own and cell.cell_type == "code":
            yield False, cell
    yield from ((True, cell) for cell in waiting.values())


def _defined(source: NotebookNode) -> dict[str, list[str]]:
    """The names that each problem asks a student to define."""
    found: dict[str, list[str]] = {}
    for _, cell in labelled(source):
        found.setdefault(course_of(cell).get("problem", ""), []).extend(course_of(cell).get("defines", []))
    return found


def _verdict(cell: NotebookNode, namespace: dict[str, Any], student: Student, defined: dict[str, list[str]]) -> Verdict:
    try:
        for name in defined[course_of(cell)["problem"]]:
            namespace[name] = student.name(name)
        _execute(cell.source, namespace)
    except Exception as error:
        words = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        return Verdict(grade_id(cell), False, _printable(words[:LONGEST_TEXT]))
    return Verdict(grade_id(cell), True)


def _printable(text: str) -> str:
    """The text without escape sequences and lone surrogates: part of it may be the student's."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _execute(source: str, namespace: dict[str, Any]) -> None:
    """Run an instructor's cell in this process; what it prints is nobody's verdict."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(source, "<graded cell>", "exec"), namespace)
