"""What a student is told before handing in: by the saved file alone, and by a clean run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from support import fill, reads, reference, small_repository, stub

from course_utils import advice, notebooks, release, selfcheck
from course_utils.notebooks import grade_id

NAME = "01-sums"
Change = Callable[[NotebookNode], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    return release.build(small_repository(tmp_path_factory.mktemp("repository")), NAME)


@pytest.fixture
def answered(made: release.Released) -> NotebookNode:
    """The reference's answers, in the words of a student, as JupyterLab saves them after a run from the top."""
    own = {name: f"{source}\n# mine" for name, source in reference(made).items()}
    nb = fill(reads(made.student), own)
    run_as(nb)
    return nb


def run_as(nb: NotebookNode, **counts: int | None) -> None:
    """Number the cells as in a run from the top, some of them otherwise."""
    for place, cell in enumerate((cell for cell in nb.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = counts.get(grade_id(cell).replace("-", "_"), place)


def cell_of(nb: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in nb.cells if grade_id(cell) == name)


# --- the saved file ---


def never_run(nb: NotebookNode) -> None:
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.execution_count = None


def of_another_name(nb: NotebookNode) -> None:
    nb.metadata["course"]["assignment"] = "02-other"


def edited_test(nb: NotebookNode) -> None:
    cell_of(nb, "mean-visible").source += "\n# I was here"


FILES: dict[str, tuple[Change, str]] = {
    "all is well": (run_as, ""),
    "never run at all": (never_run, ""),
    "renamed": (of_another_name, "this is 02-other in a file of another name: hand it in as 02-other.ipynb, as the"),
    "older": (
        lambda nb: nb.metadata["course"].update(version="0.0.1"),
        "the notebook was released with version 0.0.1 of the course, installed is ",
    ),
    "out of order": (
        lambda nb: run_as(nb, setup=9, mean=8, spread=7),
        "cells were last run out of order, cell 'mean' before cell 'setup', which stands above it: run "
        "them again from the top, then save",
    ),
    "not run": (
        lambda nb: run_as(nb, mean=None),
        "your cell 'mean' was not run before you saved: run it and its test, then save again",
    ),
    "a test was changed": (edited_test, "cell 'mean-visible' was changed: it is not yours to edit, and the grader"),
    "a copy": (
        lambda nb: nb.cells.append(nbformat.from_dict({**cell_of(nb, "mean"), "execution_count": 99})),
        "cell 'mean' is there 2 times: keep one, and copy only cells of your own",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_the_saved_file_tells(answered: NotebookNode, case: str) -> None:
    change, said = FILES[case]
    change(answered)
    found = advice.of_file(answered, Path(f"{NAME}.ipynb"))
    assert [line[: len(said)] for line in found] == [said] * bool(said)


def test_what_was_never_written_needs_no_run(answered: NotebookNode, made: release.Released) -> None:
    run_as(fill(answered, {"mean": stub(made)["mean"]}), mean=None)
    assert advice.of_file(answered, Path(f"{NAME}.ipynb")) == []


@pytest.mark.parametrize(("text", "missed"), [("YOUR ANSWER HERE", True), (" ", True), ("Because.", False)])
def test_an_answer_in_words_is_missed(answered: NotebookNode, text: str, missed: bool) -> None:
    role = {"grade": True, "grade_id": "why", "locked": False, "points": 10, "solution": True, "task": False}
    cell = nbformat.v4.new_markdown_cell("YOUR ANSWER HERE", id="why", metadata={"nbgrader": role})
    cell.metadata.nbgrader["checksum"] = notebooks.checksum(cell)
    answered.cells.append(cell)
    cell.source = text
    said = ["your answer in words, cell 'why', is not written yet: it is worth 10 points"]
    assert advice.of_file(answered, Path(f"{NAME}.ipynb")) == said * missed


# --- a clean run ---

GONE = "no cell defines it any more: write its definition into a cell above again"
RUNS = {
    "a deleted helper": ("", GONE),
    "a helper too far down": (
        "%time\nfor total in [sum]: pass",
        "it is defined only further down, in cell 8: move that up",
    ),
    "a local of the same name": ("def other():\n    total = sum", GONE),
    "what is no Python": ("total = (", GONE),
    "a cell that only reads it": ("print(total)", GONE),
}


def stopped(nb: NotebookNode, name: str, ename: str, evalue: str) -> NotebookNode:
    """The notebook after a run in which an error stopped one cell."""
    ran = nbformat.from_dict(nb)
    cell_of(ran, name).outputs = [nbformat.v4.new_output("error", ename=ename, evalue=evalue, traceback=[])]
    return ran


@pytest.mark.parametrize("case", RUNS)
def test_a_clean_run_tells_which_name_is_gone(answered: NotebookNode, case: str) -> None:
    own, why = RUNS[case]
    answered.cells.insert(7, nbformat.v4.new_code_cell(own, id="own"))
    run_as(answered)
    ran = stopped(answered, "mean-visible", "NameError", "name 'total' is not defined")
    said = f"cell 'mean-visible' ran for you because `total` was still in memory, but {why}"
    assert advice.of_run(answered, ran, {"mean"}) == [said]


def test_another_error_in_a_clean_run_sends_to_a_clean_run(answered: NotebookNode) -> None:
    ran = stopped(answered, "mean-visible", "IndexError", "list index out of range")
    said = "cell 'mean-visible' ran for you, but not in a clean run from the top: choose Run → Restart Kernel and Run "
    said += "All Cells, and see where it stops"
    assert advice.of_run(answered, ran, {"mean"}) == [said]


def test_what_failed_before_is_no_news_of_a_clean_run(answered: NotebookNode) -> None:
    ran = stopped(answered, "mean-visible", "NameError", "name 'total' is not defined")
    assert advice.of_run(ran, ran, {"mean"}) == []


def test_a_cell_of_ones_own_that_stops_is_named(answered: NotebookNode) -> None:
    answered.cells.append(nbformat.v4.new_code_cell("1 / 0", id="own"))
    ran = stopped(answered, "mean", "ZeroDivisionError", "division by zero")
    assert advice.of_run(ran, ran, {"mean"}) == []  # its problem says so
    assert advice.of_run(ran, ran, set()) == ["your cell 'mean' stopped with ZeroDivisionError: division by zero"]


def test_a_kernel_says_it_in_these_words(made: release.Released, tmp_path: Path) -> None:
    source = "def mean(numbers):\n    return total(numbers) / len(numbers)"
    nb = fill(reads(made.student), {**reference(made), "mean": source})
    run_as(nb)
    path = tmp_path / f"{NAME}.ipynb"
    nbformat.write(nb, path)
    report = selfcheck.check(path)
    assert report.warnings == [f"cell 'mean-visible' ran for you because `total` was still in memory, but {GONE}"]
    assert report.results[0].message == "NameError: name 'total' is not defined (line 2 of your cell 'mean')"
