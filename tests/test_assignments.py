"""Every assignment, by its named answers: right ones earn 100, wrong ones lose exactly what they should."""

from __future__ import annotations

import os
import random
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps.api import Autograde, CourseDirectory, GenerateAssignment
from support import (
    ROOT,
    SEED,
    Answer,
    graded,
    handed_in,
    load_answers,
    nbgrader,
    of_problems,
    points,
    reads,
    reference,
    run_in_process,
    stub,
    submission,
    with_programs,
    working_folder,
)
from traitlets.config import PyFileConfigLoader

from course_utils import release
from course_utils.grading.forbidden import forbidden_by_problem
from course_utils.notebooks import grade_id, is_test

NAMES = release.assignments(ROOT)
ANSWERS = [(name, answer) for name in NAMES for answer in load_answers(name)]
OTHER_SEEDS = random.Random(0).sample(range(1, 10**6), 19)  # the source's own is the 20th


@cache
def built(name: str) -> release.Released:
    return release.build(ROOT, name)


@cache
def seeded(name: str) -> frozenset[str]:
    """The graded cells that have a seed, the hidden ones: all others are the same for every seed."""
    return frozenset(grade_id(cell) for cell in reads(built(name).instructor).cells if SEED.search(cell.source))


def lost_cells(name: str, cells: dict[str, str]) -> set[str]:
    """The graded cells that a set of answers loses; what it does not answer has the reference."""
    with working_folder(built(name), cells):
        return stopped(graded(built(name), cells))


def lost_over_seeds(name: str, cells: dict[str, str]) -> dict[int, set[str]]:
    """What is lost of the problems that are answered, with one seed after the other in place of the source's.

    Only those tests are run that have a seed, and no cell that is there to be looked at.
    """
    nb = of_problems(graded(built(name), cells), cells)
    nb.cells = [cell for cell in nb.cells if grade_id(cell) and (not is_test(cell) or grade_id(cell) in seeded(name))]
    with working_folder(built(name), cells):
        return {seed: stopped(nb, seed) for seed in OTHER_SEEDS}


def stopped(nb: NotebookNode, seed: int | None = None) -> set[str]:
    return {cell for cell, why in run_in_process(nb, seed).items() if why is not None}


@pytest.mark.parametrize("name", NAMES)
def test_points_add_up_to_100(name: str) -> None:
    assert sum(points(built(name)).values()) == 100


@pytest.mark.parametrize("name", NAMES)
def test_there_are_enough_named_answers(name: str) -> None:
    kinds = [answer.kind for answer in load_answers(name)]
    assert kinds.count("right") >= 2
    assert kinds.count("wrong") >= 8


@pytest.mark.parametrize(("name", "answer"), ANSWERS, ids=str)
def test_answer_says_what_it_is(name: str, answer: Answer) -> None:
    assert answer.mistake
    assert answer.cells
    assert answer.fails <= set(points(built(name)))
    assert bool(answer.fails or answer.enforced_by) == (answer.kind == "wrong")
    assert answer.enforced_by in (None, "grader")


@pytest.mark.parametrize(("name", "answer"), ANSWERS, ids=str)
def test_answer_loses_exactly_its_cells_over_20_seeds(name: str, answer: Answer, kill_table: Callable) -> None:
    """With the source's own seed in the whole notebook: what the answer has no part in, it must not touch."""
    agrees = set.__eq__ if answer.enforced_by is None else set.__le__
    lost = lost_cells(name, answer.cells)
    assert agrees(lost, set(answer.fails)), f"loses {sorted(lost)}"
    for seed, lost in lost_over_seeds(name, answer.cells).items():
        assert agrees(lost, answer.fails & seeded(name)), f"seed {seed}: loses {sorted(lost)}"
    kill_table((name, str(answer), _lost_points(name, answer.fails), answer.mistake))


def _lost_points(name: str, lost: frozenset[str]) -> dict[str, float]:
    worth = points(built(name))
    return {
        problem.name: round(sum(worth[cell] for cell in lost & {*problem.visible, *problem.hidden}))
        for problem in built(name).problems
    }


@pytest.mark.parametrize(("name", "answer"), ANSWERS, ids=str)
def test_forbidden_names_are_found_where_they_are_and_nowhere_else(name: str, answer: Answer) -> None:
    made = built(name)
    costing, elsewhere = forbidden_by_problem(reads(made.instructor), submission(made, answer.cells))
    lost = {
        cell for problem in made.problems if problem.name in costing for cell in [*problem.visible, *problem.hidden]
    }
    assert lost == (answer.fails if answer.enforced_by == "grader" else set())
    assert elsewhere == []


