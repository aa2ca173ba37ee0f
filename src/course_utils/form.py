"""The contract of an assignment's source, as far as it shows without running it.

`faults` says in one line each, naming the cell, what breaks it. nbgrader would refuse some of these too, but without
a word on which cell it means.

A **written problem** is one Markdown cell, graded by a person: nbgrader's ``grade`` and ``solution`` are true, its
``points`` come on top of the 100, and its course metadata is ``{problem, title, written: true}``. Its solution region,
which no student gets, holds a model answer and the marking scheme, a list item ``- N points: for what`` for each part;
their points add up to the cell's.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields

from nbformat import NotebookNode

from course_utils import notebooks
from course_utils.grading.isolate import Limits
from course_utils.notebooks import (
    course_of,
    grade_id,
    is_solution,
    is_test,
    is_written,
    labelled,
    nbgrader_of,
    points_of,
)

MARK = re.compile(r"^[-*] (\d+(?:\.\d+)?) points?: \S", re.MULTILINE)  # an item of a marking scheme
SEED_LINE = re.compile(r"^SEED = \d[\d_]*\b", re.MULTILINE)


def faults(nb: NotebookNode) -> Iterator[str]:
    """What breaks the contract, the gravest first: header, ids, regions, cells by their kind, problems."""
    cells = (_solution_faults, _test_faults, _written_faults)
    for found in (_header_faults, _id_faults, _region_faults, *cells, _problem_faults):
        yield from found(nb)


def _header_faults(nb: NotebookNode) -> Iterator[str]:
    if not course_of(nb).get("title"):  # an editor that drops the header would drop what is forbidden without a word
        yield "its header has no `course` with a `title`: put it back, with `forbidden` and all that stood there"
    if not isinstance(wanted := course_of(nb).get("notebook", False), bool):
        yield f"course metadata `notebook` is true where graded cells read the notebook's file, not {wanted!r}"
    limits = course_of(nb).get("limits", {})
    known = [item.name for item in fields(Limits)]
    if not isinstance(limits, dict) or (unknown := [name for name in limits if name not in known]):
        what = unknown[0] if isinstance(limits, dict) else limits
        yield f"course metadata `limits` knows no {what!r}: there are {', '.join(known)}"
    else:
        try:
            Limits(**limits)
        except ValueError as error:
            yield f"course metadata `limits`: {error}"


def _id_faults(nb: NotebookNode) -> Iterator[str]:
    seen = Counter(grade_id(cell) for cell in nb.cells if nbgrader_of(cell))
    for where, cell in labelled(nb):
        if nbgrader_of(cell) and not grade_id(cell):
            yield f"{where} ({_first_line(cell)}) has no grade_id: give it one, unique in the assignment"
        elif nbgrader_of(cell) and seen[grade_id(cell)] > 1:
            yield f"{where}: its grade_id stands on {seen[grade_id(cell)]} cells; every cell needs its own"


def _first_line(cell: NotebookNode) -> str:
    line = cell.source.strip().split("\n")[0]
    return f"`{line if len(line) <= 40 else line[:39] + '…'}`"


def _region_faults(nb: NotebookNode) -> Iterator[str]:
    for where, cell in labelled(nb):
        for region, belongs, kind in (("SOLUTION", is_solution, "solution"), ("HIDDEN TESTS", is_test, "test")):
            fault = _marker_fault(cell.source, region)
            if fault:
                yield f"{where}: {fault}"
            if f"BEGIN {region}" in cell.source and not belongs(cell):
                yield f"{where} has ### BEGIN {region} but is not a {kind} cell"


def _marker_fault(source: str, region: str) -> str | None:
    """What is wrong with the markers of one kind; nbgrader says it too, but not in which cell."""
    opened = 0
    for number, line in enumerate(source.split("\n"), start=1):
        if f"BEGIN {region}" in line:
            if opened:
                return f"### BEGIN {region} in line {number} comes before the END of the one in line {opened}"
            opened = number
        elif f"END {region}" in line:
            if not opened:
                return f"### END {region} in line {number} has no BEGIN"
            opened = 0
    return f"### BEGIN {region} in line {opened} has no END" if opened else None


def _solution_faults(nb: NotebookNode) -> Iterator[str]:
    for where, cell in labelled(nb):
        if not is_solution(cell) or is_written(cell) or cell.cell_type != "code":
            continue
        defines = course_of(cell).get("defines")
        if not course_of(cell).get("problem"):
            yield f"{where}: a solution cell needs course metadata `problem`"
        elif not defines:
            yield f"{where}: a solution cell needs course metadata `defines`, the names that the tests use"
        elif "BEGIN SOLUTION" not in cell.source:
            yield f"{where} has no ### BEGIN SOLUTION: the signature and docstring stand outside the solution"
        else:
            try:
                missing = [item for item in defines if item not in _defined(cell.source)]
            except SyntaxError as error:
                yield f"{where} is not valid Python: {error.msg} (line {error.lineno})"
            else:
                if missing:
                    yield f"{where} does not define {', '.join(missing)}, which its metadata `defines` declares"


def _defined(source: str) -> set[str]:
    """The names that a cell binds at its top level by def, class, assignment or import."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name.split(".")[0] for alias in names}
            case ast.Assign() | ast.AnnAssign():
                found |= {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and _stores(item)}
    return found


