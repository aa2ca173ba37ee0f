"""What became of the instructor's cells in a submission: notes for the instructor, never a score.

Each note is one line. A score does not need them, since the grader runs the instructor's own cells; they tell where a
talk with the student may be due, or only that a notebook has been through an odd program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nbformat import NotebookNode

from course_utils.grading.untrusted import shown
from course_utils.notebooks import course_of, grade_id, is_locked, label, nbgrader_of

_ROLE = ("grade", "solution", "locked", "task", "points")
_SKIP = "skip-execution"


def integrity_notes(released: NotebookNode, submission: NotebookNode) -> list[str]:
    """Compare a submission with the notebook that was released.

    Args:
        released: the student's version, as it was given out.
        submission: what was handed in.
    """
    found = (_notebook_notes, _missing, _changed, _copies, _order, _claims)
    return [note for notes in found for note in notes(released, submission)]


def _notebook_notes(released: NotebookNode, submission: NotebookNode) -> Iterator[str]:
    wanted, course = released.metadata["course"], course_of(submission)
    if course.get("source_hash") != wanted["source_hash"]:
        version = str(course.get("version") or "unknown")[:20]
        yield (
            f"it was released from another state of the assignment (version {version!a}): "
            f"graded with the present tests, of version {wanted['version']}"
        )
    elif course != wanted:
        yield "the notebook's course metadata was changed"
    kernel = submission.metadata.get("kernelspec", {})
    name = kernel.get("name") if isinstance(kernel, dict) else None
    if name not in (None, "python3"):
        yield f"it names another kernel ({str(name)[:40]!a}): run as Python all the same"


def _own(nb: NotebookNode) -> dict[str, NotebookNode]:
    """The cells that have a grade_id; of copies, the last one."""
    return {grade_id(cell): cell for cell in nb.cells if grade_id(cell)}


def _missing(released: NotebookNode, submission: NotebookNode) -> Iterator[str]:
    there = _own(submission)
    for name, cell in _own(released).items():
        if name not in there:
            kind = "cell" if is_locked(cell) else "solution cell"
            yield f"{kind} '{name}' is missing" + (": the original was run" if is_locked(cell) else "")


def _changed(released: NotebookNode, submission: NotebookNode) -> Iterator[str]:
    there = _own(submission)
    for name, cell in _own(released).items():
        if name not in there:
            continue
        other = there[name]
        if is_locked(cell) and other.source != cell.source:
            yield f"cell '{name}' was edited: the original was run"
        if other.cell_type != cell.cell_type:
            yield f"cell '{name}' was turned into a {other.cell_type} cell"
        if any(nbgrader_of(other).get(key) != nbgrader_of(cell).get(key) for key in _ROLE):
            yield f"the grading metadata of cell '{name}' was changed"
        elif nbgrader_of(other).get("checksum") != nbgrader_of(cell).get("checksum"):
            yield f"the checksum of cell '{name}' was changed"
        if course_of(other) != course_of(cell):
            yield f"the course metadata of cell '{name}' was changed"


def _copies(released: NotebookNode, submission: NotebookNode) -> Iterator[str]:
    counts = Counter(grade_id(cell) for cell in submission.cells if grade_id(cell))
    for name in _own(released):
        if counts[name] > 1:
            yield f"cell '{name}' is there {counts[name]} times"


def _order(released: NotebookNode, submission: NotebookNode) -> Iterator[str]:
    """A cell has moved if, of the cells that both have, another one stands before it."""
    known = list(_own(released))
    kept = [name for name in _own(submission) if name in known]
    wanted = [name for name in known if name in kept]
    if kept != wanted:
        first = next(name for name, other in zip(wanted, kept, strict=True) if name != other)
        yield f"cells were moved (from cell '{first}' on): each problem was judged after its solution"


def _claims(released: NotebookNode, submission: NotebookNode) -> Iterator[str]:
    known = _own(released)
    for place, cell in enumerate(submission.cells, start=1):
        tags = cell.metadata.get("tags")
        if isinstance(tags, list) and _SKIP in tags:
            yield f"{shown(label(cell, place))} carries the tag {_SKIP}: run all the same"
        role = nbgrader_of(cell)
        if grade_id(cell) not in known and (role.get("grade") or role.get("locked") or role.get("solution")):
            name = f"{grade_id(cell)[:40]!a}"
            yield f"cell {place} claims to be the instructor's or graded ({name}): taken as a student's"
