"""Feedback pages through nbgrader's own template: points, comments and what each test found.

The page is shown to a student and is made of what a student wrote. So the notebook is built anew from what is known to
be harmless: roles and points come from the gradebook, never from the notebook's metadata; of outputs, text and PNG or
JPEG images pass; Markdown goes through bleach. The page has no script, and its content security policy lets a browser
run and fetch nothing. nbgrader's way from folder to folder is not taken: it looks for names as patterns (a ``[`` in a
student's id is never found) and copies what links point to.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat
import nbgrader.apps  # noqa: F401 - first: nbgrader's packages import each other in a circle
from bs4 import BeautifulSoup, Tag
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from pygments.formatters import HtmlFormatter

from course_utils.grading.database import GradebookError
from course_utils.grading.files import autograded_path
from course_utils.grading.gradebook import Book, Cell, Score
from course_utils.grading.notebook_pages import Page, as_text
from course_utils.notebooks import grade_id
from course_utils.release import write_atomically

POLICY = {
    "http-equiv": "Content-Security-Policy",
    "content": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
}
FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
# nbgrader's page has no colours for code, and no room in tables.
STYLE = HtmlFormatter(style="default").get_style_defs(".highlight") + " td, th { padding: 2px 12px 2px 0; }"
PAGES_WORTH_A_PROCESS = 6
SHORTEST_LEAK = 8  # characters: a shorter line of a hidden test stands in other code by chance


class FeedbackError(GradebookError):
    """Feedback that could not be written; the message is one line."""


def write_feedback(course: Path, name: str, students: Sequence[str] | None = None, url: str = "") -> list[Path]:
    """Write ``feedback/STUDENT/NAME/NAME.html`` from the gradebook and the autograded notebooks.

    Args:
        course: nbgrader's course folder.
        name: the assignment.
        students: whose; of all that were graded if None.
        url: the gradebook's; ``gradebook.db`` in the course folder if empty.

    Returns:
        The pages, in the order of the students' ids.

    Raises:
        GradebookError: the gradebook cannot be used, or knows nothing of this.
        FeedbackError: some pages could not be made; all others were written.
    """
    with Book(course, url, new=False) as book:
        scores = {score.student: score for score in book.scores(name)}
        cells = book.cells(name)
    chosen = sorted(set(scores if students is None else students))
    unknown = [student for student in chosen if student not in scores] or ([] if chosen else ["anybody"])
    if unknown:
        raise FeedbackError(f"{name}: nothing of {unknown[0]} was graded yet: run `course grade {name}` first")
    # A process to a core; for a few pages one is enough, as each takes seconds to start.
    jobs = max(1, min(os.cpu_count() or 1, len(chosen) // PAGES_WORTH_A_PROCESS))
    made = Parallel(n_jobs=jobs)(delayed(_try_page)(course, book.url, scores[student], cells) for student in chosen)
    faults = [f"{student}: {page}" for student, page in zip(chosen, made, strict=True) if isinstance(page, str)]
    if faults:
        raise FeedbackError(f"{name}: {len(faults)} of {len(chosen)} pages were not written; first {faults[0]}")
    return [page for page in made if isinstance(page, Path)]


def _try_page(course: Path, url: str, score: Score, cells: Mapping[str, Cell]) -> Path | str:
    """A page, or why there is none: one must not stop the others."""
    try:
        return _write_page(course, url, score, cells)
    except Exception as error:  # nbconvert and what it calls raise many types
        return " ".join(str(error).split())


def _write_page(course: Path, url: str, score: Score, cells: Mapping[str, Cell]) -> Path:
    name, student = score.assignment, score.student
    source = autograded_path(course, student, name)
    if source.is_symlink() or not source.is_file():
        raise FeedbackError(f"{source} is no file: run `course grade {name} --student {student} --regrade`")
    nb = _harmless(nbformat.read(source, as_version=4), score, cells)
    where = {"student": student, "assignment": name, "notebook": name, "db_url": url}
    page, _ = _exporter(course).from_notebook_node(nb, resources={"nbgrader": where})
    path = course / "feedback" / student / name / f"{name}.html"
    write_atomically(path, page.encode("utf-8", "replace"))
    return path


@lru_cache(maxsize=1)
def _exporter(course: Path) -> HTMLExporter:
    """Nbgrader's exporter, template and preprocessors, as its GenerateFeedback sets them up."""
    quiet = logging.getLogger(__name__)
    quiet.setLevel(logging.CRITICAL)  # else a line on the terminal for each image without a description
    converter = GenerateFeedback(coursedir=CourseDirectory(root=str(course)), log=quiet)
    exporter = FeedbackPage(parent=converter, config=converter.config)
    for step in converter.preprocessors:
        exporter.register_preprocessor(step, enabled=True)
    return exporter


