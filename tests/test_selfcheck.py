"""The self-check: what a student is told of right, wrong, unfinished and damaged notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from support import ROOT, SMALL, fill, load_answers, reads, reference, small_repository, stub, submission

from course_utils import notebooks, release
from course_utils.grading.split import Student, judge
from course_utils.grading.warm import Warm
from course_utils.selfcheck import CheckError, Report, UnreadableError, check

NAME = "01-sums"
WORDS = "Looks at longer lists, and at a list that must stay as it is."
Change = Callable[[NotebookNode], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    return release.build(small_repository(tmp_path_factory.mktemp("repository"), SMALL), NAME)


@pytest.fixture
def checked(made: release.Released, tmp_path: Path) -> Callable[..., Report]:
    """Check the reference's answers with some cells replaced, after a change of the notebook."""

    def run(cells: dict[str, str] | None = None, change: Change | None = None, timeout: int = 60) -> Report:
        nb = fill(reads(made.student), {**reference(made), **(cells or {})})
        if change is not None:
            change(nb)
        path = tmp_path / f"{NAME}.ipynb"
        nbformat.write(nb, path)
        before = path.read_bytes()
        try:
            return check(path, timeout)
        finally:
            assert path.read_bytes() == before
            assert list(tmp_path.iterdir()) == [path]

    return run


def cell_of(nb: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in nb.cells if notebooks.grade_id(cell) == name)


def test_right_answers_pass_and_hidden_points_stay_open(checked: Callable[..., Report]) -> None:
    report = checked()
    assert report.passed
    assert (report.assignment, report.title, report.warnings) == (NAME, "Two small sums", [])
    first, second = report.results
    assert (first.title, first.earned, first.available, first.hidden, first.status) == (
        "The mean",
        20,
        20,
        30,
        "passes",
    )
    assert first.hidden_words == WORDS
    assert (second.name, second.message) == ("spread", "")


def test_stub_is_not_written_yet(checked: Callable[..., Report], made: release.Released) -> None:
    report = checked(stub(made))
    assert not report.passed
    assert [(result.status, result.earned, result.message) for result in report.results] == [
        ("not written yet", 0, ""),
        ("not written yet", 0, ""),
    ]
    assert report.warnings == ["100 points are still to be had, in what is not written yet: The mean, The spread"]
    assert {result.hidden_words for result in report.results} == {WORDS, "Looks at negative numbers."}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def mean(numbers):\n    return 3.0", "the mean of 1 and 4 is 2.5, not 3.0"),
        (
            "def mean(numbers):\n    total = 0\n    return total / '2'",
            "TypeError: unsupported operand type(s) for /: 'int' and 'str' (line 3 of your cell 'mean')",
        ),
        ("def mean(numbers:\n    pass", "SyntaxError: '(' was never closed (line 1 of your cell 'mean')"),
        ("x = 1\nmean = y", "NameError: name 'y' is not defined (line 2 of your cell 'mean')"),
        ("pass", "NameError: name 'mean' is not defined (in the test, line 1: assert mean([1.0, 4.0]) == 2.5, f\""),
        ("import sys\nsys.exit(1)", "SystemExit: 1"),
        ("def mean(numbers):\n    raise ValueError('[red]x[/]')", "ValueError: [red]x[/] (line 2 of your cell 'mean')"),
    ],
)
def test_wrong_answers_are_told_what_is_wrong(checked: Callable[..., Report], source: str, message: str) -> None:
    report = checked({"mean": source})
    first, second = report.results
    assert (first.status, first.earned) == ("fails", 0)
    assert first.message.startswith(message)
    assert second.status == "passes"
    assert not report.passed


def test_forbidden_names_of_the_assignment_and_of_a_problem(checked: Callable[..., Report]) -> None:
    def own_cell(nb: NotebookNode) -> None:
        nb.cells.insert(3, nbformat.v4.new_code_cell("import statistics", id="mine"))

    report = checked(
        {
            "mean": "def mean(numbers):\n    return math.fsum(numbers) / len(numbers)\nimport numpy\nnumpy.ptp",
            "spread": "import numpy\ndef spread(numbers):\n    return numpy.ptp(numbers)",
        },
        own_cell,
    )
    first, second = report.results
    assert [(item.line, item.name) for item in first.forbidden] == [(2, "math.fsum")]  # numpy.ptp is free here
    assert [(item.line, item.name) for item in second.forbidden] == [(3, "numpy.ptp")]
    assert report.warnings == ["statistics in cell 4, line 1: forbidden in answers, and no answer uses that cell"]
    assert (first.status, first.earned) == ("forbidden call", 0)
    assert not report.passed


