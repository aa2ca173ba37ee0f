"""The autograded notebook: what the gradebook, the formgrader and the feedback show of a submission.

The student's cells stand as handed in, with what they put out when they were graded. The instructor's stand as they
were *released*: no hidden test is in it, so that none can leak through feedback. A graded cell that failed holds an
error output with its message, which is what nbgrader's own scoring looks at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from course_utils.grading.records import Verdict
from course_utils.notebooks import grade_id, graded_cells, is_locked, is_test, is_written


def autograded(
    released: NotebookNode,
    submission: NotebookNode,
    verdicts: Sequence[Verdict],
    outputs: Mapping[int, list[NotebookNode]],
) -> str:
    """The autograded notebook as ``.ipynb`` text.

    Args:
        released: the student's version of the assignment.
        submission: what was handed in.
        verdicts: of the graded cells.
        outputs: of the student's cells, by their place in the submission.
    """
    known = {grade_id(cell): cell for cell in released.cells if grade_id(cell)}
    last = {grade_id(cell): place for place, cell in enumerate(submission.cells)}
    cells = []
    for place, cell in enumerate(submission.cells):
        original = known.get(grade_id(cell)) if last[grade_id(cell)] == place else None
        cells.append(_merged(cell, original, outputs.get(place, [])))
    cells += [nbformat.from_dict(dict(cell)) for name, cell in known.items() if name not in last]
    return _written(released, _judged(cells, verdicts))


def refused(released: NotebookNode, reason: str) -> str:
    """The notebook that stands for a submission which could not be graded: as released, the reason above it."""
    words = f"**This submission was not graded: it is pending review.**\n\n    {reason}"
    cells = [nbformat.from_dict(dict(cell)) for cell in released.cells]
    verdicts = [Verdict(name, False, f"not graded: {reason}") for name in graded_cells(released)]
    return _written(released, [new_markdown_cell(words), *_judged(cells, verdicts)])


def _merged(cell: NotebookNode, original: NotebookNode | None, outputs: list[NotebookNode]) -> NotebookNode:
    """A cell of the submission; what it claims to be is replaced by what the released cell is.

    An answer in words stays whatever kind of cell it was turned into: a person reads it.
    """
    if original is not None and is_written(original):
        theirs = {key: cell[key] for key in ("source", "attachments") if key in cell}
        return nbformat.from_dict({**original, **theirs})
    if original is not None and (is_locked(original) or original.cell_type != cell.cell_type):
        return nbformat.from_dict(dict(original))
    kept = nbformat.from_dict(dict(cell))
    kept.metadata = nbformat.from_dict(dict(original.metadata) if original is not None else {})
    if kept.cell_type == "code":
        kept.outputs, kept.execution_count = outputs, None
    return kept


def _judged(cells: list[NotebookNode], verdicts: Sequence[Verdict]) -> list[NotebookNode]:
    by_name = {verdict.grade_id: verdict for verdict in verdicts}
    for cell in filter(is_test, cells):
        verdict = by_name.get(grade_id(cell))
        if verdict is not None and not verdict.passed:
            trace = verdict.message.split("\n")
            cell.outputs = [new_output("error", ename="not passed", evalue=verdict.message, traceback=trace)]
    return cells


def _written(released: NotebookNode, cells: list[NotebookNode]) -> str:
    """The notebook with ids of its own: those of a submission may be missing or occur twice."""
    for place, cell in enumerate(cells, start=1):
        cell["id"] = f"cell-{place:04}"
    nb = nbformat.from_dict({**released, "cells": cells})
    return nbformat.writes(nb) + "\n"
