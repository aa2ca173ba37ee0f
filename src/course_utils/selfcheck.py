"""The student's self-check: run a notebook from top to bottom in a clean kernel and say what is right.

It needs only what a student has installed. It advises: the grader runs the original tests with the hidden ones, on
the trusted side, and what is found here decides nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_utils import notebooks
from course_utils._errors import CourseError
from course_utils.grading.forbidden import Finding, forbidden_by_problem
from course_utils.notebooks import Problem, grade_id, is_locked, is_solution, is_test, labelled, nbgrader_of

NOT_WRITTEN = "not written yet"
BY_HAND = "graded by a person"
STUB = "YOUR ANSWER HERE"  # nbgrader's, in place of an answer in words
TOO_LONG = "took longer than the time limit and was stopped: is there a loop that never ends?"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r"Cell In\[(\d+)\], line (\d+)")
_PLACE = re.compile(r" \((?:\d+\.py|<[^>]*>), line \d+\)$")  # what IPython adds to a SyntaxError


class CheckError(CourseError):
    """The notebook cannot be checked at all; the message is one line that says why and what to do."""


class UnreadableError(CheckError):
    """There is no such file, or it is not a notebook of this course."""


@dataclass
class Result:
    """What is known of one problem.

    Attributes:
        earned, available: points of the visible tests; nothing is earned with a forbidden name.
        hidden: points that only the grader can give.
        written: points that only a person can give.
        hidden_words: what the hidden tests look at, as the notebook says it.
        status: "passes", "fails", "not written yet", "missing", "forbidden call" or "graded by a person".
        message: what is wrong, in the student's terms; empty when nothing is.
        forbidden: forbidden names in the cells that this problem's answer uses.
    """

    name: str
    title: str
    earned: float
    available: float
    hidden: float
    hidden_words: str
    status: str
    message: str
    forbidden: list[Finding] = field(default_factory=list)
    written: float = 0


@dataclass
class Report:
    """The self-check of a notebook: results in order, and warnings."""

    assignment: str
    title: str
    results: list[Result]
    warnings: list[str]

    @property
    def passed(self) -> bool:
        """Whether every visible test passes, no answer in words is missing, and none uses a forbidden name."""
        return all(result.status in ("passes", BY_HAND) for result in self.results)


def check(path: Path, timeout: int = notebooks.CELL_TIMEOUT) -> Report:
    """Run the notebook at ``path`` and report on each problem; the file itself is not changed.

    Args:
        path: a notebook of this course; its folder is the kernel's working directory.
        timeout: seconds that one cell may take.

    Raises:
        UnreadableError: there is no such file, or it is not a notebook of this course.
        CheckError: its kernel died, a cell could not be stopped, or its tests would read another file.
    """
    nb = read(path)
    course = nb.metadata["course"]
    if course.get("notebook") and path.stem != course["assignment"]:
        raise CheckError(f"{path}: its tests read the notebook by its name: save it as {course['assignment']}.ipynb")
    changed = _changed_cells(nb)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    try:
        notebooks.run(nb, path.resolve().parent, timeout)
    except notebooks.KernelError as error:
        raise CheckError(f"{path}: {error}") from error
    costing, elsewhere = forbidden_by_problem(nb, nb)
    results = [_result(problem, nb, costing.get(problem.name, [])) for problem in _expected(nb)]
    warnings = [*_version_warnings(course), *changed, *_duplicates(nb), *_unused(elsewhere), *_stopped(nb, results)]
    return Report(course["assignment"], course.get("title", ""), results, warnings)


def read(path: Path) -> NotebookNode:
    """The notebook at ``path``.

    Raises:
        UnreadableError: there is no such file, it is not a notebook, or not one of this course.
    """
    try:
        nb = nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise UnreadableError(f"{path}: there is no such file; the course's notebooks are in exercises/") from None
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # nbformat raises many types for what is not a notebook
        raise UnreadableError(
            f"{path}: not a notebook, or a damaged one: save it again, or go back to its last checkpoint"
        ) from error
    course = nb.metadata.get("course")
    if not isinstance(course, dict) or not course.get("assignment"):
        raise UnreadableError(f"{path}: not a notebook of this course; those are in exercises/")
    return nb


def _expected(nb: NotebookNode) -> list[Problem]:
    """The problems as released, so that a deleted one is missed; else those that the cells tell of."""
    released = nb.metadata["course"].get("problems")
    return [Problem(**problem) for problem in released] if released else notebooks.problems(nb)


# --- one problem ------------------------------------------------------------------------------------------------


def _result(problem: Problem, nb: NotebookNode, forbidden: list[Finding]) -> Result:
    cells = {grade_id(cell): cell for cell in reversed(nb.cells) if grade_id(cell)}
    passing = [name for name in problem.visible if name in cells and _ran(cells[name])]
    status, message = _verdict(problem, cells, passing, nb)
    if forbidden and status == "passes":
        status = "forbidden call"
    return Result(
        name=problem.name,
        title=problem.title or problem.name,
        earned=0 if forbidden else sum(problem.visible[name] for name in passing),
        available=sum(problem.visible.values()),
        hidden=sum(problem.hidden.values()),
        hidden_words=" ".join(_words(cells[name]) for name in problem.hidden if name in cells),
        status=status,
        message=message,
        forbidden=forbidden,
        written=sum(problem.written.values()),
    )


def _verdict(
    problem: Problem, cells: dict[str, NotebookNode], passing: Sequence[str], nb: NotebookNode
) -> tuple[str, str]:
    """The status of a problem and its first message: the student's own cell speaks before the tests do."""
    missing = [name for name in [*problem.solutions, *problem.visible, *problem.hidden] if name not in cells]
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing)
        return "missing", f"the notebook has no cell {listed}: take it from the released notebook again"
    if problem.written:
        unwritten = any(cells[name].source.strip() in ("", STUB) for name in problem.written)
        return (NOT_WRITTEN if unwritten else BY_HAND), ""
    failing = [name for name in problem.visible if name not in passing]
    if not failing:
        return "passes", ""
    for name in [*problem.solutions, *failing]:
        error = _error(cells[name])
        if error and error.ename == "NotImplementedError":
            return NOT_WRITTEN, ""
        if error:
            return "fails", _message(error, cells[name], nb)
    return "fails", f"the test cell '{failing[0]}' was not run: is it empty?"


