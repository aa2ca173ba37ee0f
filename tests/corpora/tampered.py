"""Group 1: cells and metadata that were tampered with; the mean is wrong, all else right."""

from __future__ import annotations

from copy import deepcopy

from nbformat import NotebookNode

from corpora.assignment import PROBLEMS, WRONG
from corpora.base import Case, Group, answered, cell_of, insert, without, written
from course_utils.notebooks import checksum, grade_id, is_test

GROUP = Group("tampered", [])
TESTS = ("mean-visible", "mean-hidden", "softmax-visible", "softmax-hidden")
tampered = GROUP.tampered


@tampered(reason="cell 'mean-hidden' is missing")
def tests_deleted(nb: NotebookNode) -> None:
    nb.cells = [cell for cell in nb.cells if grade_id(cell) not in TESTS]


@tampered(reason="'mean-visible' was edited")
def tests_emptied(nb: NotebookNode) -> None:
    for name in TESTS:
        cell_of(nb, name).source = "pass"


@tampered(reason="'mean-hidden' was edited")
def tests_emptied_with_checksums_made_right(nb: NotebookNode) -> None:
    for name in TESTS:
        cell = cell_of(nb, name)
        cell.source = "pass"
        cell.metadata.nbgrader.checksum = checksum(cell)


@tampered(reason="'mean-visible' is there 3 times", nbgrader_accepts=False)
def tests_doubled(nb: NotebookNode) -> None:
    for name in TESTS:
        copy = deepcopy(cell_of(nb, name))
        copy.source = "pass"
        nb.cells += [copy]
        nb.cells.insert(0, deepcopy(copy))


@tampered(reason="moved")
def tests_before_all_else(nb: NotebookNode) -> None:
    for name in TESTS:
        nb.cells.insert(0, nb.cells.pop(nb.cells.index(cell_of(nb, name))))


@tampered(reason="moved")
def tests_at_the_end(nb: NotebookNode) -> None:
    for name in TESTS:
        nb.cells.append(nb.cells.pop(nb.cells.index(cell_of(nb, name))))


@tampered(reason="moved")
def backwards(nb: NotebookNode) -> None:
    nb.cells.reverse()


@tampered(reason="missing", nbgrader_accepts=False)
def tests_renamed(nb: NotebookNode) -> None:
    for name in TESTS:
        cell_of(nb, name).metadata.nbgrader.grade_id = f"{name}-mine"


@tampered(reason="missing|edited")
def tests_swapped_names(nb: NotebookNode) -> None:
    """The tests of the wrong problem get the names of a right one, and the other way round."""
    for kind in ("visible", "hidden"):
        one, other = cell_of(nb, f"mean-{kind}"), cell_of(nb, f"softmax-{kind}")
        one.metadata.nbgrader, other.metadata.nbgrader = other.metadata.nbgrader, one.metadata.nbgrader


@tampered(reason="'mean-visible' was turned into a markdown cell", nbgrader_accepts=False)
def tests_as_markdown(nb: NotebookNode) -> None:
    for name in TESTS:
        cell = cell_of(nb, name)
        cell.cell_type = "markdown"
        del cell["outputs"], cell["execution_count"]


@tampered(reason="raw cell")
def tests_as_raw_text(nb: NotebookNode) -> None:
    for name in TESTS:
        cell = cell_of(nb, name)
        cell.cell_type = "raw"
        del cell["outputs"], cell["execution_count"]


@tampered(reason="grading metadata of cell 'softmax-hidden'")
def points_raised(nb: NotebookNode) -> None:
    for cell in filter(is_test, nb.cells):
        cell.metadata.nbgrader.points = 1000


@tampered(reason="grading metadata", nbgrader_accepts=False)
def points_of_other_kinds(nb: NotebookNode) -> None:
    odd = ["1000", [8], {"points": 8}, -5, 1e308, True, None, "NaN", 0, 8.5]
    for cell, points in zip(filter(is_test, nb.cells), odd, strict=True):
        cell.metadata.nbgrader.points = points


@tampered(reason="grading metadata", nbgrader_accepts=False)
def grade_set_false(nb: NotebookNode) -> None:
    for name in TESTS:
        cell_of(nb, name).metadata.nbgrader.grade = False


@tampered(reason="grading metadata", nbgrader_accepts=False)
def locked_and_solution_swapped(nb: NotebookNode) -> None:
    for cell in nb.cells:
        if grade_id(cell):
            role = cell.metadata.nbgrader
            role.locked, role.solution = role.solution, role.locked


@tampered(reason="grading metadata of cell 'mean'", nbgrader_accepts=False)
def all_is_graded_by_hand(nb: NotebookNode) -> None:
    for cell in nb.cells:
        if grade_id(cell):
            cell.metadata.nbgrader |= {"solution": True, "grade": True, "points": 100, "task": False}


