"""Grading one submission: what a process that ends costs, in which words, and that the rest is graded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from support import ROOT, cell, small_repository, submission

from course_utils import release
from course_utils.grading import grader as grading
from course_utils.grading.grader import Grader, Task
from course_utils.grading.isolate import Limits
from course_utils.grading.records import Graded, Submission
from course_utils.notebooks import grade_id, points_of

MIB = 1 << 20
LIMITS = Limits(
    cpu_seconds=4, cell_cpu_seconds=1, wall_seconds=40, cell_wall_seconds=6, memory_bytes=300 * MIB, starts=4
)
SPREAD = {"spread-visible", "spread-hidden"}
MEAN = {"mean-visible", "mean-hidden"}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as made:
        yield made


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def made(root: Path) -> release.Released:
    return release.build(root, "01-sums")


@pytest.fixture(scope="module")
def task(root: Path) -> Task:
    return replace(Task.of(root, "01-sums"), limits=LIMITS)


def handed_in(nb: NotebookNode, **more: object) -> Submission:
    return Submission("kim", json.dumps(nb).encode(), **more)


def lost(graded: Graded) -> set[str]:
    return {verdict.grade_id for verdict in graded.verdicts if not verdict.passed}


@pytest.mark.parametrize("where", ["small", "with a file handed in"])
def test_the_reference_is_a_submission_that_loses_nothing(grader: Grader, task: Task, where: str) -> None:
    chosen = task if where == "small" else Task.of(ROOT, "lab-2-flash-vs-naive")
    graded = grader.grade(chosen, chosen.reference())
    assert (lost(graded), graded.notes, graded.refusal) == (set(), (), "")
    assert graded.verdicts


def words(graded: Graded, name: str) -> str:
    return next(verdict.message for verdict in graded.verdicts if verdict.grade_id == name)


def cells(graded: Graded) -> dict[str, NotebookNode]:
    return {grade_id(each): each for each in nbformat.reads(graded.notebook, as_version=4).cells}


def test_a_right_submission_passes_and_its_outputs_are_kept(grader: Grader, task: Task, made) -> None:
    nb = submission(made, {})
    source = "print('hello')\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\n1 / 0"
    nb.cells.insert(3, new_code_cell(source))
    graded = grader.grade(task, handed_in(nb))
    assert lost(graded) == set()
    assert graded.notes == ()
    stream, figure, error = nbformat.reads(graded.notebook, as_version=4).cells[3].outputs
    assert stream.text == "hello\n"
    assert figure.data["image/png"].startswith("iVBOR")
    assert error.ename == "ZeroDivisionError"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os\nos._exit(0)", "exited with status 0"),
        ("def mean(numbers):\n    import os\n    os._exit(3)", "exited with status 3"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("def mean(numbers):\n    import os\n    os.kill(os.getpid(), 9)", "SIGKILL"),
        ("while True: pass", "more than 1 s of CPU time in one cell"),
        ("def mean(numbers):\n    while True: pass", "more than 1 s of CPU time in one cell"),
        ("import time\ntime.sleep(999)", "more than 6 s by the clock in one cell"),
        (
            "import os\nfor part in range(6):\n    if os.fork() == 0:\n        kept = b'x' * (100 << 20)\n"
            "        import time; time.sleep(60)\nimport time; time.sleep(60)",
            "more than 300 MiB of memory",
        ),
        ("import os\nos.write(3, b'\\xff' * 64)", "header"),
    ],
)
def test_a_process_that_ends_loses_its_problem_and_no_other(grader, task, made, code: str, reason: str) -> None:
    graded = grader.grade(task, handed_in(submission(made, {"mean": code})))
    assert lost(graded) == MEAN
    assert graded.starts == 2
    for name in MEAN:
        assert words(graded, name).startswith("this problem is lost: ")
        assert reason in words(graded, name)
        assert "\n" not in words(graded, name)
    assert any(reason in note for note in graded.notes)


def test_what_was_earned_before_stays(grader: Grader, task: Task, made) -> None:
    code = (
        "def mean(numbers):\n    if len(numbers) > 3:\n        while True: pass\n    return sum(numbers) / len(numbers)"
    )
    assert lost(grader.grade(task, handed_in(submission(made, {"mean": code})))) == {"mean-hidden"}


def test_a_scratch_cell_that_ends_the_process_costs_nothing(grader: Grader, task: Task, made) -> None:
    nb = submission(made, {})
    nb.cells.insert(3, new_code_cell("import os\nos._exit(1)"))
    graded = grader.grade(task, handed_in(nb))
    assert lost(graded) == set()
    assert any("cell 4 ended the student's process and was left out" in note for note in graded.notes)


def test_the_budget_is_one_for_all_attempts(grader: Grader, task: Task, made) -> None:
    """Each scratch cell uses 1 s of the 4 s that there are, or one of the 4 starts: the last problem is not reached."""
    for code in ("while True: pass", "import os\nos._exit(1)"):
        nb = submission(made, {})
        nb.cells[3:3] = [new_code_cell(code) for _ in range(6)]
        graded = grader.grade(task, handed_in(nb))
        assert lost(graded) == MEAN | SPREAD
        assert "budget" in words(graded, "spread-hidden")
        assert graded.starts <= LIMITS.starts


def test_state_before_the_lost_cell_is_there_again(grader: Grader, task: Task, made) -> None:
    nb = submission(made, {"mean": "import os\nos._exit(1)", "spread": "def spread(numbers):\n    return of(numbers)"})
    nb.cells.insert(1, new_code_cell("def of(numbers):\n    return max(numbers) - min(numbers)"))
    assert lost(grader.grade(task, handed_in(nb))) == MEAN


# --- the instructor's cells ---


def move(nb: NotebookNode, name: str, place: int) -> None:
    found = next(each for each in nb.cells if grade_id(each) == name)
    nb.cells.remove(found)
    nb.cells.insert(place, found)


def edit(nb: NotebookNode, name: str) -> NotebookNode:
    return next(each for each in nb.cells if grade_id(each) == name)


def skip(nb: NotebookNode) -> None:
    for each in nb.cells:
        each.metadata["tags"] = ["skip-execution"]


@pytest.mark.parametrize(
    ("tamper", "note"),
    [
        (lambda nb: move(nb, "mean-hidden", 0), "were moved"),
        (lambda nb: move(nb, "mean-visible", len(nb.cells)), "were moved"),
        (lambda nb: nb.cells.remove(edit(nb, "mean-hidden")), "'mean-hidden' is missing"),
        (lambda nb: edit(nb, "mean-visible").update(source="pass"), "'mean-visible' was edited"),
        (lambda nb: edit(nb, "mean-visible").metadata.nbgrader.update(points=1000), "grading metadata"),
        (lambda nb: edit(nb, "mean-visible").metadata.nbgrader.update(grade_id="other"), "claims to be"),
        (lambda nb: nb.cells.append(edit(nb, "mean-visible").copy()), "is there 2 times"),
        (skip, "skip-execution"),
        (lambda nb: nb.metadata.kernelspec.update(name="bash"), "another kernel"),
        (lambda nb: nb.metadata.course.update(forbidden=[]), "metadata was changed"),
        (lambda nb: nb.metadata.course.update(source_hash="0"), "another state of the assignment"),
    ],
)
def test_tampering_changes_no_score_and_is_noted(grader, task, made, tamper: Callable, note: str) -> None:
    for answer, expected in (({}, set()), ({"mean": "def mean(numbers):\n    return 0.0"}, MEAN)):
        nb = submission(made, answer)
        tamper(nb)
        graded = grader.grade(task, handed_in(nb))
        assert lost(graded) == expected
        assert any(note in each for each in graded.notes), graded.notes
        kept = nbformat.reads(graded.notebook, as_version=4)
        worth = {grade_id(each): points_of(each) for each in kept.cells if points_of(each)}
        assert worth == {"mean-visible": 20, "mean-hidden": 30, "spread-visible": 20, "spread-hidden": 30}


def test_no_hidden_test_is_in_the_autograded_notebook(grader: Grader, task: Task, made) -> None:
    graded = grader.grade(task, handed_in(submission(made, {"mean": "def mean(numbers):\n    return 0.0"})))
    assert "1234" in made.instructor.decode()
    assert "1234" not in graded.notebook
    assert "HIDDEN TESTS" not in graded.notebook
    assert cells(graded)["mean-hidden"].outputs[0].evalue == "the mean of seven numbers"
    assert cells(graded)["spread-hidden"].outputs == []


def test_forbidden_names_cost_their_problem(grader: Grader, task: Task, made) -> None:
    code = "import math\ndef mean(numbers):\n    return math.fsum(numbers) / len(numbers)"
    graded = grader.grade(task, handed_in(submission(made, {"mean": code})))
    assert lost(graded) == MEAN
    assert words(graded, "mean-visible") == "math.fsum is not allowed here (line 3 of cell 'mean')"
    assert any("forbidden" in note for note in graded.notes)


def test_what_cannot_be_read_is_refused_and_shown(grader: Grader, task: Task) -> None:
    graded = grader.grade(task, Submission("kim", b"{"))
    assert graded.refusal
    assert graded.verdicts == ()
    assert all(cells(graded)[name].outputs for name in MEAN | SPREAD)  # no score where nbgrader looks at outputs
    assert grader.grade(task, Submission("lee", refusal="no notebook")).refusal == "no notebook"


# --- what the trusted side computes with ---


BOMB = cell(
    "### BEGIN HIDDEN TESTS\nSEED = 5\nimport torch\nfound = mean([1.0])\n"
    "assert found[:, None] - found[None] is not None\nassert len(set(found.tolist())) > 1\n### END HIDDEN TESTS",
    kind="test",
    name="mean-hidden",
    course="{problem: mean, tests: hidden}",
    points=30,
)


def test_what_a_result_costs_the_trusted_side_is_bounded(grader: Grader, tmp_path: Path) -> None:
    """A result of 400 kB that becomes 40 GB in the test loses its problem; the grader lives."""
    from support import SMALL

    before = SMALL.index("```{code-cell}", SMALL.index("mean-visible\n"))
    text = SMALL[:before] + BOMB + SMALL[SMALL.index("```", before + 3) + 3 :]
    root = small_repository(tmp_path, text)
    task = replace(Task.of(root, "01-sums"), limits=LIMITS)
    code = "import torch\ndef mean(numbers):\n    return 2.5 if len(numbers) == 2 else torch.zeros(100_000)"
    nb = submission(release.build(root, "01-sums"), {"mean": code})
    assert lost(grader.grade(task, handed_in(nb))) == {"mean-hidden"}


def test_files_lie_beside_the_notebook_on_both_sides(grader: Grader, root: Path, made, tmp_path: Path) -> None:
    given = tmp_path / "solutions" / "01-sums"
    given.mkdir(parents=True)
    (tmp_path / "exercises").mkdir()
    text = (root / "solutions/01-sums/01-sums.md").read_text()
    text = text.replace("  minutes: 5\n", "  minutes: 5\n  files: [record.json]\n  limits: {cpu_seconds: 9}\n")
    text = text.replace("import math", "import math, json\ntable = json.load(open('data/table.json'))")
    look = "assert open('record.json').read() == 'mine' and 'and table == [1]' in open('01-sums.ipynb').read()"
    (given / "01-sums.md").write_text(text.replace("import random\n", f"{look}\nimport random\n"))
    (given / "record.json").write_text("the reference's")
    (given / "data").mkdir()
    (given / "data" / "table.json").write_text("[1]")
    task = Task.of(tmp_path, "01-sums")
    assert (task.declared, task.limits.cpu_seconds) == (("record.json",), 9)
    code = "import os\nassert open('record.json').read() == 'mine' and table == [1]\n"
    code += "assert not os.path.exists('01-sums.ipynb')\n"
    code += "def mean(numbers):\n    return sum(numbers) / len(numbers)"
    nb = submission(release.build(tmp_path, "01-sums"), {"mean": code})
    assert lost(grader.grade(task, handed_in(nb, files={"record.json": b"mine"}))) == set()
    assert lost(grader.grade(task, handed_in(nb, files={"record.json": b"other"}))) >= {"mean-hidden"}


def test_a_large_file_is_laid_out_too(grader: Grader, task: Task, made) -> None:
    code = "import os\ndef mean(numbers):\n    return sum(numbers) / len(numbers) * (os.path.getsize('big') == 9 << 20)"
    nb = submission(made, {"mean": code})
    assert lost(grader.grade(task, handed_in(nb, files={"big": bytes(9 << 20)}))) == set()


def test_names_in_notes_are_printable(grader: Grader, task: Task, made) -> None:
    nb = submission(made, {})
    nb.cells.insert(3, new_code_cell("import os\nos._exit(1)", metadata={"nbgrader": {"grade_id": "a\x1b[31m\nb"}}))
    notes = grader.grade(task, handed_in(nb)).notes
    assert notes
    assert all(note.isprintable() for note in notes)


def test_a_warm_parent_that_has_died_is_started_again(task: Task, made) -> None:
    with Grader() as grader:
        for place in (-1, -2):  # the referees' parent is below the students'
            assert lost(grader.grade(task, handed_in(submission(made, {})))) == set()
            before = grader.parents
            psutil.Process(before.students.process.pid).children(recursive=True)[place].kill()
            assert lost(grader.grade(task, handed_in(submission(made, {})))) == set()
            assert grader.parents is not before


# --- when it is graded again ---


def test_the_fingerprint_changes_with_what_matters(task: Task, made, monkeypatch: pytest.MonkeyPatch) -> None:
    one = handed_in(submission(made, {}))
    marks = [
        task.fingerprint(one),
        task.fingerprint(replace(one, notebook=one.notebook + b" ")),
        task.fingerprint(replace(one, files={"a": b"1"})),
        task.fingerprint(replace(one, files={"a1": b""})),
        task.fingerprint(one, unsafe=True),
        replace(task, source=task.source + " ").fingerprint(one),
        replace(task, limits=Limits()).fingerprint(one),
        replace(task, extras={"x": b""}).fingerprint(one),
    ]
    monkeypatch.setattr(grading, "versions", lambda: {"torch": "other"})
    marks.append(task.fingerprint(one))
    assert len(set(marks)) == len(marks)
    monkeypatch.undo()
    assert task.fingerprint(replace(one, notebook=bytes(one.notebook))) == marks[0]


def test_records_go_through_json(grader: Grader, task: Task, made) -> None:
    graded = grader.grade(task, handed_in(submission(made, {"mean": "x = '\\ud800'; print(x)"})))
    assert Graded.from_json(graded.to_json()) == graded
    json.loads(graded.notebook.encode())


def test_without_a_sandbox_it_is_recorded_and_leaves_no_files(task: Task, made, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    nb = submission(made, {})
    nb.cells.insert(1, new_code_cell("open('left', 'w').write('x')"))
    with Grader(unsafe=True) as unsafe:
        graded = unsafe.grade(task, handed_in(nb, files={"record.json": b"1"}))
    assert graded.unsafe
    assert lost(graded) == set()
    assert list(tmp_path.iterdir()) == []
