"""Two corpora through the grader: hostile submissions earn what they deserve, honest odd ones everything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from corpora import honest, hostile
from corpora.assignment import FULL, MARKER, NAME, SOURCE
from corpora.base import LIMITS, Case
from corpora.canary import Canary
from nbgrader.api import Gradebook
from support import ROOT, nbgrader, points, reads, reference, small_repository, stub

from course_utils import release
from course_utils.grading.grader import Grader, Task
from course_utils.grading.intake import from_folder
from course_utils.grading.records import Graded

TEST = "test_a_submission_earns_what_it_deserves"
CASES = [*hostile.CASES, *honest.CASES]
# What nbgrader does to a file before we see it depends on the file, not on what its cells do: so all odd files are
# tried with its command, and a few of the others. `pytest --thorough` tries all.
ODD_FILES, A_FEW = {"tampered", "malformed", "honest"}, 3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_repository(tmp_path_factory.mktemp("repository"), SOURCE, NAME)


@pytest.fixture(scope="module")
def made(root: Path) -> release.Released:
    return release.build(root, NAME)


@pytest.fixture(scope="module")
def task(root: Path) -> Task:
    return Task.of(root, NAME)


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    one = Canary(tmp_path_factory.mktemp("canary"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, canary: Canary, made: release.Released, task: Task, tmp_path_factory: Any
) -> Iterator[dict[str, Future[Graded]]]:
    """What grading the selected cases gives, two at a time; after the last, nothing may have changed around them."""
    cases = [item.callspec.params["case"] for item in request.session.items if item.originalname == TEST]
    idle: SimpleQueue[Grader] = SimpleQueue()

    def graded(case: Case) -> Graded:
        course, grader = tmp_path_factory.mktemp("course"), idle.get()
        try:
            hand_in(course, case, made, canary)
            (submission,) = from_folder(course, NAME)
            return grader.grade(replace(task, limits=case.limits), submission)
        finally:
            idle.put(grader)

    with Grader() as one, Grader() as other, ThreadPoolExecutor(2) as pool:
        idle.put(one)
        idle.put(other)
        yield {str(case): pool.submit(graded, case) for case in cases}
        pool.shutdown(cancel_futures=True)
    assert canary.seen() == canary.before
    assert canary.called() == []
    assert canary.left() == set()


def hand_in(course: Path, case: Case, made: release.Released, canary: Canary, student: str = "somebody") -> None:
    """Lay a case's files into a course folder."""
    handed = case.make(reads(made.student))
    files = handed if isinstance(handed, dict) else {f"{NAME}.ipynb": handed}
    for name, content in files.items():
        path = course / "submitted" / student / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            path.symlink_to(canary.placed(str(content).encode()).decode())
        else:
            path.write_bytes(canary.placed(content))


def earned(graded: Graded, made: release.Released) -> dict[str, float]:
    """Points by problem."""
    passed = {verdict.grade_id for verdict in graded.verdicts if verdict.passed}
    return {
        problem.name: sum(most for name, most in {**problem.visible, **problem.hidden}.items() if name in passed)
        for problem in made.problems
    }


def said(graded: Graded) -> str:
    """All that the instructor is told."""
    return "\n".join([graded.refusal, *graded.notes, *(verdict.message for verdict in graded.verdicts)])


def put_out(graded: Graded) -> str:
    """All that the student's cells put out, as it stands in the notebook."""
    cells = json.loads(graded.notebook)["cells"]
    return "\n".join(json.dumps(cell["outputs"], ensure_ascii=False) for cell in cells if cell.get("outputs"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_submission_earns_what_it_deserves(
    results: dict[str, Future[Graded]], made: release.Released, case: Case
) -> None:
    graded = results[str(case)].result()
    assert earned(graded, made) == case.expected, said(graded)
    assert re.search(case.reason, said(graded)), said(graded)
    assert re.search(case.shows, put_out(graded)), put_out(graded)
    assert MARKER not in graded.to_json()


# --- the same by nbgrader's own command ---


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "by_nbgrader" in metafunc.fixturenames:
        every = metafunc.config.getoption("--thorough")
        metafunc.parametrize(
            "case", [case for case in CASES if case.nbgrader_accepts and (every or is_tried(case))], ids=str
        )


def is_tried(case: Case) -> bool:
    return case.group in ODD_FILES or case in [each for each in CASES if each.group == case.group][:A_FEW]


@pytest.fixture(scope="module")
def by_nbgrader(
    request: pytest.FixtureRequest, made: release.Released, canary: Canary, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, float]]:
    """The points of each case by cell, as `nbgrader autograde` with this repository's configuration gives them."""
    limits = json.dumps({**vars(LIMITS), "cell_wall_seconds": 15})
    source = SOURCE.replace("\ncourse:\n", f"\ncourse:\n  limits: {limits}\n", 1)
    repository = small_repository(tmp_path_factory.mktemp("repository"), source, NAME)
    instructor = release.build(repository, NAME).instructor
    release.write_atomically(repository / "_build" / "source" / NAME / f"{NAME}.ipynb", instructor)
    (repository / "nbgrader_config.py").write_bytes((ROOT / "nbgrader_config.py").read_bytes())
    course = tmp_path_factory.mktemp("class")
    (course / "nbgrader_config.py").write_text(f"load_subconfig({str(repository / 'nbgrader_config.py')!r})")
    cases = [item.callspec.params["case"] for item in request.session.items if "by_nbgrader" in item.fixturenames]
    for case in cases:
        hand_in(course, case, made, canary, str(case))
    assert nbgrader(course, "generate_assignment", NAME).returncode == 0
    said = nbgrader(course, "autograde", NAME).stderr
    refused = re.findall(r"error processing assignment '.*' for student '(.*)'", said)
    assert refused == [], said[-3000:]
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        found = {str(case): book.find_submission_notebook(NAME, NAME, str(case)).grades for case in cases}
        return {name: {grade.name: grade.score for grade in grades} for name, grades in found.items()}


def test_nbgrader_gives_the_same(by_nbgrader: dict[str, dict[str, float]], made: release.Released, case: Case) -> None:
    scores = by_nbgrader[str(case)]
    found = {each.name: sum(scores[cell] for cell in (*each.visible, *each.hidden)) for each in made.problems}
    assert found == case.expected


# --- the corpora themselves ---


def test_the_assignment_gives_all_to_its_reference_and_nothing_to_its_stub(made: release.Released) -> None:
    release.check_answers(made)
    assert sum(points(made).values()) == sum(FULL.values()) == 100
    assert set(reference(made)) == set(stub(made)) == set(FULL)


def test_names_are_used_once() -> None:
    names = list(map(str, CASES))
    assert sorted(set(names)) == sorted(names)


def test_every_group_is_there() -> None:
    assert len({case.group for case in hostile.CASES}) == 8
    assert len(hostile.CASES) >= 70
    assert len(honest.CASES) >= 25
