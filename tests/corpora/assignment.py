"""The assignment that all submissions of the corpora answer: five small problems of 20 points."""

from __future__ import annotations

from support import cell

NAME = "01-corpus"
MARKER = "kestrel-7c1f0e52b9d84a63"  # stands in every hidden cell; no student's process may ever see it
PROBLEMS = ("mean", "softmax", "apply", "scale", "running")
FULL = dict.fromkeys(PROBLEMS, 20.0)


def hidden(problem: str, words: str, body: str) -> str:
    """A hidden graded cell with the marker in its code, its data and one of its messages."""
    return cell(
        f"# {words}\n### BEGIN HIDDEN TESTS\nSEED = 2024\n_marked = {{{MARKER!r}: SEED}}\n{body.strip()}\n"
        f"assert _marked[{MARKER!r}] == SEED, {MARKER!r}\n### END HIDDEN TESTS",
        kind="test",
        name=f"{problem}-hidden",
        course=f"{{problem: {problem}, tests: hidden}}",
        points=12,
    )


def visible(problem: str, body: str) -> str:
    return cell(
        body, kind="test", name=f"{problem}-visible", course=f"{{problem: {problem}, tests: visible}}", points=8
    )


def solution(problem: str, defines: str, source: str, forbidden: str = "") -> str:
    more = f", forbidden: [{forbidden}]" if forbidden else ""
    course = f"{{problem: {problem}, title: {problem}, defines: [{defines}]{more}}}"
    return cell(source, kind="solution", name=problem, course=course)


MEAN = '''
def mean(numbers):
    """The mean of a list of numbers."""
    ### BEGIN SOLUTION
    return sum(numbers) / len(numbers)
    ### END SOLUTION
'''
MEAN_VISIBLE = """
_answer = mean([1.0, 4.0])
assert type(_answer) in (int, float) and _answer == 2.5, f"the mean of 1 and 4 is 2.5, not {_answer}"
"""
MEAN_HIDDEN = """
_random = random.Random(SEED)
for _length in (1, 3, 7):
    _numbers = [_random.uniform(-9.0, 9.0) for _ in range(_length)]
    _kept, _expected = list(_numbers), sum(_numbers) / _length
    _answer = mean(_numbers)
    assert type(_answer) in (int, float) and abs(_answer - _expected) < 1e-9, f"the mean of {_length} numbers"
    assert _numbers == _kept, "the list was changed"
"""
SOFTMAX = '''
def softmax(x):
    """Softmax over the last axis of a tensor of any shape."""
    ### BEGIN SOLUTION
    shifted = (x - x.max(-1, keepdim=True).values).exp()
    return shifted / shifted.sum(-1, keepdim=True)
    ### END SOLUTION
'''
SOFTMAX_VISIBLE = """
_scores = torch.tensor([[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]])
_expected = torch.tensor([[0.09003057, 0.24472848, 0.66524094], [1 / 3, 1 / 3, 1 / 3]])
check_close(softmax(_scores), _expected, "the softmax of two rows", hint="it goes over the last axis")
"""
SOFTMAX_HIDDEN = """
_generator = torch.Generator().manual_seed(SEED)
_scores = torch.randn(3, 5, 7, generator=_generator, dtype=torch.float64)
_weights = torch.randn(3, 5, 7, generator=_generator, dtype=torch.float64)
_scores[0, 0, 0] = 800.0
_leaf = _scores.clone().requires_grad_()
_expected = torch.softmax(_leaf, -1)
(_gradient,) = torch.autograd.grad((_expected * _weights).sum(), _leaf)
_mine = _scores.clone().requires_grad_()
_answer = softmax(_mine)
check_close(_answer, _expected.detach(), "the softmax of three axes")
assert _answer.dtype == torch.float64, "the type of the numbers is kept"
assert torch.equal(_mine.detach(), _scores), "the scores were changed"
(_found,) = torch.autograd.grad((_answer * _weights).sum(), _mine)
check_close(_found, _gradient, "the gradient of the softmax")
"""
APPLY = '''
def apply(function, x, times):
    """The list [x, function(x), function(function(x)), ...] of times + 1 values; function is called times times."""
    ### BEGIN SOLUTION
    values = [x]
    for _ in range(times):
        values.append(function(values[-1]))
    return values
    ### END SOLUTION
'''
APPLY_VISIBLE = """
_calls = []


def _doubled(x):
    _calls.append(x)
    return 2 * x


assert apply(_doubled, 3, 4) == [3, 6, 12, 24, 48], "doubling 3 four times"
assert len(_calls) == 4, f"the function was called {len(_calls)} times, not 4"
"""
APPLY_HIDDEN = """
_step, _calls = torch.randn(5, generator=torch.Generator().manual_seed(SEED)), []


def _stepped(x):
    _calls.append(1)
    return x * 0.5 + _step


_start = torch.ones(5)
_expected = [_start.clone()]
for _ in range(6):
    _expected.append(_expected[-1] * 0.5 + _step)
_answer = apply(_stepped, _start, 6)
assert type(_answer) is list and len(_answer) == 7, "seven values"
for _place, _value in enumerate(_answer):
    check_close(_value, _expected[_place], f"value {_place}")
assert len(_calls) == 6, f"the function was called {len(_calls)} times, not 6"
_calls.clear()
assert apply(_stepped, 1.0, 0) == [1.0] and not _calls, "no step at all"
"""
SCALE = '''
class Scale(nn.Module):
    """A module that multiplies by a learnt factor per column: its parameter `factor` [width] begins at `start`."""

    def __init__(self, width, start):
        super().__init__()
        ### BEGIN SOLUTION
        self.factor = nn.Parameter(torch.full((width,), float(start)))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return x * self.factor
        ### END SOLUTION
'''
SCALE_VISIBLE = """
check_close(Scale(2, 3.0)(torch.tensor([[1.0, 2.0]])), torch.tensor([[3.0, 6.0]]), "1 and 2, three times as large")
"""
SCALE_HIDDEN = """
_generator = torch.Generator().manual_seed(SEED)
_x = torch.randn(3, 5, generator=_generator)
_one, _other = Scale(5, 2.0), Scale(5, -1.0)
check_close(_one(_x), 2 * _x, "the first of two modules")
check_close(_other(_x), -_x, "the second of two modules")
check_close(_one(_x[:1]), 2 * _x[:1], "a single row")
assert [_name for _name, _ in _one.named_parameters()] == ["factor"], "one parameter: `factor`"
_factor = torch.randn(5, generator=_generator)
_other.load_state_dict({"factor": _factor})
check_close(_other(_x), _x * _factor, "the module with other factors")
_other(_x).sum().backward()
check_close(dict(_other.named_parameters())["factor"].grad, _x.sum(0), "the gradient of `factor`")
"""
RUNNING = '''
def running():
    """A function that says how many times it was called so far, this call included."""
    ### BEGIN SOLUTION
    count = 0

    def counted():
        nonlocal count
        count += 1
        return count

    return counted
    ### END SOLUTION
'''
RUNNING_VISIBLE = """
_counter = running()
assert [_counter(), _counter(), _counter()] == [1, 2, 3], "a counter counts its calls: 1, 2, 3"
"""
RUNNING_HIDDEN = """
_counters, _counts = [running(), running(), running()], [0, 0, 0]
_random = random.Random(SEED)
for _ in range(25):
    _place = _random.randrange(3)
    _counts[_place] += 1
    assert _counters[_place]() == _counts[_place], "several counters, each with its own count"
"""