@tampered(reason="grading metadata of cell 'mean'", nbgrader_accepts=False)
def solutions_claim_to_be_the_instructors(nb: NotebookNode) -> None:
    for problem in PROBLEMS:
        cell_of(nb, problem).metadata.nbgrader |= {"solution": False, "locked": True, "grade": True, "points": 20}


@tampered(reason="checksum")
def checksums_changed(nb: NotebookNode) -> None:
    for name in TESTS:
        cell_of(nb, name).metadata.nbgrader.checksum = "0" * 32


@tampered(reason="skip-execution")
def tests_are_to_be_skipped(nb: NotebookNode) -> None:
    for name in TESTS:
        cell_of(nb, name).metadata.tags = ["skip-execution"]


@tampered()
def tests_may_raise(nb: NotebookNode) -> None:
    nb.metadata.execution = {"allow_errors": True, "timeout": 0}
    for name in TESTS:
        cell_of(nb, name).metadata |= {"tags": ["raises-exception"], "deletable": True, "editable": True}


@tampered(reason="another kernel .*bash")
def kernel_bash(nb: NotebookNode) -> None:
    nb.metadata.kernelspec = {"name": "bash", "display_name": "Bash", "language": "bash"}


@tampered(reason="another kernel")
def kernel_with_a_path(nb: NotebookNode) -> None:
    nb.metadata.kernelspec = {
        "name": "../../../tmp/kernel",
        "display_name": "x",
        "argv": ["/bin/sh", "-c", "touch {{CANARY}}/kernel"],
    }
    nb.metadata.language_info = {"name": "bash", "file_extension": ".sh", "mimetype": "text/x-sh"}


@tampered(nbgrader_accepts=False)
def kernel_that_is_a_list(nb: NotebookNode) -> None:
    nb.metadata.kernelspec = ["bash"]


@tampered(reason="cell 1 claims", nbgrader_accepts=False)
def own_cells_claim_points(nb: NotebookNode) -> None:
    role = {"grade": True, "points": 100, "locked": True, "solution": False, "task": False, "schema_version": 3}
    insert(nb, 0, "pass", nbgrader={**role, "grade_id": "bonus"})
    insert(nb, len(nb.cells), "pass", nbgrader={**role, "grade_id": "mean-bonus"}, course={"problem": "mean"})


@tampered(reason="claims|times", nbgrader_accepts=False)
def own_cell_claims_to_be_the_setup(nb: NotebookNode) -> None:
    cell_of(nb, "setup").source = "def check_close(*a, **k): pass\nassert_ = None"
    copy = deepcopy(cell_of(nb, "setup"))
    nb.cells.append(copy)


@tampered()
def tests_named_in_comments(nb: NotebookNode) -> None:
    text = "### BEGIN HIDDEN TESTS\npass\n### END HIDDEN TESTS\n### BEGIN SOLUTION\n### END SOLUTION"
    insert(nb, 0, text)
    insert(nb, len(nb.cells), f"### BEGIN HIDDEN TESTS\n{text}")


@tampered(reason="course metadata was changed")
def problems_forged_in_the_metadata(nb: NotebookNode) -> None:
    nb.metadata.course.problems = [{"name": "mean", "solutions": [], "visible": {}, "hidden": {}, "title": ""}]


@tampered(reason="another state of the assignment")
def hash_of_the_source_changed(nb: NotebookNode) -> None:
    nb.metadata.course.source_hash = "0" * 64
    nb.metadata.course.version = "99.0"


@tampered(reason="course metadata of cell 'mean'")
def problems_of_the_cells_forged(nb: NotebookNode) -> None:
    for name in ("mean", "mean-visible", "mean-hidden"):
        cell_of(nb, name).metadata.course = {"problem": "softmax", "defines": ["check_close", "random", "torch"]}


@tampered(reason="solution cell 'mean' is missing")
def all_metadata_gone(nb: NotebookNode) -> None:
    """Without names the answers are not known from scratch cells, yet what they define is there to be judged."""
    for cell in nb.cells:
        cell.metadata.clear()
    nb.metadata.clear()
    nb.metadata.course = {"assignment": "01-corpus"}


@tampered()
def outputs_filled_in(nb: NotebookNode) -> None:
    for cell in filter(is_test, nb.cells):
        cell.outputs = [{"output_type": "stream", "name": "stdout", "text": f"passed\n{grade_id(cell)}: 20/20"}]
        cell.outputs += [{"output_type": "execute_result", "data": {"text/plain": "20"}, "metadata": {}}]
        cell.outputs[-1]["execution_count"] = cell.execution_count = 7
    cell_of(nb, "mean").outputs = [
        {"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>"}, "metadata": {}}
    ]


