"""What stopped a cell, in the student's terms: a failed test's words, else the error and the line in their cell."""

from __future__ import annotations

import re

from nbformat import NotebookNode

from course_utils.grading.outputs import printable
from course_utils.notebooks import is_locked, labelled

TOO_LONG = "took longer than the time limit and was stopped: is there a loop that never ends?"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r"Cell In\[(\d+)\], line (\d+)")
_PLACE = re.compile(r" \((?:\d+\.py|<[^>]*>), line \d+\)$")  # what IPython adds to a SyntaxError


def error_of(cell: NotebookNode) -> NotebookNode | None:
    """The error that stopped a cell, if one did."""
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def message(error: NotebookNode, cell: NotebookNode, nb: NotebookNode) -> str:
    """An error in the student's terms.

    Args:
        error: the error output.
        cell: the cell that it stopped.
        nb: the notebook, as it was run.

    Returns:
        An assertion's own words, as the grader gives them; else type, text and the line in the student's cell.
    """
    text = printable(_PLACE.sub("", _ANSI.sub("", error.evalue)).strip())
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