def edit_test(nb: NotebookNode) -> None:
    cell_of(nb, "mean-visible").source += "\n# I was here"


def break_setup(nb: NotebookNode) -> None:
    cell_of(nb, "setup").source = "import no_such_module"
    cell_of(nb, "setup").metadata.nbgrader.checksum = notebooks.checksum(cell_of(nb, "setup"))


def own_error(nb: NotebookNode) -> None:
    nb.cells.append(nbformat.v4.new_code_cell("1 / 0", id="mine"))


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (edit_test, "cell 'mean-visible' was changed: it is not yours to edit, and the grader runs the original"),
        (break_setup, "cell 'setup' stopped with ModuleNotFoundError: No module named 'no_such_module'"),
        (own_error, "your cell 12 stopped with ZeroDivisionError: division by zero (line 1 of your cell 12)"),
    ],
)
def test_warnings(checked: Callable[..., Report], change: Change, warning: str) -> None:
    (only,) = checked(change=change).warnings
    assert only.startswith(warning)


@pytest.mark.parametrize("name", ["mean", "mean-visible", "mean-hidden"])
def test_a_missing_cell_is_missed(checked: Callable[..., Report], name: str) -> None:
    report = checked(change=lambda nb: nb.cells.remove(cell_of(nb, name)))
    assert report.results[0].status == "missing"
    assert report.results[0].message.startswith(f"the notebook has no cell '{name}': take it from the released")
    assert not report.passed


def test_a_tag_does_not_exempt_a_test_from_being_run(checked: Callable[..., Report]) -> None:
    def tag(nb: NotebookNode) -> None:
        cell_of(nb, "mean-visible").metadata["tags"] = ["skip-execution"]

    assert checked({}, tag).passed
    assert checked({"mean": "mean = len"}, tag).results[0].earned == 0


def test_a_test_that_was_emptied_earns_nothing(checked: Callable[..., Report]) -> None:
    def empty(nb: NotebookNode) -> None:
        cell_of(nb, "mean-visible").source = ""

    first = checked(change=empty).results[0]
    assert (first.earned, first.status) == (0, "fails")
    assert first.message == "the test cell 'mean-visible' was not run: is it empty?"


def test_that_the_file_says_a_test_was_run_proves_nothing(checked: Callable[..., Report]) -> None:
    def pretend(nb: NotebookNode) -> None:
        cell_of(nb, "mean-visible").update(source="", execution_count=5)

    assert checked(change=pretend).results[0].earned == 0


@pytest.mark.parametrize("source", ["import os\nos._exit(3)", "import os, signal\nos.kill(os.getpid(), 9)"])
def test_a_dying_kernel_is_one_line(checked: Callable[..., Report], source: str) -> None:
    with pytest.raises(CheckError, match=r"01-sums\.ipynb: the kernel died in cell '\S+' or just before it: out of"):
        checked({"mean": source})


def test_exit_earns_nothing_whether_the_kernel_leaves_before_the_last_cell_or_after(
    checked: Callable[..., Report],
) -> None:
    try:
        earned = checked({"mean": "exit()"}).results[0].earned
    except CheckError:  # the kernel left while cells were waiting
        earned = 0
    assert earned == 0


def test_an_endless_loop_is_stopped_and_the_other_problems_are_judged(checked: Callable[..., Report]) -> None:
    mean, spread = checked({"mean": "def mean(numbers):\n    while True: pass"}, timeout=1).results
    said = "took longer than the time limit and was stopped: is there a loop that never ends?"
    assert mean.status == "fails"
    assert mean.message == f"{said} (line 2 of your cell 'mean')"
    assert (spread.status, spread.earned) == ("passes", 20)


