"""What tests of assignments share: a small assignment, named answers, submissions, and running cells in process."""

from __future__ import annotations

import ast
import contextlib
import json
import linecache
import os
import pickle
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import CodeType
from typing import Any
from unittest import mock

import nbformat
from nbformat import NotebookNode

from course_utils import measurements, notebooks, release

# Triton's own functions are interpreted, or not, from its import on, and torch imports it when it first optimises.
with mock.patch.dict(os.environ, TRITON_INTERPRET="1"), contextlib.suppress(ImportError):
    import triton  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = ROOT / "tests" / "answers"
SEED = re.compile(r"^SEED = (\d[\d_]*)", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """A named answer: which cells it replaces, what it does or gets wrong, and the graded cells that it loses."""

    name: str
    kind: str  # right or wrong
    mistake: str
    fails: frozenset[str]
    enforced_by: str | None
    cells: dict[str, str]

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"


def load_answer(path: Path) -> Answer:
    """Read an answer file; its header is literal, so nothing of it is run."""
    text = path.read_text(encoding="utf-8")
    header, *sections = re.split(r"^# %% +(\S+) *\n", text, flags=re.MULTILINE)
    tree = ast.parse(header)
    stated = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    return Answer(
        name=path.stem,
        kind=path.parent.name,
        mistake=(ast.get_docstring(tree) or "").split("\n")[0],
        fails=frozenset(stated["FAILS"]),
        enforced_by=stated.get("ENFORCED_BY"),
        cells={name: body.strip("\n") for name, body in zip(sections[::2], sections[1::2], strict=True)},
    )


def load_answers(name: str) -> list[Answer]:
    """All named answers of an assignment, the right ones first."""
    return [load_answer(path) for kind in ("right", "wrong") for path in sorted((ANSWERS / name / kind).glob("*.py"))]


def reads(content: bytes) -> NotebookNode:
    """A notebook of one's own; parsed and validated once, which takes twenty times as long as a copy."""
    return pickle.loads(_parsed(content))


@lru_cache(maxsize=64)
def _parsed(content: bytes) -> bytes:
    return pickle.dumps(nbformat.reads(content.decode(), as_version=4))


def fill(nb: NotebookNode, cells: dict[str, str]) -> NotebookNode:
    """Replace solution cells of a notebook by their grade_id; a name that no solution cell has is an error."""
    solutions = {notebooks.grade_id(cell): cell for cell in nb.cells if notebooks.is_solution(cell)}
    unknown = set(cells) - set(solutions)
    if unknown:
        raise KeyError(f"no solution cell {', '.join(sorted(unknown))}; there are {', '.join(solutions)}")
    for name, source in cells.items():
        solutions[name].source = source
    return nb


def reference(made: release.Released) -> dict[str, str]:
    """The reference's solution cells."""
    return {
        notebooks.grade_id(cell): cell.source for cell in reads(made.instructor).cells if notebooks.is_solution(cell)
    }


def stub(made: release.Released) -> dict[str, str]:
    """The stubs that a student is given."""
    return _solutions(reads(made.student))


def _solutions(nb: NotebookNode) -> dict[str, str]:
    return {notebooks.grade_id(cell): cell.source for cell in nb.cells if notebooks.is_solution(cell)}


def submission(made: release.Released, cells: dict[str, str]) -> NotebookNode:
    """What a student hands in: the released notebook, all solution cells filled; those not named by the reference."""
    return fill(reads(made.student), {**reference(made), **cells})


def graded(made: release.Released, cells: dict[str, str]) -> NotebookNode:
    """What a grader runs: the same answers with the hidden tests in."""
    return fill(reads(made.instructor), cells)


def handed_in(made: release.Released, cells: dict[str, str]) -> dict[str, bytes]:
    """The files that a student hands in beside the notebook: the reference's, a record as measured with this answer."""
    files = dict(made.handed_in)
    if "measurements.json" in files:
        cell = {**reference(made), **cells}[measurements.MEASURED]
        record = json.loads(files["measurements.json"]) | {"source_hash": measurements.source_hash(cell)}
        files["measurements.json"] = json.dumps(record).encode()
    return files


@contextlib.contextmanager
def working_folder(made: release.Released, cells: dict[str, str]) -> Iterator[None]:
    """Be where graded cells find what they may read: the files that were handed in, and the notebook itself.

    What the cells put into the environment is taken away again: setup cells turn Triton's interpreter on.
    """
    with mock.patch.dict(os.environ):
        if not _reads_notebook(made.instructor):
            yield
            return
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            notebook = nbformat.writes(submission(made, cells)).encode()
            for path, content in {**handed_in(made, cells), f"{made.name}.ipynb": notebook}.items():
                release.write_atomically(Path(path), content)
            yield


@cache
def _reads_notebook(instructor: bytes) -> bool:
    return notebooks.reads_notebook(reads(instructor))


def of_problems(nb: NotebookNode, solutions: Collection[str]) -> NotebookNode:
    """The notebook with no problems but those of some solution cells; what belongs to no problem stays."""
    problem = {id(cell): notebooks.course_of(cell).get("problem") for cell in nb.cells}
    theirs = {problem[id(cell)] for cell in nb.cells if notebooks.grade_id(cell) in solutions}
    nb.cells = [cell for cell in nb.cells if problem[id(cell)] in (None, *theirs)]
    return nb


def points(made: release.Released) -> dict[str, float]:
    """Points of every automatically graded cell."""
    return {name: value for problem in made.problems for name, value in {**problem.visible, **problem.hidden}.items()}


def run_in_process(nb: NotebookNode, seed: int | None = None) -> dict[str, str | None]:
    """Run a notebook's code cells in one namespace, as a kernel would, but in this warm process.

    Args:
        nb: the notebook, hidden tests in.
        seed: replaces the number of every ``SEED = n`` line; each cell's own where None.

    Returns:
        For every test cell what stopped it, None where it ran to its end.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    verdicts: dict[str, str | None] = {}
    for where, cell in notebooks.labelled(nb):
        if cell.cell_type != "code":
            continue
        source = cell.source if seed is None else SEED.sub(f"SEED = {seed}", cell.source)
        stopped = _run_cell(source, where, namespace)
        if notebooks.is_test(cell):
            verdicts[notebooks.grade_id(cell)] = stopped
    return verdicts


def _run_cell(source: str, where: str, namespace: dict[str, Any]) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a kernel a warning is a line on stderr; here it would be an error
            name = f"<{where}>"
            # As a kernel does: Triton reads a function's source again, and interprets it wrongly where it finds none.
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
            exec(_compiled(source, name), namespace)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return None


@lru_cache(maxsize=1024)
def _compiled(source: str, name: str) -> CodeType:
    """A cell's code: the same graded cells, with the same seeds, meet every answer."""
    return compile(source, name, "exec")


def nbgrader(course: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the stock command as an instructor would."""
    command, env = [Path(sys.executable).parent / "nbgrader", *words], {**os.environ, "PATH": with_programs()}
    return subprocess.run(command, cwd=course, env=env, capture_output=True, text=True, check=False)


def with_programs() -> str:
    """PATH with the environment's programs: nbgrader calls alembic."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


# --- a small assignment, so that a kernel starts fast ------------------------------------------------------------


def cell(source: str, *, kind: str, name: str, course: str, points: int | None = None) -> str:
    """A code cell of a MyST source with nbgrader's metadata."""
    lines = [
        "```{code-cell} ipython3",
        "---",
        "nbgrader:",
        f"  grade: {str(kind == 'test').lower()}",
        f"  grade_id: {name}",
        f"  locked: {str(kind != 'solution').lower()}",
        *([f"  points: {points}"] if points is not None else []),
        "  schema_version: 3",
        f"  solution: {str(kind == 'solution').lower()}",
        "  task: false",
        f"course: {course}",
        "---",
        source.strip("\n"),
        "```",
    ]
    return "\n".join(lines)


SMALL = "\n\n".join(
    [
        "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n"
        "kernelspec:\n  display_name: Python 3\n  language: python\n  name: python3\n"
        "course:\n  title: Two small sums\n  minutes: 5\n  forbidden: [math.fsum, statistics]\n---",
        "# Two small sums\n\nWithout `math.fsum`.",
        cell("import math", kind="setup", name="setup", course="{setup: true}"),
        "## The mean\n\n**Write** `mean(numbers)`.",
        cell(
            'def mean(numbers):\n    """The mean of a list of numbers."""\n    ### BEGIN SOLUTION\n'
            "    return sum(numbers) / len(numbers)\n    ### END SOLUTION",
            kind="solution",
            name="mean",
            course="{problem: mean, title: The mean, defines: [mean]}",
        ),
        cell(
            'assert mean([1.0, 4.0]) == 2.5, f"the mean of 1 and 4 is 2.5, not {mean([1.0, 4.0])}"',
            kind="test",
            name="mean-visible",
            course="{problem: mean, tests: visible}",
            points=20,
        ),
        cell(
            "# Looks at longer lists, and at a list that must stay as it is.\n### BEGIN HIDDEN TESTS\nimport random\n"
            "SEED = 1234\nnumbers = [random.Random(SEED + i).random() for i in range(7)]\nkept = list(numbers)\n"
            'assert abs(mean(numbers) - sum(numbers) / 7) < 1e-12, "the mean of seven numbers"\n'
            'assert numbers == kept, "the list was changed"\n### END HIDDEN TESTS',
            kind="test",
            name="mean-hidden",
            course="{problem: mean, tests: hidden}",
            points=30,
        ),
        "## The spread\n\n**Write** `spread(numbers)`: largest minus smallest.",
        cell(
            'def spread(numbers):\n    """Largest minus smallest."""\n    ### BEGIN SOLUTION\n'
            "    return max(numbers) - min(numbers)\n    ### END SOLUTION",
            kind="solution",
            name="spread",
            course="{problem: spread, title: The spread, defines: [spread], forbidden: [numpy.ptp]}",
        ),
        cell(
            'assert spread([3, 5, 4]) == 2, "spread([3, 5, 4]) is 2: 5 minus 3"',
            kind="test",
            name="spread-visible",
            course="{problem: spread, tests: visible}",
            points=20,
        ),
        cell(
            "# Looks at negative numbers.\n### BEGIN HIDDEN TESTS\nSEED = 7\n"
            'assert spread([-SEED, 0, SEED]) == 2 * SEED, "negative numbers"\n### END HIDDEN TESTS',
            kind="test",
            name="spread-hidden",
            course="{problem: spread, tests: hidden}",
            points=30,
        ),
    ]
)

WRITTEN = f"""{SMALL}

## In words

**Say** why the mean of nothing is not zero. (10 points, read by a person.)

+++ {{"nbgrader": {{"grade": true, "grade_id": "why", "locked": false, "points": 10, "schema_version": 3, \
"solution": true, "task": false}}, "course": {{"problem": "why", "title": "In words", "written": true}}}}

### BEGIN SOLUTION
A sum of no numbers is zero, but zero divided by zero is no number.

**Marking scheme**

- 6 points: the sum
- 4 points: the division
### END SOLUTION

+++

That is all.
"""


def small_repository(root: Path, text: str = SMALL, name: str = "01-sums") -> Path:
    """A repository that has one small assignment; returns its root."""
    folder = root / "solutions" / name
    folder.mkdir(parents=True)
    (root / "exercises").mkdir()
    (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    return root