class FeedbackPage(Page):
    """nbgrader's feedback page without a script; it tells the browser to run and fetch nothing."""

    def finish(self, soup: BeautifulSoup) -> Tag:
        """Take out all scripts, and the fonts of nbgrader's style; the page begins with its policy."""
        for script in soup("script"):
            script.decompose()
        for style in soup("style"):
            style.string = FONT_FACE.sub("", style.get_text())
        for link in soup.select("#toc a"):  # most of them are called "Test cell"
            link.string = _called(str(link["href"]).removeprefix("#"))
        ours = soup.new_tag("style")
        ours.string = STYLE
        (soup.head or soup).append(ours)
        return soup.new_tag("meta", attrs=POLICY)


def _called(place: str) -> str:
    """What a graded cell, or the comment on a cell, is called in the list of points."""
    if place.startswith("comment-"):
        return f"Comment on {place.removeprefix('comment-')}"
    problem, _, kind = place.rpartition("-")
    return f"{problem}, {kind} tests" if kind in ("visible", "hidden") else place


# --- the notebook that is shown -----------------------------------------------------------------------------------


def _harmless(nb: NotebookNode, score: Score, cells: Mapping[str, Cell]) -> NotebookNode:
    """The notebook built anew, with the gradebook's roles, the verdicts in the place of the tests' outputs."""
    verdicts = {each.grade_id: each for each in score.record.verdicts} if score.record else {}
    last = {grade_id(cell): place for place, cell in enumerate(nb.cells)}  # of copies the grader takes the last
    shown = list(_refusal(score))
    for place, cell in enumerate(nb.cells):
        name = grade_id(cell)
        ours = cells.get(name) if last[name] == place else None
        made = _rebuilt(cell, f"cell-{place}")
        if ours:
            made.metadata["nbgrader"] = _role(ours)
        if name in verdicts and ours and made.cell_type == "code":
            message = verdicts[name].message or "This test did not pass."
            made.outputs = [] if verdicts[name].passed else [new_output("stream", name="stderr", text=message)]
        shown.append(made)
    _check_nothing_hidden(shown, cells)
    return new_notebook(cells=shown)


def _refusal(score: Score) -> Iterator[NotebookNode]:
    """A first cell that says why a submission has no points."""
    if score.record and score.record.refusal:
        words = "**Your notebook could not be graded.** Your instructor will look at it. The reason:"
        yield new_markdown_cell(f"{words}\n\n    {' '.join(score.record.refusal.split())}", id="refusal")


def _rebuilt(cell: NotebookNode, name: str) -> NotebookNode:
    """A cell as it may be shown, without its metadata."""
    if cell.cell_type == "markdown":
        return new_markdown_cell(cell.source, id=name, attachments=cell.get("attachments", {}))
    return new_code_cell(cell.source, id=name, outputs=as_text(cell).outputs)


def _role(cell: Cell) -> dict[str, Any]:
    """What nbgrader's template and GetGrades ask of a cell."""
    graded = cell.points is not None and not cell.task
    role = {"grade_id": cell.name, "grade": graded, "solution": cell.solution, "task": cell.task, "locked": False}
    return {**role, "points": cell.points, "schema_version": 3}


def _check_nothing_hidden(shown: Sequence[NotebookNode], cells: Mapping[str, Cell]) -> None:
    """The last line of defence against a leak: the autograded notebook should hold no hidden test.

    Raises:
        FeedbackError: a line of one is shown that neither the student nor the released notebook has.
    """
    hidden, released = _parted("\n".join(cell.source for cell in cells.values()))
    ours = {cell.name for cell in cells.values() if not (cell.solution or cell.task)}
    theirs = "\n".join(cell.source for cell in shown if grade_id(cell) not in ours)
    page = "\n".join(text for cell in shown for text in (cell.source, *_output_texts(cell)))
    for line in hidden:
        if len(line) >= SHORTEST_LEAK and line in page and line not in theirs and line not in released:
            raise FeedbackError(f"its page would show a line of a hidden test: {line}")


def _parted(source: str) -> tuple[list[str], str]:
    """The lines of hidden tests, their first marker included, and the text without them."""
    hidden: list[str] = []
    released: list[str] = []
    inside = False
    for line in map(str.strip, source.split("\n")):
        inside = ("BEGIN HIDDEN TESTS" in line or inside) and "END HIDDEN TESTS" not in line
        (hidden if inside else released).append(line)
    return hidden, "\n".join(released)


def _output_texts(cell: NotebookNode) -> Iterator[str]:
    for output in cell.get("outputs", []):
        yield from (output.get("text", ""), *output.get("traceback", []), output.get("data", {}).get("text/plain", ""))
