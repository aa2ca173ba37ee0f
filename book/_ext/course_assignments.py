"""Assignments as pages: the notebook that students get, with a card at its top and a word before each cell.

`book/exercises` is a link to `exercises/`, so a page is read from the released file itself, which never held a
solution or a hidden test. What is added here is added to what was read; the file stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from course_chapters import ASSIGNMENTS, chapter_of
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from course_utils import needs
from course_utils.notebooks import course_of, grade_id, is_locked, is_solution, is_test, points_of, problems

OPENING = re.compile(r"\*\*\w+ problems, \d+ points, ([^*]+)\.\*\*")


def annotate(app: Sphinx, page: str, content: list[str]) -> None:
    """Put the card and the words into an assignment that is being read."""
    if not page.startswith(ASSIGNMENTS):
        return
    nb = nbformat.reads(content[0], as_version=4)
    title, _, text = nb.cells[0].source.partition("\n")
    nb.cells[0].source = f"{title}\n\n{card(nb, Path(app.env.doc2path(page)))}\n{text}"
    shown = (cell for cell in nb.cells if grade_id(cell) != needs.GRADE_ID)  # a page needs no installation
    nb.cells = [each for cell in shown for each in (*word(nb, cell), cell)]
    content[0] = nbformat.writes(nb)


def card(nb: NotebookNode, path: Path) -> str:
    """What to know before: how long, how much, to what it belongs, how to have it and to check it."""
    opening = OPENING.search(nb.cells[0].source)
    if opening is None:
        raise ExtensionError(f"{path.name}: its opening does not say '**N problems, 100 points, M minutes.**'")
    points = sum(points_of(cell) for cell in nb.cells)
    files = ", ".join(f"{{download}}`{each.name}`" for each in sorted(path.parent.iterdir()) if each.is_file())
    handed_in = ", ".join(f"`{name}`" for name in [path.name, *course_of(nb).get("files", [])])
    return f"""```{{admonition}} At a glance
:class: assignment

:Time: {opening[1]}
:Points: {points:g}, in {len(problems(nb))} problems
:Goes with: {{doc}}`/{chapter(path)}`
:Download: {files}; how to install what it needs: {{doc}}`/running`
:Check it: `course check {path.name}`, in a terminal, in the notebook's folder
:Hand in: {handed_in}
```
"""


def chapter(path: Path) -> str:
    """The page that an assignment goes with."""
    return next(Path(__file__).parents[1].glob(f"{chapter_of(path.stem)}-*.md")).stem


def word(nb: NotebookNode, cell: NotebookNode) -> Iterator[NotebookNode]:
    """Before a cell that is an answer, a test, or given: which of them."""
    kind, text = _role(nb, cell)
    if text:
        yield nbformat.v4.new_markdown_cell(f"{{.cell-role .{kind}}}\n{text}")


def _role(nb: NotebookNode, cell: NotebookNode) -> tuple[str, str]:
    """The kind of a cell, as the style sheet knows it, and what is said above it."""
    names = [problem.name for problem in problems(nb)]
    if is_solution(cell):
        return "your-answer", f"**Your answer** to problem {names.index(course_of(cell)['problem']) + 1}."
    points = f"{points_of(cell):g} points" if is_test(cell) else ""
    if is_test(cell) and course_of(cell).get("tests") == "hidden":
        return "hidden-test", f"**Hidden test**, {points}. Words say what it looks at; it runs in grading only."
    if is_test(cell):
        return "visible-test", f"**Visible test**, {points}. Run it as often as you like."
    return "given", "**Given.** It stays as it is." if is_locked(cell) else ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.connect("source-read", annotate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
