"""What a student should know before handing in: one line each, which says what to do.

Some of it the saved file tells (:func:`of_file`), the rest shows when the notebook was run from top to bottom in a
clean kernel (:func:`of_run`). None of it costs a point.
"""

from __future__ import annotations

import re
import symtable
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from course_utils import needs, notebooks
from course_utils.messages import error_of, message
from course_utils.notebooks import (
    as_released,
    course_of,
    grade_id,
    is_locked,
    is_solution,
    is_test,
    labelled,
    nbgrader_of,
    points_of,
)

_UNKNOWN = re.compile(r"name '(\w+)' is not defined")


def of_file(nb: NotebookNode, path: Path) -> list[str]:
    """What the saved notebook tells: its name and version, cells that are not as released, when cells were run.

    Args:
        nb: the notebook as it was saved, with its outputs.
        path: where it was saved.
    """
    found = (_version(nb), _name(nb, path), _changed(nb), _copies(nb), _order(nb), _not_run(nb), _not_answered(nb))
    return [line for lines in found for line in lines]


def of_run(saved: NotebookNode, ran: NotebookNode, told: Collection[str]) -> list[str]:
    """What a clean run shows: cells that ran for the student and do not any more, others that stopped.

    Args:
        saved: the notebook as it was saved.
        ran: the same after a run from top to bottom.
        told: problems whose own message says already what is wrong.
    """
    return [*_lost(saved, ran), *_stopped(ran, told)]


# --- the saved file ---------------------------------------------------------------------------------------------


def _version(nb: NotebookNode) -> Iterator[str]:
    installed, released = notebooks.package_version(), course_of(nb).get("version")
    if released != installed:
        yield (
            f"the notebook was released with version {released} of the course, installed is {installed}: tests differ; "
            f"install {released}, or take the notebook that came with {installed}"
        )


def _name(nb: NotebookNode, path: Path) -> Iterator[str]:
    name = course_of(nb)["assignment"]
    if path.stem != name:
        yield f"this is {name} in a file of another name: hand it in as {name}.ipynb, as the grader expects it"


def _changed(nb: NotebookNode) -> Iterator[str]:
    """Setup and test cells that are not as released, by the checksum that nbgrader left in them."""
    for where, cell in labelled(nb):
        if is_locked(cell) and not as_released(cell):
            yield (
                f"{where} was changed: it is not yours to edit, and the grader runs the original; "
                "take it from the released notebook again"
            )


def _copies(nb: NotebookNode) -> Iterator[str]:
    counts = Counter(grade_id(cell) for cell in nb.cells if grade_id(cell))
    for name, count in counts.items():
        if count > 1:
            yield f"cell '{name}' is there {count} times: keep one, and copy only cells of your own"


def _order(nb: NotebookNode) -> Iterator[str]:
    """The first cell that was last run before one that stands above it."""
    latest, above = 0, ""
    for where, cell in labelled(nb):
        count = cell.get("execution_count") or 0
        if 0 < count < latest:
            yield (
                f"cells were last run out of order, {where} before {above}, which stands above it: "
                "run them again from the top, then save"
            )
            return
        if count > latest:
            latest, above = count, where


def _not_run(nb: NotebookNode) -> Iterator[str]:
    """Answers that were not run, in a notebook of which other cells were."""
    waiting = [where for where, cell in labelled(nb) if _is_code_answer(cell) and not cell.get("execution_count")]
    if waiting and any(cell.get("execution_count") for cell in nb.cells):
        yield f"your {', '.join(waiting)} was not run before you saved: run it and its test, then save again"


def _is_code_answer(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and is_solution(cell) and not as_released(cell)


def _not_answered(nb: NotebookNode) -> Iterator[str]:
    """Written answers, which a person grades, that are as they were given out."""
    for where, cell in labelled(nb):
        if is_solution(cell) and nbgrader_of(cell).get("grade") and (as_released(cell) or not cell.source.strip()):
            yield f"your answer in words, {where}, is not written yet: it is worth {points_of(cell):g} points"


# --- a clean run ------------------------------------------------------------------------------------------------


def _lost(saved: NotebookNode, ran: NotebookNode) -> Iterator[str]:
    """What worked only because of something that was run earlier, and that the notebook does not hold any more."""
    known: set[str] = set()
    names: set[str] = set()
    for place, (where, cell) in enumerate(labelled(ran)):
        known |= _defined(cell)
        missing = _missing(cell)
        if not missing or missing in known | names or not _ran(saved.cells[place]):
            continue
        names.add(missing)
        later = [other for other, below in list(labelled(ran))[place + 1 :] if missing in _defined(below)]
        what = (
            f"it is defined only further down, in {later[0]}: move that up" if later else "no cell defines it any more"
        )
        mend = "" if later else ": write its definition into a cell above again"
        yield f"{where} ran for you because `{missing}` was still in memory, but {what}{mend}"
    if not names and (broken := [w for place, (w, c) in enumerate(labelled(ran)) if _broke(saved.cells[place], c)]):
        yield (
            f"{broken[0]} ran for you, but not in a clean run from the top: "
            "choose Run → Restart Kernel and Run All Cells, and see where it stops"
        )


def _ran(cell: NotebookNode) -> bool:
    """Whether the saved file says that a cell was run to its end."""
    return bool(cell.get("execution_count")) and error_of(cell) is None


def _broke(before: NotebookNode, after: NotebookNode) -> bool:
    return _ran(before) and error_of(after) is not None


def _missing(cell: NotebookNode) -> str:
    """The name that a cell stopped for, if that is why."""
    error = error_of(cell)
    found = _UNKNOWN.search(error.evalue) if error is not None and error.ename == "NameError" else None
    return found[1] if found else ""


def _defined(cell: NotebookNode) -> set[str]:
    """The names that a cell binds at its top level."""
    if cell.cell_type != "code":
        return set()
    try:
        table = symtable.symtable(TransformerManager().transform_cell(cell.source), "cell", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return set()
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


def _stopped(nb: NotebookNode, told: Collection[str]) -> Iterator[str]:
    """Cells other than tests that stopped with an error, unless their problem's message says so already."""
    other = course_of(nb).get("version") != notebooks.package_version()  # which is said already
    for where, cell in labelled(nb):
        error = error_of(cell)
        if error is None or is_test(cell) or (is_solution(cell) and course_of(cell).get("problem") in told):
            continue
        if not (other and grade_id(cell) == needs.GRADE_ID):
            own = "" if is_locked(cell) else "your "
            yield f"{own}{where} stopped with {message(error, cell, nb)}"