def _stores(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _written_faults(nb: NotebookNode) -> Iterator[str]:
    for where, cell in labelled(nb):
        if is_solution(cell) and (cell.cell_type != "code" or is_written(cell)):
            fault = _written_fault(cell)
            if fault:
                yield f"{where}: {fault}"


def _written_fault(cell: NotebookNode) -> str | None:
    """What is wrong with a cell for an answer in words, the first of it."""
    if cell.cell_type != "markdown" or not is_written(cell):
        return "an answer in words is a Markdown cell with course metadata `written: true`, and no other cell is"
    if not course_of(cell).get("problem"):
        return "a solution cell needs course metadata `problem`"
    if not nbgrader_of(cell).get("grade"):
        return "a written problem is graded by a person: set nbgrader's `grade` to true, and `points`"
    marks = [float(points) for points in MARK.findall("\n".join(_lines_of("SOLUTION", cell.source)))]
    if not marks:
        return "its solution region has no marking scheme, a list item `- N points: for what` for each part"
    if sum(marks) != points_of(cell):
        return f"its marking scheme adds up to {sum(marks):g} points, the cell has {points_of(cell):g}"
    return None


def _test_faults(nb: NotebookNode) -> Iterator[str]:
    for where, cell in labelled(nb):
        if not nbgrader_of(cell).get("grade"):
            continue
        if not isinstance(nbgrader_of(cell).get("points"), int | float):
            yield f"{where}: a graded cell needs `points`"
        if not is_test(cell):
            continue
        tests = course_of(cell).get("tests")
        hidden_code = "\n".join(_lines_of("HIDDEN TESTS", cell.source))
        if not course_of(cell).get("problem"):
            yield f"{where}: a test cell needs course metadata `problem`"
        elif tests not in ("visible", "hidden"):
            yield f"{where}: course metadata `tests` must be visible or hidden, not {tests!r}"
        elif tests == "hidden" and not SEED_LINE.search(hidden_code):
            yield f"{where} has no line `SEED = <integer>` between ### BEGIN HIDDEN TESTS and its END"
    total = sum(points_of(cell) for cell in nb.cells if is_test(cell))
    if total != 100:
        yield f"the automatic points add up to {total:g}, not to 100 ({_points_listed(nb)})"


def _lines_of(region: str, source: str) -> Iterator[str]:
    """The lines in the regions of one kind, with the lines that begin them."""
    inside = False
    for line in source.split("\n"):
        inside = (f"BEGIN {region}" in line or inside) and f"END {region}" not in line
        if inside:
            yield line


def _points_listed(nb: NotebookNode) -> str:
    return ", ".join(f"{grade_id(cell)} {points_of(cell):g}" for cell in nb.cells if is_test(cell))


def _problem_faults(nb: NotebookNode) -> Iterator[str]:
    for problem in notebooks.problems(nb):
        first, *others = [*problem.solutions, *problem.visible, *problem.hidden]
        if problem.written:
            if others:
                what = f"its problem '{problem.name}' is written"
                yield f"cell '{first}': {what}, and one cell only: '{others[0]}' is more"
            continue
        for kind in ("solutions", "visible", "hidden"):
            if not getattr(problem, kind):
                what = "solution cell" if kind == "solutions" else f"{kind} test cell"
                yield f"cell '{first}': its problem '{problem.name}' has no {what}"
