"""What all cases share: their form, and how a submission is made of the released notebook and a few cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from corpora.assignment import FULL, RIGHT, WRONG
from course_utils.grading.isolate import Limits
from course_utils.notebooks import grade_id

# Small, so that what eats is soon over; the clock is generous, since only code that waits for ever should meet it.
LIMITS = Limits(
    cpu_seconds=20,
    cell_cpu_seconds=3,
    wall_seconds=100,
    cell_wall_seconds=40,
    memory_bytes=400 << 20,
    processes=24,
    open_files=64,
    file_bytes=8 << 20,
    disk_bytes=32 << 20,
)
Handed = bytes | Mapping[str, bytes | Path]  # a notebook; or files by name, a path standing for a link to it
Make = Callable[[NotebookNode], Handed]


@dataclass(frozen=True)
class Case:
    """One submission, and what grading it must give.

    Attributes:
        make: the released student's notebook → what is handed in.
        expected: points by problem, exactly.
        reason: a pattern that a note, a message or the refusal must match; empty where nothing need be said.
        shows: a pattern that the outputs of the autograded notebook must match: proof that the attack was made.
        limits: what the submission may use.
        nbgrader_accepts: whether the file is one that nbgrader itself takes, so that its way gives the same points.
    """

    name: str
    group: str
    make: Make
    expected: Mapping[str, float]
    reason: str = ""
    shows: str = ""
    limits: Limits = LIMITS
    nbgrader_accepts: bool = True

    def __str__(self) -> str:
        return f"{self.group}-{self.name}"


def without(*problems: str) -> dict[str, float]:
    """Full points for all but these problems."""
    return {problem: 0.0 if problem in problems else most for problem, most in FULL.items()}


def cell_of(nb: NotebookNode, name: str) -> NotebookNode:
    """The cell of a grade_id."""
    return next(cell for cell in nb.cells if grade_id(cell) == name)


def answered(nb: NotebookNode, answers: Mapping[str, str]) -> NotebookNode:
    """The notebook with all problems answered: as given, else right."""
    for problem, source in {**RIGHT, **answers}.items():
        cell_of(nb, problem).source = source
    return nb


def insert(nb: NotebookNode, place: int, source: str, **metadata: Any) -> NotebookNode:
    """Put a cell of the student's own into the notebook."""
    nb.cells.insert(place, new_code_cell(source, metadata=metadata, id=f"own-{len(nb.cells)}"))
    return nb


def written(nb: NotebookNode) -> bytes:
    """The notebook as a file, whatever is wrong with it: nbformat would mend some of that."""
    return json.dumps(nb, ensure_ascii=False).encode()


def submission(answers: Mapping[str, str], first: str = "", last: str = "") -> Make:
    """A submission with these answers and, where given, a cell of the student's before or after all others."""

    def make(released: NotebookNode) -> bytes:
        nb = answered(released, {problem: source.strip("\n") for problem, source in answers.items()})
        if first:
            insert(nb, 0, first.strip("\n"))
        if last:
            insert(nb, len(nb.cells), last.strip("\n"))
        return written(nb)

    return make


@dataclass(frozen=True)
class Group:
    """Collects the cases of one group."""

    name: str
    cases: list[Case]

    def wrong(
        self, name: str, source: str, problem: str = "mean", *, first: str = "", last: str = "", **more: Any
    ) -> None:
        """A case whose answer to one problem is this; that problem deserves nothing, all others everything."""
        made = submission({problem: source}, first, last)
        self.cases.append(Case(name, self.name, made, **{"expected": without(problem), **more}))

    def first(self, name: str, source: str, problem: str = "mean", **more: Any) -> None:
        """A case whose very first cell is this, in the hope that it makes up for a wrong answer."""
        self.wrong(name, WRONG[problem], problem, first=source, **more)

    def tampered(self, **more: Any) -> Callable[[Callable[[NotebookNode], object]], Callable[[NotebookNode], object]]:
        """A case named after a function that changes a submission whose mean is wrong and all else right."""

        def add(change: Callable[[NotebookNode], object]) -> Callable[[NotebookNode], object]:
            def make(released: NotebookNode) -> bytes:
                nb = answered(released, {"mean": WRONG["mean"]})
                change(nb)
                return written(nb)

            name = change.__name__.replace("_", "-")
            self.cases.append(Case(name, self.name, make, **{"expected": without("mean"), **more}))
            return change

        return add