def _ran(cell: NotebookNode) -> bool:
    """Whether the cell was run to its end."""
    return cell.get("execution_count") is not None and _error(cell) is None


def _error(cell: NotebookNode) -> NotebookNode | None:
    """The error that stopped a cell, if one did."""
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def _message(error: NotebookNode, cell: NotebookNode, nb: NotebookNode) -> str:
    """An error in the student's terms: an assertion's own words, else type, text and the line in their cell."""
    text = _PLACE.sub("", _ANSI.sub("", error.evalue)).strip()
    if error.ename == "AssertionError" and text:
        return text
    said = TOO_LONG if error.ename == "KeyboardInterrupt" else f"{error.ename}: {text}" if text else error.ename
    by_count = {str(item.get("execution_count")): (where, item) for where, item in labelled(nb)}
    frames = _FRAME.findall(_ANSI.sub("", "\n".join(error.traceback)))
    for count, line in reversed(frames):
        where, item = by_count.get(count, ("", cell))
        if where and not is_locked(item):
            return f"{said} (line {line} of your {where})"
    for count, line in frames[:1]:
        where, item = by_count.get(count, ("the test", cell))
        code = item.source.split("\n")[int(line) - 1].strip()
        return f"{said} (in the test, line {line}: {code})"
    return said


def _words(cell: NotebookNode) -> str:
    """What a hidden test says of itself: its comment lines, as one line."""
    lines = [line.strip().lstrip("#").strip() for line in cell.source.split("\n") if line.strip().startswith("#")]
    return " ".join(line for line in lines if line)


# --- the whole notebook -----------------------------------------------------------------------------------------


def _unused(elsewhere: Sequence[Finding]) -> list[str]:
    return [
        f"{finding.name} in {finding.cell}, line {finding.line}: forbidden in answers, and no answer uses that cell"
        for finding in elsewhere
    ]


def _version_warnings(course: dict[str, Any]) -> list[str]:
    installed, released = notebooks.package_version(), course.get("version")
    if released == installed:
        return []
    return [f"the notebook was released with version {released} of the course, installed is {installed}: tests differ"]


def _changed_cells(nb: NotebookNode) -> list[str]:
    """Setup and test cells that are not as released, by the checksum that nbgrader left in them."""
    cells = ((where, cell) for where, cell in labelled(nb) if is_locked(cell) and nbgrader_of(cell).get("checksum"))
    changed = [where for where, cell in cells if notebooks.checksum(cell) != nbgrader_of(cell)["checksum"]]
    return [f"{where} was changed: it is not yours to edit, and the grader runs the original" for where in changed]


def _duplicates(nb: NotebookNode) -> list[str]:
    counts = Counter(grade_id(cell) for cell in nb.cells if grade_id(cell))
    twice = [name for name, count in counts.items() if count > 1]
    return [f"cell '{name}' is there {counts[name]} times: keep one, and copy only cells of your own" for name in twice]


def _stopped(nb: NotebookNode, results: Sequence[Result]) -> list[str]:
    """Cells other than tests that stopped with an error, unless their problem's message says so already."""
    told = {result.name for result in results if result.status not in ("passes", BY_HAND)}
    warnings = []
    for where, cell in labelled(nb):
        error = _error(cell)
        if error is None or is_test(cell):
            continue
        if is_solution(cell) and notebooks.course_of(cell).get("problem") in told:
            continue
        own = "" if is_locked(cell) else "your "
        warnings.append(f"{own}{where} stopped with {_message(error, cell, nb)}")
    return warnings