@pytest.mark.parametrize("name", NAMES)
def test_reference_uses_nothing_forbidden_and_earns_all(name: str) -> None:
    assert forbidden_by_problem(reads(built(name).instructor), submission(built(name), {})) == ({}, [])
    assert lost_cells(name, {}) == set()
    assert not any(lost_over_seeds(name, reference(built(name))).values())


@pytest.mark.parametrize("name", NAMES)
def test_stub_earns_nothing(name: str) -> None:
    assert lost_cells(name, stub(built(name))) == set(points(built(name)))


STOCK = """
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, Execute, LimitOutput, SaveAutoGrades
c.Autograde.autograde_preprocessors = [Execute, LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
c.Execute.timeout = 120
"""


# Ours is the grader, whatever the assignment: here one, and one that hands in a file.
EXECUTED = [(name, "stock") for name in NAMES] + [("02-soft-dictionary", "ours"), ("lab-2-flash-vs-naive", "ours")]


@pytest.mark.parametrize(("name", "executor"), EXECUTED)
def test_nbgrader_gives_answers_their_points(
    name: str, executor: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """`nbgrader autograde` with this repository's configuration, and with nbgrader's own executor, a kernel.

    Each answer takes seconds, so these are a right and a wrong one, and the stub; all with `--thorough`.
    """
    made = built(name)
    repository = tmp_path / "repository"
    shutil.copytree(ROOT / "solutions" / name, repository / "solutions" / name)
    for relative, content in {**made.extras, f"{name}.ipynb": made.instructor}.items():
        release.write_atomically(repository / "_build" / "source" / name / relative, content)
    (repository / "nbgrader_config.py").write_bytes((ROOT / "nbgrader_config.py").read_bytes())
    config = f'load_subconfig(r"{repository / "nbgrader_config.py"}")\n' + (STOCK if executor == "stock" else "")

    right, wrong = ([each for each in load_answers(name) if each.kind == kind] for kind in ("right", "wrong"))
    if not request.config.getoption("--thorough"):  # our judge sees all of them in test_split.py
        right, wrong = right[:1], [each for each in wrong if each.enforced_by is None][:1]
    answers = {str(answer): answer for answer in (*right, *wrong)}
    filled = {student: answer.cells for student, answer in answers.items()} | {"stub": stub(made)}
    scores = grade_class(made, config, tmp_path / "class", filled, by_commands if executor == "ours" else in_process)

    worth = points(made)
    for student, answer in answers.items():
        expected = 100 - sum(worth[cell] for cell in answer.fails)
        if executor == "ours" or answer.enforced_by is None:
            assert scores[student] == expected, student
        else:
            assert scores[student] >= expected, student
    assert scores["stub"] == 0


def grade_class(
    made: release.Released,
    config: str,
    course: Path,
    answers: dict[str, dict[str, str]],
    autograde: Callable[[Path, str], None],
) -> dict[str, float]:
    """Release to a class and autograde what it handed in, by nbgrader; student -> score."""
    course.mkdir()
    (course / "nbgrader_config.py").write_text(config, encoding="utf-8")
    for student, cells in answers.items():
        path = course / "submitted" / student / made.name / f"{made.name}.ipynb"
        for relative, content in handed_in(made, cells).items():
            release.write_atomically(path.parent / relative, content)
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(submission(made, cells), path)
    autograde(course, made.name)
    assert (course / "release" / made.name / f"{made.name}.ipynb").read_bytes().rstrip() == made.student.rstrip()
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return {student: gradebook.find_submission(made.name, student).score for student in answers}


def by_commands(course: Path, name: str) -> None:
    for command in ("generate_assignment", "autograde"):
        done = nbgrader(course, command, name)
        assert done.returncode == 0, done.stderr


def in_process(course: Path, name: str) -> None:
    """What the commands do once they have imported nbgrader, which takes each of them as long as a student's kernel."""
    config = PyFileConfigLoader("nbgrader_config.py", str(course)).load_config()
    config.CourseDirectory.update(root=str(course), assignment_id=name)
    with mock.patch.dict(os.environ, PATH=with_programs()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nbgrader's own, as little an error as in a command
        for converter in (GenerateAssignment, Autograde):
            converter(coursedir=CourseDirectory(config=config), config=config).start()
