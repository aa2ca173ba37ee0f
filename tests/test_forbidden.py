"""Forbidden names: what the reader finds, in which line, what it must not take for one, and which problem it costs."""

from __future__ import annotations

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from support import fill, reads, small_repository, submission

from course_utils import release
from course_utils.grading.forbidden import TOO_DEEP, Finding, forbidden_by_problem, forbidden_calls
from course_utils.notebooks import grade_id, is_locked

NAMES = ["torch.softmax", "torch.nn.functional.softmax", "torch.Tensor.softmax", "course_utils.attention"]
FUNCTIONAL, METHOD = "torch.nn.functional.softmax", "torch.Tensor.softmax"


def found(source: str) -> list[tuple[int, str]]:
    return [(item.line, item.name) for item in forbidden_calls({"mine": source}, NAMES, given=["import torch"])]


@pytest.mark.parametrize(
    ("source", "findings"),
    [
        ("y = 1\nx = torch.softmax(y, 0)", [(2, "torch.softmax")]),
        ("import torch as t\nt.softmax", [(2, "torch.softmax")]),
        ("import torch.nn.functional as F\nF.softmax(x)", [(2, FUNCTIONAL)]),
        ("from torch.nn import functional as F\nF.softmax(x)", [(2, FUNCTIONAL)]),
        ("torch.nn.functional.softmax(x)", [(1, FUNCTIONAL)]),
        ("from torch import softmax as s\ns(x)", [(1, "torch.softmax"), (2, "torch.softmax")]),
        ("from torch.nn.functional import *\nsoftmax(x)", [(2, FUNCTIONAL)]),
        ("f = torch.softmax\ng = f\ng(x)", [(1, "torch.softmax"), (2, "torch.softmax"), (3, "torch.softmax")]),
        ("N = torch.nn\nN.functional.softmax(x)", [(2, FUNCTIONAL)]),
        ("def f(x, s=torch.softmax):\n    return s(x)", [(1, "torch.softmax")]),
        ('getattr(torch, "softmax")(x)', [(1, "torch.softmax")]),
        ('getattr(x @ y, "softmax")(0)', [(1, METHOD)]),
        ("weights = (q @ k.T).softmax(-1)", [(1, METHOD)]),
        ("torch.exp(x).softmax(0)", [(1, METHOD)]),
        ("torch.Tensor.softmax(x, 0)", [(1, METHOD)]),
        ("import course_utils.attention", [(1, "course_utils.attention")]),
        ("from course_utils import attention as a", [(1, "course_utils.attention")]),
        ("from course_utils.attention import masked_softmax", [(1, "course_utils.attention.masked_softmax")]),
        ("from course_utils.attention import *", [(1, "course_utils.attention")]),
        ("import importlib\nimportlib.import_module('course_utils.attention')", [(2, "course_utils.attention")]),
        ("import importlib\nimportlib.import_module(name='course_utils.attention')", [(2, "course_utils.attention")]),
        ("from importlib import import_module as m\nm('.attention', 'course_utils')", [(2, "course_utils.attention")]),
        ("__import__(name='torch').softmax(x, 0)", [(1, "torch.softmax")]),
        ("__import__('torch').softmax(x)", [(1, "torch.softmax")]),
        ("%matplotlib inline\nprint('w =%s' % 1)\ntorch.softmax", [(3, "torch.softmax")]),
        ("%prun -D out.prof 1\ntorch.softmax", [(2, "torch.softmax")]),
        ("%time --no-raise-error s = torch.softmax", [(1, "torch.softmax")]),
        ("y = 1\ns = %time torch.softmax\ns(y)", [(2, "torch.softmax"), (3, "torch.softmax")]),
        ("%%capture out\ny = 1\ntorch.softmax(y)", [(3, "torch.softmax")]),
        ("In [1]: t = torch\nt.softmax", [(2, "torch.softmax")]),
        ("a = t = torch\nt.softmax", [(2, "torch.softmax")]),
        ("t, a = torch, 0\nt.softmax", [(2, "torch.softmax")]),
        ("t = torch if x else 0\nt.softmax", [(2, "torch.softmax")]),
        ("(torch or 0).softmax", [(1, "torch.softmax")]),
        ("class A:\n    def softmax(self): return 1\nself = x\nself.softmax()", [(4, METHOD)]),
        ("class A:\n    def softmax(self): return 1\ndef f(self): return self.softmax()", [(3, METHOD)]),
        ("class A:\n    def softmax(self):\n        self = x\n        return self.softmax()", [(4, METHOD)]),
        ("class A(B):\n    pass\na = A(x)\na.softmax()", [(4, METHOD)]),
    ],
)
def test_found(source: str, findings: list[tuple[int, str]]) -> None:
    assert found(source) == findings


