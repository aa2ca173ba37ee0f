"""Judging from the outside: equal verdicts to a notebook's own kernel, whatever became of the graded cells."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from support import (
    ROOT,
    Answer,
    graded,
    load_answers,
    of_problems,
    points,
    reads,
    run_in_process,
    small_repository,
    stub,
    submission,
    working_folder,
)

from course_utils import release
from course_utils.grading.split import Student, judge
from course_utils.grading.warm import Warm
from course_utils.notebooks import grade_id

NAMES = release.assignments(ROOT)
ANSWERS = [(name, answer) for name in NAMES for answer in load_answers(name)]


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as parent:
        yield parent


@pytest.fixture(scope="module")
def built() -> dict[str, release.Released]:
    return {name: release.build(ROOT, name) for name in NAMES}


def lost(warm: Warm, source: NotebookNode, handed_in: NotebookNode) -> set[str]:
    connection, pid = warm.fork()
    with connection:
        verdicts = judge(source, handed_in, Student(connection))
    warm.end(pid)
    return {verdict.grade_id for verdict in verdicts if not verdict.passed}


@pytest.mark.parametrize(("name", "answer"), ANSWERS, ids=str)
def test_every_answer_gets_the_verdicts_that_it_gets_in_a_kernel(warm, built, name: str, answer: Answer) -> None:
    expected = answer.fails
    if answer.enforced_by:  # what it loses by its behaviour alone is the kernel's to say
        with working_folder(built[name], answer.cells):
            verdicts = run_in_process(of_problems(graded(built[name], answer.cells), answer.cells))
        expected = {cell for cell, stopped in verdicts.items() if stopped is not None}
    # An answer is judged on the problems that it answers: all others have the reference, which its own test judges.
    source = of_problems(reads(built[name].instructor), answer.cells)
    handed_in = of_problems(submission(built[name], answer.cells), answer.cells)
    with working_folder(built[name], answer.cells):
        assert lost(warm, source, handed_in) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_loses_nothing(warm, built, name: str) -> None:
    with working_folder(built[name], {}):
        assert lost(warm, reads(built[name].instructor), submission(built[name], {})) == set()


@pytest.mark.parametrize("name", NAMES)
def test_the_stub_loses_everything(warm, built, name: str) -> None:
    handed_in = submission(built[name], stub(built[name]))
    with working_folder(built[name], stub(built[name])):
        assert lost(warm, reads(built[name].instructor), handed_in) == set(points(built[name]))


# --- what became of the cells, on an assignment of two small problems ---


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    return release.build(small_repository(tmp_path_factory.mktemp("repository")), "01-sums")


def cell_of(nb: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in nb.cells if grade_id(cell) == name)


def deleted(nb: NotebookNode) -> None:
    nb.cells = [cell for cell in nb.cells if "visible" not in grade_id(cell)]


def emptied(nb: NotebookNode) -> None:
    for cell in nb.cells:
        if grade_id(cell).endswith(("visible", "hidden")):
            cell.source = "pass"


def doubled(nb: NotebookNode) -> None:
    nb.cells += [cell_of(nb, "mean-visible"), cell_of(nb, "mean-visible")]


def doubled_with_a_pass(nb: NotebookNode) -> None:
    for name in ("mean-visible", "mean-hidden"):
        copy = deepcopy(cell_of(nb, name))
        copy.source = "pass"
        nb.cells.append(copy)
        nb.cells.insert(0, deepcopy(copy))


def moved_to_the_end(nb: NotebookNode) -> None:
    nb.cells.append(nb.cells.pop(nb.cells.index(cell_of(nb, "mean-hidden"))))


def retyped(nb: NotebookNode) -> None:
    cell_of(nb, "mean-visible").cell_type = "markdown"


def without_setup(nb: NotebookNode) -> None:
    nb.cells = [cell for cell in nb.cells if grade_id(cell) != "setup"]


@pytest.mark.parametrize(
    "tamper", [deleted, emptied, doubled, doubled_with_a_pass, moved_to_the_end, retyped, without_setup]
)
def test_tampering_with_graded_cells_changes_no_verdict(
    warm: Warm, small: release.Released, tamper: Callable[[NotebookNode], None]
) -> None:
    right, wrong = submission(small, {}), submission(small, {"mean": "def mean(numbers):\n    return 0.0"})
    tamper(right)
    tamper(wrong)
    assert lost(warm, reads(small.instructor), right) == set()
    assert lost(warm, reads(small.instructor), wrong) == {"mean-visible", "mean-hidden"}


@pytest.mark.parametrize(
    "cell",
    [
        "import builtins\nbuiltins.AssertionError = type('Nothing', (Exception,), {})",
        "import sys\nsys.exit(0)",
        "get_ipython().run_cell = lambda *a, **k: None",
        "print('mean-hidden passed')\nmean = 0",
        "def mean(numbers):\n    raise SystemExit",
        "class Yes:\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0.0\n"
        "    def __abs__(self): return 0\ndef mean(numbers): return Yes()",
        "class Yes(float):\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0.0\n"
        "def mean(numbers): return Yes()",
        "import os\nos._exit(0)",
        "def mean(numbers):\n    import os\n    os._exit(0)",
        "def mean(numbers):\n    numbers.clear()\n    return 2.5",
        "del mean",
    ],
)
def test_nothing_that_the_students_process_does_is_a_verdict(warm: Warm, small: release.Released, cell: str) -> None:
    handed_in = submission(small, {"mean": f"def mean(numbers):\n    return -1.0\n{cell}"})
    assert {"mean-hidden"} <= lost(warm, reads(small.instructor), handed_in)


@pytest.mark.parametrize("claim", [{"locked": True}, {"grade": True, "points": 100}, {"locked": True, "grade": True}])
def test_a_cell_of_the_students_is_never_run_on_this_side(
    warm: Warm, small: release.Released, tmp_path: Path, claim: dict[str, bool]
) -> None:
    handed_in, trace = submission(small, {}), tmp_path / "trace"
    source = f"open({str(trace)!r}, 'a').write(str(__import__('os').getpid()) + ' ')"
    for place in (0, len(handed_in.cells)):
        cell = new_code_cell(source, metadata={"nbgrader": {"grade_id": f"mine-{place}", **claim}})
        handed_in.cells.insert(place, cell)
    assert lost(warm, reads(small.instructor), handed_in) == set()
    assert len(trace.read_text().split()) == 2
    assert str(os.getpid()) not in trace.read_text().split()


def test_the_words_of_a_verdict_can_be_printed_anywhere(warm: Warm, small: release.Released) -> None:
    cell = "def mean(numbers):\n    raise ValueError('\\x1b[31m red \\ud800')"
    connection, pid = warm.fork()
    with connection:
        verdicts = judge(reads(small.instructor), submission(small, {"mean": cell}), Student(connection))
    warm.end(pid)
    assert verdicts[0].message == "ValueError: \ufffd[31m red \ufffd"


def test_a_process_that_is_gone_costs_the_problems_that_need_it(warm: Warm, small: release.Released) -> None:
    handed_in = submission(small, {"spread": "import os\nos._exit(1)"})
    assert lost(warm, reads(small.instructor), handed_in) == {"spread-visible", "spread-hidden"}


def test_each_problem_is_judged_by_what_stood_when_its_cell_was_reached(warm: Warm, small: release.Released) -> None:
    handed_in = submission(
        small, {"spread": "def spread(numbers):\n    return max(numbers) - min(numbers)\nmean = None"}
    )
    assert lost(warm, reads(small.instructor), handed_in) == set()
