"""The student's self-check: run a notebook from top to bottom in a clean kernel and say what is right.

It needs only what a student has installed. It advises: the grader runs the original tests with the hidden ones, on
the trusted side, and what is found here decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_utils import advice, notebooks
from course_utils._errors import CourseError
from course_utils.grading.forbidden import Finding, forbidden_by_problem
from course_utils.messages import error_of, message
from course_utils.notebooks import Problem, grade_id

NOT_WRITTEN = "not written yet"
BY_HAND = "graded by a person"
STUB = "YOUR ANSWER HERE"  # nbgrader's, in place of an answer in words


class CheckError(CourseError):
    """The notebook cannot be checked at all; the message is one line that says why and what to do."""


class UnreadableError(CheckError):
    """There is no such file, or it is not a notebook of this course."""


class ForeignError(UnreadableError):
    """A notebook, but not one of this course."""


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
    saved = deepcopy(nb)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    try:
        notebooks.run(nb, path.resolve().parent, timeout)
    except notebooks.KernelError as error:
        raise CheckError(f"{path}: {error}") from error
    costing, elsewhere = forbidden_by_problem(nb, nb)
    results = [_result(problem, nb, costing.get(problem.name, [])) for problem in expected(nb)]
    told = {result.name for result in results if result.status not in ("passes", BY_HAND)}
    of_run = [*_unused(elsewhere), *advice.of_run(saved, nb, told)]
    warnings = [*advice.of_file(saved, path), *of_run, *_unwritten(results)]
    return Report(course["assignment"], course.get("title", ""), results, warnings)


def read(path: Path) -> NotebookNode:
    """The notebook at ``path``.

    Raises:
        UnreadableError: there is no such file, it is not a notebook, or not one of this course.
    """
    if path.is_dir():
        raise UnreadableError(f"{path} is a folder: name the notebook in it, such as {path / path.name}.ipynb")
    if ".ipynb_checkpoints" in path.parts:
        raise UnreadableError(f"{path} is a checkpoint, an older state that JupyterLab keeps: name the notebook itself")
    try:
        nb = nbformat.reads(_text(path), as_version=4)
    except UnreadableError:
        raise
    except Exception as error:  # nbformat raises many types for what is not a notebook
        raise UnreadableError(
            f"{path}: not a notebook, or a damaged one: save it again, or go back to its last checkpoint"
        ) from error
    course = nb.metadata.get("course")
    if not isinstance(course, dict) or not course.get("assignment"):
        raise ForeignError(f"{path}: not a notebook of this course; those are in exercises/")
    if not _fits(nb):
        words = "made with another version of the course, or damaged: take the released notebook again"
        raise UnreadableError(f"{path}: {words}")
    return nb


def _fits(nb: NotebookNode) -> bool:
    """Whether what the metadata tell of the assignment has this version's form: all that is read of it later."""
    course = nb.metadata["course"]
    try:
        told = expected(nb)
        texts = [course["assignment"], course.get("title", ""), *(course.get("forbidden") or [])]
        texts += [text for problem in told for text in (problem.name, problem.title, *problem.solutions)]
        sides = [side for problem in told for side in (problem.visible, problem.hidden, problem.written)]
        math.fsum([*(points for side in sides for points in side.values()), *map(notebooks.points_of, nb.cells)])
    except (TypeError, ValueError, AttributeError, OverflowError):
        return False
    return all(isinstance(text, str) for text in texts)


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UnreadableError(f"{path}: there is no such file; the course's notebooks are in exercises/") from None
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read: {error.strerror}") from error
    if not text.strip():
        raise UnreadableError(f"{path} is empty: take the released notebook again, or go back to its last checkpoint")
    return text


def expected(nb: NotebookNode) -> list[Problem]:
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
        error = error_of(cells[name])
        if error and error.ename == "NotImplementedError":
            return NOT_WRITTEN, ""
        if error:
            return "fails", message(error, cells[name], nb)
    return "fails", f"the test cell '{failing[0]}' was not run: is it empty?"


def _ran(cell: NotebookNode) -> bool:
    """Whether the cell was run to its end."""
    return cell.get("execution_count") is not None and error_of(cell) is None


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


def _unwritten(results: Sequence[Result]) -> list[str]:
    missing = [result for result in results if result.status == NOT_WRITTEN and not result.written]
    points = sum(result.available + result.hidden for result in missing)
    if not missing:
        return []
    titles = ", ".join(result.title for result in missing)
    return [f"{points:g} points are still to be had, in what is not written yet: {titles}"]
