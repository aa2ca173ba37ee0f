"""Judging a submission from the outside: the graded cells run here, the student's cells in a process of their own.

A graded cell is the instructor's, from the source, unchanged; the names that its problem defines are stand-ins for
what stands in the student's process at that moment. The cell's verdict is whether it ran to its end *here*.

How the student's process is kept from doing harm, and what is done when it is lost, is not decided here.
"""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any, Literal

from nbformat import NotebookNode

from course_utils.grading.frames import GoneError, WireError
from course_utils.grading.outputs import clean, printable
from course_utils.grading.peer import LONGEST_TEXT, Peer
from course_utils.grading.records import Verdict
from course_utils.grading.sandbox import SandboxError
from course_utils.notebooks import course_of, grade_id, graded_cells, is_locked, is_solution, is_test, nbgrader_of

WAIT = 120.0  # seconds for one answer of the student's process, where no watch looks after it


@dataclass(frozen=True)
class Step:
    """One cell to run: the instructor's setup (on both sides), a student's cell (there), or a test (here).

    Attributes:
        place: where the cell stands in the submission; for setup and tests, in the source.
    """

    kind: Literal["setup", "student", "test"]
    place: int
    cell: NotebookNode


@dataclass(frozen=True)
class Ran:
    """What a student's cell put out, cleaned."""

    place: int
    outputs: list[NotebookNode]


class Student:
    """A student's process, seen from the trusted side.

    Args:
        connection: the socket that the process serves.
        wait: seconds that one answer may take; None where a watch looks after the process.
    """

    def __init__(self, connection: socket.socket, wait: float | None = WAIT) -> None:
        connection.settimeout(wait)
        self.peer = Peer(connection)

    def run(self, source: str) -> list[NotebookNode]:
        """Run one cell; what goes wrong is the student's affair, as in a notebook whose next cell is run anyway.

        Raises:
            GoneError, WireError: the process is lost.
        """
        try:
            return clean(self.peer.ask("run", {"source": source})[0])
        except (GoneError, WireError):
            raise
        except Exception as error:  # a shell that the student broke
            return clean({"stopped": [type(error).__name__, str(error), ""]})

    def put(self, files: Mapping[str, bytes]) -> None:
        """Lay files beside the notebook."""
        for name, content in files.items():
            self.peer.ask("put", {"file": name}, [content])

    def name(self, name: str) -> Any:
        """What stands under a name: a value, or a stand-in.

        Raises:
            NameError: nothing does.
        """
        return self.peer.value("name", {"name": name})

    def require(self) -> None:
        """A test may have caught that the process was lost, and must not go on as if it were not.

        Raises:
            GoneError, WireError: the process is lost.
        """
        if self.peer.lost:
            raise self.peer.lost


def judge(source: NotebookNode, submission: NotebookNode, student: Student) -> list[Verdict]:
    """Run a submission against the instructor's graded cells; all are lost from where the student's process is.

    Args:
        source: the instructor's notebook, hidden tests in.
        submission: the student's notebook.
        student: a fresh process.

    Returns:
        A verdict for each graded cell, in the order of the source.
    """
    found: dict[str, Verdict] = {}
    with contextlib.suppress(GoneError, WireError):
        for _, event in run(source, plan(source, submission), student):
            if isinstance(event, Verdict):
                found[event.grade_id] = event
    return [found.get(name, Verdict(name, False, "the process was lost")) for name in graded_cells(source)]


def plan(source: NotebookNode, submission: NotebookNode) -> list[Step]:
    """What is run, in this order: setup, then the student's cells and the tests as the submission has them.

    Each problem is judged by what stood when its test was reached in the submission, but never before the last of its
    solution cells: a test that was moved or left out changes nothing. Whose a cell is, its origin says: what a
    submission's metadata claims of its own cells is never believed.
    """
    own = {grade_id(cell): Step("setup", at, cell) for at, cell in enumerate(source.cells) if _is_run(cell)}
    steps = [step for step in own.values() if not is_test(step.cell)]
    due = _due(source, submission)
    for place, cell in enumerate(submission.cells):
        if cell.cell_type == "code" and grade_id(cell) not in own:
            steps.append(Step("student", place, cell))
        steps += [Step("test", own[name].place, own[name].cell) for name in due if due[name] == place]
    return steps


def _is_run(cell: NotebookNode) -> bool:
    """Whether a cell of the source is the instructor's to run."""
    return cell.cell_type == "code" and is_locked(cell)


def _due(source: NotebookNode, submission: NotebookNode) -> dict[str, int]:
    """After which place of the submission each test is run, by grade_id."""
    last = {grade_id(cell): place for place, cell in enumerate(submission.cells)}  # of copies, the last one counts
    known: dict[str, int] = {}
    for cell in filter(nbgrader_of, source.cells):
        problem, place = course_of(cell).get("problem", ""), last.get(grade_id(cell), -1)
        if is_solution(cell):
            known[problem] = max(known.get(problem, -1), place)
    due: dict[str, int] = {}
    for cell in filter(is_test, source.cells):
        problem = course_of(cell).get("problem", "")
        # A test that is not there is run where the one before it in its problem is.
        due[grade_id(cell)] = known[problem] = max(known.get(problem, -1), last.get(grade_id(cell), -1))
    end = len(submission.cells) - 1
    return {name: place if place >= 0 else end for name, place in due.items()}


def run(source: NotebookNode, steps: Collection[Step], student: Student) -> Iterator[tuple[Step, Ran | Verdict | None]]:
    """Take the steps one by one; each is given back before it is taken, with None, and with what it gave after.

    Raises:
        GoneError, WireError: the student's process was lost in the step that was given back last.
        SandboxError: a graded cell could not start what it must run in a sandbox, which is no fault of the student's.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    defined = _defined(source)
    for step in steps:
        yield step, None
        if step.kind == "student":
            yield step, Ran(step.place, student.run(step.cell.source))
        elif step.kind == "test":
            verdict = _verdict(step.cell, namespace, student, defined)
            student.require()
            yield step, verdict
        else:
            _execute(step.cell.source, namespace)
            student.run(step.cell.source)


def _defined(source: NotebookNode) -> dict[str, list[str]]:
    """The names that each problem asks a student to define."""
    found: dict[str, list[str]] = {}
    for cell in source.cells:
        found.setdefault(course_of(cell).get("problem", ""), []).extend(course_of(cell).get("defines", []))
    return found


def _verdict(cell: NotebookNode, namespace: dict[str, Any], student: Student, defined: dict[str, list[str]]) -> Verdict:
    try:
        for name in defined[course_of(cell)["problem"]]:
            namespace[name] = student.name(name)
        _execute(cell.source, namespace)
    except SandboxError:
        raise
    except (Exception, SystemExit) as error:  # a cell that exits is lost, as in a notebook; the next is judged
        words = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        return Verdict(grade_id(cell), False, printable(words[:LONGEST_TEXT]))
    return Verdict(grade_id(cell), True)


def _execute(source: str, namespace: dict[str, Any]) -> None:
    """Run an instructor's cell in this process; what it prints is nobody's verdict."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(compiled(source), namespace)


@cache
def compiled(source: str) -> CodeType:
    """The code of an instructor's cell, compiled once for all submissions."""
    return compile(source, "<graded cell>", "exec")