@tampered()
def attachments_and_links(nb: NotebookNode) -> None:
    nb.cells[0].attachments = {"../../x.png": {"image/png": "AAAA"}}
    nb.cells[0].source = "![x](attachment:../../x.png)\n\n<script>fetch('/')</script> [x](file:///etc/passwd)"


@tampered()
def cell_ids_doubled(nb: NotebookNode) -> None:
    for cell in nb.cells:
        cell["id"] = "mean-hidden"


@tampered(reason="another state|course metadata")
def notebook_metadata_gone(nb: NotebookNode) -> None:
    nb.metadata = type(nb.metadata)(course={"assignment": "01-corpus"})


# --- what is forbidden, hidden from the one who looks for it ---

SHORT = "def softmax(x):\n    return torch.softmax(x, -1)"
FORBIDDEN = {"expected": without("softmax"), "reason": r"torch\.softmax is not allowed"}


def forbidden_emptied(released: NotebookNode) -> bytes:
    nb = answered(released, {"softmax": SHORT})
    nb.metadata.course.forbidden = []
    cell_of(nb, "softmax").metadata.course.pop("forbidden", None)
    return written(nb)


def claimed(released: NotebookNode) -> bytes:
    """The forbidden call stands in a helper that claims to be the instructor's."""
    nb = answered(released, {"softmax": "softmax = helper"})
    role = {"grade": True, "points": 0, "locked": True, "solution": False, "task": False, "schema_version": 3}
    insert(
        nb, 1, "import torch\n" + SHORT.replace("softmax(x):", "helper(x):"), nbgrader={**role, "grade_id": "helper"}
    )
    return written(nb)


GROUP.cases.append(Case("forbidden-emptied", "tampered", forbidden_emptied, **FORBIDDEN))
GROUP.cases.append(Case("forbidden-in-a-cell-that-claims", "tampered", claimed, nbgrader_accepts=False, **FORBIDDEN))
INDENTED = "\n".join("    " + line for line in SHORT.split("\n"))
PROMPTED = ">>> def softmax(x):\n...     return torch.softmax(x, -1)\n"
DEEP = f"_ = {'+'.join(['1'] * 20_000)}\n{SHORT}"
for name, answer in {
    "plainly": SHORT,
    "by-another-name": "import torch as t\nsoftmax = lambda x: t.softmax(x, -1)",
    "by-getattr": 'def softmax(x):\n    return getattr(torch, "softmax")(x, -1)',
    "as-a-method": "def softmax(x):\n    return x.softmax(-1)",
    "functional": "from torch.nn import functional as F\ndef softmax(x):\n    return F.softmax(x, dim=-1)",
    "under-a-cell-magic": f"%%time\n{SHORT}",
    "indented": INDENTED,
    "with-prompts": PROMPTED,
    "with-numbered-prompts": PROMPTED.replace(">>>", "In [1]:").replace("...", "   ...:"),
    "by-a-line-magic": "softmax_ = %time torch.softmax\ndef softmax(x):\n    return softmax_(x, -1)",
    "with-shell-lines": f"!true\n{SHORT}\nx = !true",
}.items():
    more = {**FORBIDDEN, "reason": r"torch\.(nn\.functional\.|Tensor\.)?softmax is not allowed"}
    GROUP.wrong(f"forbidden-{name}", answer, "softmax", **more)
GROUP.wrong(
    "forbidden-in-a-deep-tree",
    DEEP,
    "softmax",
    first="import sys\nsys.setrecursionlimit(10**6)",
    expected=without(*PROBLEMS),
    reason="nested too deeply",
)
GROUP.wrong("names-that-grow-for-ever", WRONG["mean"] + "\nt = torch\nt = t.nn\ndel t")
LONG = f"{WRONG['mean']}\n_ = {'+'.join(['1'] * 1_500)}"
GROUP.wrong("a-long-sum", LONG, expected=without(*PROBLEMS), reason="nested too deeply")
GROUP.wrong(
    "a-long-chain-of-names", "a0 = 1\n" + "".join(f"a{i} = a{i - 1}\n" for i in range(1, 3_000)) + WRONG["mean"]
)
CHAIN = "if False:\n" + "".join(f"    a{i + 1} = a{i}\n" for i in range(3_000, -1, -1)) + "    a0 = torch\n"
GROUP.wrong("a-long-chain-backwards", CHAIN + WRONG["mean"])
GROUP.wrong(
    "forbidden-everywhere",
    "import statistics\ndef mean(numbers):\n    return statistics.fmean(numbers)",
    reason=r"statistics.*is not allowed",
)
