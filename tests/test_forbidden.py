"""Forbidden names: what the reader finds, in which line, and what it must not take for one."""

from __future__ import annotations

import pytest

from course_utils.grading.forbidden import Finding, forbidden_calls

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
        ("__import__('torch').softmax(x)", [(1, "torch.softmax")]),
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