@pytest.mark.parametrize(
    "source",
    [
        "def softmax(x):\n    return x\nsoftmax(3)",
        "class Mine:\n    def softmax(self):\n        return 1\n    def again(self):\n        return self.softmax()",
        "import math\nmath.softmax",
        "class Mine:\n    def softmax(self):\n        return 1\nlayer = Mine()\nlayer.softmax()",
        "from torch.nn.functional import *\ndef softmax(x):\n    return x\nsoftmax(3)",
        "torch.softmax_like(x)",
        "torch.exp(x) / torch.exp(x).sum()",
        "from course_utils import checks",
        "import torch.nn.functional as F\nF.relu(x)",
        "'torch.softmax(x)'  # torch.softmax",
        "from . import attention",
    ],
)
def test_not_taken_for_one(source: str) -> None:
    assert found(source) == []


@pytest.mark.parametrize(
    ("source", "findings"),
    [
        ("%matplotlib inline\n!ls\nx = !ls\ny = %pwd\nhelp?\ntorch.softmax(x)", [(6, "torch.softmax")]),
        ("%time y = x.softmax(0)", [(1, METHOD)]),
        ("%%time\nx.softmax(0)", [(2, METHOD)]),
        ("y = (7\n  % 3)\nx.softmax(0)", [(3, METHOD)]),
        ("def broken(:\n  torch.softmax", []),
        ("\0", []),
        ("", []),
    ],
)
def test_magics_and_what_is_not_python_do_not_stop_it(source: str, findings: list[tuple[int, str]]) -> None:
    assert found(source) == findings


def test_aliases_reach_over_cells_and_findings_are_in_notebook_order() -> None:
    sources = {"second": "softly(x)", "broken": "(", "first": "softly = torch.softmax"}
    findings = forbidden_calls(sources, NAMES, given=["import torch"])
    assert findings == [Finding("second", 1, "torch.softmax"), Finding("first", 1, "torch.softmax")]


def test_the_instructors_own_cells_are_never_reported() -> None:
    assert forbidden_calls({}, NAMES, given=["import torch\ntorch.softmax(x)"]) == []


@pytest.mark.parametrize(
    "source",
    [
        "  y = x.softmax(0)",
        ">>> y = x.softmax(0)",
        "In [3]: y = x.softmax(0)",
        ",print a b\ny = x.softmax(0)",
        "/print a\ny = x.softmax(0)",
        "y = await f(x.softmax(0))",
    ],
)
def test_what_ipython_runs_is_read_though_it_is_not_python(source: str) -> None:
    assert [name for _, name in found(source)] == [METHOD]


@pytest.mark.parametrize(
    "source", ["x = " + "-" * 400 + "1", "x = a" + ".b" * 400, "x = a" + ".b" * 20_000, "(" * 150 + ")" * 150]
)
def test_what_is_nested_too_deeply_to_be_read_is_a_finding(source: str) -> None:
    assert found(source) in ([(1, TOO_DEEP)], [])
    assert found("x = " + "-" * 400 + "1") == [(1, TOO_DEEP)]


def test_a_crowd_of_names_hides_none() -> None:
    decoys = "".join(f"t = lib.a{n}\n" for n in range(100))
    assert found(f"import lib\n{decoys}t = torch\nt.softmax") == [(103, "torch.softmax")]
    chain = "".join(f"def f{n}():\n    global a{n}; a{n} = a{n + 1}\n" for n in range(50))
    assert found(f"{chain}a50 = torch\na0.softmax") == [(102, "torch.softmax")]


def test_names_that_grow_as_they_are_learnt_come_to_an_end() -> None:
    assert found("F = torch.nn\nF = F.functional\nF = F.a\nF = F.b\nF.softmax(x)") == [(5, FUNCTIONAL)]
    assert found("\n".join(f"a{n} = a{n + 1}" for n in range(500)) + "\na.softmax") == [(501, METHOD)]


# --- whom a finding costs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    """The small assignment: `math.fsum` and `statistics` are forbidden, and `numpy.ptp` for its problem `spread`."""
    return release.build(small_repository(tmp_path_factory.mktemp("course")), "01-sums")


MEAN = "def mean(numbers):\n    return {}"
SPREAD = "def spread(numbers):\n    return {}"
FSUM = "math.fsum(numbers)"