SOURCE = "\n\n".join(
    [
        "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n"
        "kernelspec:\n  display_name: Python 3\n  language: python\n  name: python3\n"
        "course:\n  title: Five small problems\n  minutes: 10\n  forbidden: [statistics]\n---",
        "# Five small problems\n\nWithout `statistics`.",
        cell(
            "import random\n\nimport torch\nfrom torch import nn\n\nfrom course_utils.checks import check_close",
            kind="setup",
            name="setup",
            course="{setup: true}",
        ),
        "## The mean\n\n**Write** `mean(numbers)`.",
        solution("mean", "mean", MEAN),
        visible("mean", MEAN_VISIBLE),
        hidden("mean", "Looks at lists of several lengths, which must stay as they are.", MEAN_HIDDEN),
        "## The softmax\n\n**Write** `softmax(x)`, without torch's own.",
        solution("softmax", "softmax", SOFTMAX, "torch.softmax, torch.nn.functional.softmax, torch.Tensor.softmax"),
        visible("softmax", SOFTMAX_VISIBLE),
        hidden("softmax", "Looks at three axes, a huge score and the gradient.", SOFTMAX_HIDDEN),
        "## Again and again\n\n**Write** `apply(function, x, times)`.",
        solution("apply", "apply", APPLY),
        visible("apply", APPLY_VISIBLE),
        hidden("apply", "Looks at tensors, at the calls, and at no step.", APPLY_HIDDEN),
        "## A scale\n\n**Write** the module `Scale(width, start)`.",
        solution("scale", "Scale", SCALE),
        visible("scale", SCALE_VISIBLE),
        hidden("scale", "Looks at two modules at once, at other factors and their gradient.", SCALE_HIDDEN),
        "## Counting\n\n**Write** `running()`.",
        solution("running", "running", RUNNING),
        visible("running", RUNNING_VISIBLE),
        hidden("running", "Looks at several counters at once.", RUNNING_HIDDEN),
    ]
)


def _answer(source: str) -> str:
    """A solution cell as a student who wrote the reference hands it in."""
    return "\n".join(line for line in source.strip("\n").split("\n") if " SOLUTION" not in line)


RIGHT = dict(zip(PROBLEMS, map(_answer, (MEAN, SOFTMAX, APPLY, SCALE, RUNNING)), strict=True))
WRONG = {
    "mean": "def mean(numbers):\n    return 0.0",
    "softmax": "def softmax(x):\n    return x",
    "apply": "def apply(function, x, times):\n    return []",
    "scale": "class Scale(nn.Module):\n    def __init__(self, width, start):\n        super().__init__()\n\n"
    "    def forward(self, x):\n        return x",
    "running": "def running():\n    return lambda: 0",
}