def test_a_loop_that_swallows_the_interrupt_is_one_line(checked: Callable[..., Report]) -> None:
    stubborn = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    said = r"01-sums\.ipynb: cell 'mean' ran for more than 1 s and ignored an interrupt: is there a loop that never"
    with pytest.raises(CheckError, match=said):
        checked({"mean": stubborn}, timeout=1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file; the course's notebooks are in exercises/"),
        ("# not JSON", "not a notebook, or a damaged one: save it again, or go back to its last checkpoint"),
        ("", "is empty: take the released notebook again, or go back to its last checkpoint"),
        ("[1, 2]", "not a notebook, or a damaged one: save it again, or go back to its last checkpoint"),
        ("\xff\xfe", "not a notebook, or a damaged one: save it again, or go back to its last checkpoint"),
        (nbformat.writes(nbformat.v4.new_notebook()), "not a notebook of this course; those are in exercises/"),
    ],
)
def test_what_cannot_be_checked_is_one_line(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "mine.ipynb"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(UnreadableError) as error:
        check(path)
    assert str(error.value) in (f"{path}: {said}", f"{path} {said}")


def test_a_folder_is_not_a_notebook(tmp_path: Path) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    with pytest.raises(UnreadableError) as error:
        check(folder)
    assert str(error.value) == f"{folder} is a folder: name the notebook in it, such as {folder / NAME}.ipynb"


def test_a_checkpoint_is_not_what_is_handed_in(made: release.Released, tmp_path: Path) -> None:
    path = tmp_path / ".ipynb_checkpoints" / f"{NAME}-checkpoint.ipynb"
    release.write_atomically(path, made.student)
    with pytest.raises(UnreadableError, match="is a checkpoint, an older state that JupyterLab keeps: name the"):
        check(path)


def test_half_a_file_is_a_damaged_one(made: release.Released, tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.ipynb"
    path.write_bytes(made.student[: len(made.student) // 2])
    with pytest.raises(UnreadableError, match="not a notebook, or a damaged one: save it again"):
        check(path)


# --- the same words as the grader ---


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as parent:
        yield parent


def wrong_answers(made: release.Released) -> dict[str, str]:
    """For as many problems as there are some: a wrong answer that loses the visible test of its problem."""
    visible = {name: set(problem.visible) for problem in made.problems for name in problem.solutions}
    chosen: dict[str, str] = {}
    for answer in load_answers(made.name):
        alone = len(answer.cells) == 1 and not answer.enforced_by
        for name, source in answer.cells.items():
            if alone and answer.fails & visible[name]:
                chosen.setdefault(name, source)
    return chosen


@pytest.mark.parametrize("name", ["01-selective-attention", "02-soft-dictionary"])
def test_a_wrong_answer_is_told_the_same_here_as_by_the_grader(warm: Warm, name: str, tmp_path: Path) -> None:
    made = release.build(ROOT, name)
    wrong = wrong_answers(made)
    nb = submission(made, wrong)
    path = tmp_path / f"{name}.ipynb"
    nbformat.write(nb, path)
    connection, _ = warm.fork()
    with connection:
        verdicts = judge(reads(made.instructor), nb, Student(connection))
    by_grader = {verdict.grade_id: verdict.message for verdict in verdicts}
    compared = 0
    tested = [problem for problem in made.problems if problem.visible]
    results = [result for result in check(path).results if not result.written]
    for result, problem in zip(results, tested, strict=True):
        (test,) = problem.visible
        told = by_grader[test]
        if told.startswith("your function changed its argument"):  # the grader sees it before the test's own words do
            assert "changed" in result.message
        else:
            assert result.message == told or result.message.startswith(f"{told} (")
        assert bool(result.message) == (not set(wrong).isdisjoint(problem.solutions))
        compared += bool(result.message)
    assert compared >= 5


def problem_of(nb: NotebookNode) -> NotebookNode:
    return nb.metadata["course"]["problems"][0]


OTHER_VERSIONS: dict[str, Change] = {
    "one more key": lambda nb: problem_of(nb).update(bonus=3),
    "one key less": lambda nb: problem_of(nb).pop("name"),
    "no problem": lambda nb: nb.metadata["course"].update(problems=[1]),
    "no list": lambda nb: nb.metadata["course"].update(problems=1),
    "no text": lambda nb: problem_of(nb).update(title=1),
    "points in words": lambda nb: problem_of(nb).update(visible={"mean-visible": "20"}),
    "a list of points": lambda nb: problem_of(nb).update(hidden=[20]),
    "no name": lambda nb: nb.metadata["course"].update(assignment=[NAME]),
    "another list of names": lambda nb: nb.metadata["course"].update(forbidden=[1]),
    "a cell's points in words": lambda nb: cell_of(nb, "mean-visible").metadata["nbgrader"].update(points="many"),
}


@pytest.mark.parametrize("kind", OTHER_VERSIONS)
def test_a_notebook_of_another_version_is_said_to_be_one(checked: Callable[..., Report], kind: str) -> None:
    with pytest.raises(
        UnreadableError, match=r"ipynb: made with another version of the course, or damaged: take the r"
    ):
        checked(change=OTHER_VERSIONS[kind])