def costs(made: release.Released, solutions: dict[str, str], *others: str, first: bool = True) -> tuple[set[str], int]:
    """Which problems a submission with further cells loses, and how many findings are only noted."""
    nb = submission(made, solutions)
    cells = [new_code_cell(source) for source in others]
    nb.cells = [*cells, *nb.cells] if first else [*nb.cells, *cells]
    costing, notes = forbidden_by_problem(reads(made.instructor), nb)
    return set(costing), len(notes)


@pytest.mark.parametrize(
    ("solutions", "others", "problems", "notes"),
    [
        # nothing, and in the solution cell itself
        ({}, [], set(), 0),
        ({"mean": MEAN.format(FSUM)}, [], {"mean"}, 0),
        ({"spread": SPREAD.format("__import__('numpy').ptp(numbers)")}, [], {"spread"}, 0),
        ({"mean": MEAN.format("__import__('numpy').ptp(numbers)")}, [], set(), 0),
        # a scratch cell that compares, whose names nothing reads
        ({}, ["print(math.fsum([1]) - mean([1]))"], set(), 1),
        ({}, ["import math\nprint(math.fsum([1]))"], set(), 1),
        ({}, ["numbers = [1, 2]\nexpected = math.fsum(numbers)"], set(), 1),
        ({"mean": MEAN.format("len([h for h in numbers])")}, ["h = math.fsum([1])"], set(), 1),
        ({"mean": "h = 2\nprint(h)\n" + MEAN.format("1")}, ["h = math.fsum([1])"], set(), 1),
        ({}, ["known = {}\nknown['mean'] = math.fsum([1])"], set(), 1),
        ({}, ["import numpy\nnumpy.ptp([1])"], set(), 0),
        # a helper, directly and through others
        ({"mean": MEAN.format("h(numbers)")}, ["h = math.fsum"], {"mean"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["def h(x):\n    return math.fsum(x)"], {"mean"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["def f():\n    global h\n    h = math.fsum\nf()"], {"mean"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["k = math.fsum", "def h(x):\n    return k(x)"], {"mean"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["[h := math.fsum for _ in '1']"], {"mean"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["def f(a=(h := math.fsum)):\n    pass"], {"mean"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["from math import fsum as h\ndef k(h): pass"], {"mean"}, 0),
        ({"mean": "f = lambda x: h(x)\n" + MEAN.format("f(numbers)")}, ["h = math.fsum"], {"mean"}, 0),
        ({"mean": "class A:\n    h = h\n" + MEAN.format("A.h(numbers)")}, ["h = math.fsum"], {"mean"}, 0),
        (
            {"mean": "h = 1\ndel h\nf = [h]\n" + MEAN.format("f")},
            ["import builtins\nbuiltins.h = math.fsum"],
            {"mean"},
            0,
        ),
        ({"mean": "h += 1\n" + MEAN.format("1")}, ["h = math.fsum([1])"], {"mean"}, 0),
        # through attributes, and through names as text
        ({"mean": MEAN.format("h(numbers)")}, ["import builtins\nbuiltins.h = math.fsum"], {"mean"}, 0),
        ({"mean": MEAN.format("math.h(numbers)")}, ["math.h = math.fsum"], {"mean"}, 0),
        ({"mean": "from math import h\n" + MEAN.format("h(numbers)")}, ["math.h = math.fsum"], {"mean"}, 0),
        ({"mean": MEAN.format("getattr(math, 'h')(numbers)")}, ["setattr(math, 'h', math.fsum)"], {"mean"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["globals()['h'] = math.fsum"], {"mean"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["globals().update({'h': math.fsum})"], {"mean"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["globals().update(h=math.fsum)"], {"mean"}, 0),
        ({"mean": MEAN.format("globals()['h'](numbers)")}, ["h = math.fsum"], {"mean"}, 0),
        ({"mean": MEAN.format("globals().get('h')(numbers)")}, ["h = math.fsum"], {"mean"}, 0),
        ({"mean": "known = []\n" + MEAN.format("known[0](numbers)")}, ["known.append(math.fsum)"], {"mean"}, 0),
        ({"mean": "known = {}\n" + MEAN.format("known[1](numbers)")}, ["known[1] = math.fsum"], {"mean"}, 0),
        # a cell that binds what a problem asks for is its solution too
        ({}, ["mean = lambda numbers: math.fsum(numbers)"], {"mean"}, 0),
        ({}, ["globals()['mean'] = math.fsum"], {"mean"}, 0),
        ({}, ["space = globals()\nspace['mean'] = math.fsum"], {"mean"}, 0),
        ({}, ["def f(x):\n    return math.fsum(x)\nmean.__code__ = f.__code__"], {"mean"}, 0),
        ({"spread": SPREAD.format("1") + "\nmean = math.fsum"}, [], {"mean", "spread"}, 0),
        # what another problem asks for may be used; what else its cell holds may not
        ({"mean": MEAN.format(FSUM), "spread": SPREAD.format("mean(numbers)")}, [], {"mean"}, 0),
        (
            {"mean": "h = math.fsum\n" + MEAN.format("1"), "spread": SPREAD.format("h(numbers)")},
            [],
            {"mean", "spread"},
            0,
        ),
        # an operator is used without a name
        ({}, ["class N: pass\nN.__rshift__ = lambda x, y: math.fsum(x)"], {"mean", "spread"}, 0),
        # a problem's own names
        ({"spread": SPREAD.format("h(numbers)")}, ["from numpy import ptp as h"], {"spread"}, 0),
        ({"spread": SPREAD.format("h(numbers)")}, ["from numpy import ptp as h\ndef k(h): pass"], {"spread"}, 0),
        ({"mean": MEAN.format("h(numbers)")}, ["from numpy import ptp as h"], set(), 0),
        # magics, and cells that do not run or cannot be read
        ({"mean": MEAN.format("h(numbers)")}, ["%matplotlib inline\nh = math.fsum"], {"mean"}, 0),
        ({}, ["math.fsum("], set(), 0),
        ({}, ["x = " + "-" * 400 + "1"], {"mean", "spread"}, 0),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_finding_costs_the_problems_that_may_make_use_of_it(
    made: release.Released, solutions: dict[str, str], others: list[str], problems: set[str], notes: int, first: bool
) -> None:
    assert costs(made, solutions, *others, first=first) == (problems, notes)


def labelled_as(source: str, **nbgrader: object) -> NotebookNode:
    return new_code_cell(source, metadata={"nbgrader": nbgrader})


def test_what_a_submission_says_of_its_own_cells_is_not_believed(made: release.Released) -> None:
    nb = submission(made, {"spread": SPREAD.format("h(numbers)")})
    for cell in nb.cells:
        cell.metadata.pop("course", None)
        cell.metadata.get("nbgrader", {}).update(locked=True, solution=False, grade=False)
    nb.metadata["course"]["forbidden"] = []
    nb.cells.append(
        labelled_as("def h(x):\n    return math.fsum(x)", grade_id="mine", locked=True, grade=True, points=1)
    )
    costing, notes = forbidden_by_problem(reads(made.instructor), nb)
    place = f"cell {len(nb.cells)}"
    assert (costing, notes) == ({"spread": [Finding(place, 2, "math.fsum")]}, [])


def test_the_instructors_cells_are_not_read_and_copies_of_a_solution_cell_are(made: release.Released) -> None:
    nb = submission(made, {})
    for cell in nb.cells:
        if is_locked(cell) and cell.cell_type == "code":
            cell.source += "\nmath.fsum([1])"  # the original is run
    again = labelled_as("\nmath.fsum([1])", grade_id="mean", solution=True)
    nb.cells.append(again)
    costing, notes = forbidden_by_problem(reads(made.instructor), nb)
    assert costing == {"mean": [Finding(f"cell {len(nb.cells)}, a copy of cell 'mean'", 2, "math.fsum")]}
    assert notes == []


def test_findings_are_in_the_order_of_the_notebook(made: release.Released) -> None:
    nb = submission(made, {"mean": MEAN.format("h(math.fsum(numbers))")})
    nb.cells = [new_code_cell("math.fsum([1])"), new_code_cell("h = math.fsum"), *nb.cells]
    costing, notes = forbidden_by_problem(reads(made.instructor), nb)
    assert [finding.cell for finding in costing["mean"]] == ["cell 2", "cell 'mean'"]
    assert notes == [Finding("cell 1", 1, "math.fsum")]


def test_the_reference_and_the_stub_cost_nothing(made: release.Released) -> None:
    assert forbidden_by_problem(reads(made.instructor), reads(made.student)) == ({}, [])
    filled = fill(reads(made.student), {"mean": "", "spread": ""})
    filled.cells = [cell for cell in filled.cells if not grade_id(cell)]
    assert forbidden_by_problem(reads(made.instructor), filled) == ({}, [])
