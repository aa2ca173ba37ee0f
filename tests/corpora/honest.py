"""Honest submissions that look odd: each deserves all points."""

from __future__ import annotations

from nbformat import NotebookNode

from corpora.assignment import FULL, RIGHT
from corpora.base import Case, answered, cell_of, insert, submission, written

CASES: list[Case] = []


def honest(name: str, *, first: str = "", last: str = "", shows: str = "", **answers: str) -> None:
    """A submission with these answers, and cells of the student's own before or after all others."""
    CASES.append(Case(name, "honest", submission(answers, first, last), FULL, shows=shows))


def edited(change) -> None:
    """A submission that was edited as a whole."""

    def make(released: NotebookNode) -> bytes:
        nb = answered(released, {})
        change(nb)
        return written(nb)

    CASES.append(Case(change.__name__.replace("_", "-"), "honest", make, FULL))


honest("plain")

# --- what cells put out ---
honest(
    "warnings",
    first="import warnings\nwarnings.warn('old')",
    mean="import warnings\ndef mean(n):\n    warnings.warn('slow')\n    return sum(n) / len(n)",
    shows="old",
)
honest(
    "prints",
    mean="def mean(n):\n    print('mean of', n)\n    return sum(n) / len(n)\nprint(mean([1.0]))",
    shows="mean of",
)
honest(
    "writes-to-stderr",
    mean="import sys\ndef mean(n):\n    sys.stderr.write('Error: none\\n')\n    return sum(n) / len(n)\nmean([1.0])",
    shows="Error: none",
)
honest(
    "progress-bar",
    first=r"""
import sys, time
for n in range(101):
    print(f'\r{n} %', end='', flush=True)
sys.stderr.write('\rdone\n')
""",
    shows="100 %",
)
honest(
    "plots",
    first="import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.title('손실')\nplt.show()",
    shows="image/png",
)
honest(
    "rich-displays",
    first="""
from IPython.display import HTML, Markdown, Latex, display
display(HTML('<b>b</b>'), Markdown('**b**'), Latex('$x$'), {1: 2})
Markdown('end')
""",
)
honest(
    "odd-last-values",
    mean=RIGHT["mean"] + "\nfloat('nan')",
    softmax=RIGHT["softmax"] + "\n-1",
    apply=RIGHT["apply"] + "\ntorch.tensor(2.)",
    running=RIGHT["running"] + "\n0",
)
honest(
    "logging",
    first="import logging\nlogging.basicConfig(level=logging.DEBUG)\nlogging.getLogger('mine').warning('started')",
    shows="started",
)

# --- cells of one's own ---
honest("scratch-cell-that-raises", first="1 / 0", last="raise ValueError('scratch')", shows="ZeroDivisionError")
honest("scratch-cell-that-is-no-python", first="this isnt python at all", shows="SyntaxError")
honest("scratch-cell-unfinished", first="def unfinished(", last="%nosuchmagic")
honest(
    "helpers-in-own-cells",
    first="def add_up(numbers):\n    return sum(numbers)",
    mean="def mean(numbers):\n    return add_up(numbers) / len(numbers)",
)
honest("try-outs", last="print(mean([1, 2]), softmax(torch.ones(2)), running()())", shows="1.5")


@edited
def empty_cells(nb: NotebookNode) -> None:
    for place in range(0, 2 * len(nb.cells), 2):
        insert(nb, place, "")


@edited
def deleted_markdown(nb: NotebookNode) -> None:
    nb.cells = [cell for cell in nb.cells if cell.cell_type == "code"]


@edited
def solution_split_over_two_cells(nb: NotebookNode) -> None:
    head, tail = (
        "def total(numbers):\n    return sum(numbers)",
        "def mean(numbers):\n    return total(numbers) / len(numbers)",
    )
    cell = cell_of(nb, "mean")
    cell.source = head
    insert(nb, nb.cells.index(cell) + 1, tail)


@edited
def solution_in_a_cell_below(nb: NotebookNode) -> None:
    cell = cell_of(nb, "running")
    insert(nb, nb.cells.index(cell) + 1, cell.source)
    cell.source = "# see below"


@edited
def kernel_of_another_name(nb: NotebookNode) -> None:
    nb.metadata.kernelspec = {"name": "attention-course", "display_name": "Python (과제)", "language": "python"}
    nb.metadata.language_info = {"name": "python", "version": "3.12.1"}


@edited
def run_in_colab(nb: NotebookNode) -> None:
    nb.metadata |= {"colab": {"provenance": [], "toc_visible": True}, "accelerator": "GPU"}
    for number, cell in enumerate(nb.cells):
        cell.metadata |= {"id": f"abc{number}", "executionInfo": {"status": "ok", "user_tz": -540}, "outputId": "x"}
        if cell.cell_type == "code":
            cell.execution_count = number


@edited
def run_in_the_editor(nb: NotebookNode) -> None:
    """VS Code drops the last newline, adds its own metadata, and gives all cells new ids."""
    for number, cell in enumerate(nb.cells):
        cell["id"] = f"{number:08x}"
        cell.metadata["vscode"] = {"languageId": "python"}


# --- ways to write it ---
honest(
    "typed",
    first="from __future__ import annotations\nfrom typing import Callable, Sequence, TypeVar\nT = TypeVar('T')",
    mean="def mean(numbers: Sequence[float]) -> float:\n    return sum(numbers) / len(numbers)",
    apply="""
def apply(function: Callable[[T], T], x: T, times: int) -> list[T]:
    values: list[T] = [x]
    for _ in range(times):
        values.append(function(values[-1]))
    return values
""",
)
honest(
    "lambda",
    mean="mean = lambda numbers: sum(numbers) / len(numbers)",
    running="import itertools\nrunning = lambda: itertools.count(1).__next__",
)
honest(
    "partial",
    mean="""
from functools import partial, reduce
import operator
def over(operation, numbers):
    return reduce(operation, numbers) / len(numbers)
mean = partial(over, operator.add)
""",
)
honest(
    "callable-object",
    mean="class Mean:\n    def __call__(self, numbers):\n        return sum(numbers) / len(numbers)\nmean = Mean()",
    running="class running:\n    n = 0\n    def __call__(self):\n        self.n += 1\n        return self.n",
)
honest(
    "bound-method",
    mean="class Tools:\n    def mean(self, numbers):\n        return sum(numbers) / len(numbers)\nmean = Tools().mean",
)
honest(
    "decorated",
    first="""
import functools, time
def timed(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            print(time.perf_counter() - start)
    return inner
""",
    mean="@timed\ndef mean(numbers):\n    return sum(numbers) / len(numbers)",
)
honest(
    "cached",
    mean="""
from functools import lru_cache
@lru_cache
def add_up(numbers):
    return sum(numbers)
def mean(numbers):
    return add_up(tuple(numbers)) / len(numbers)
""",
)
honest(
    "memory-between-calls",
    mean="""
seen = {}
def mean(numbers):
    key = tuple(numbers)
    if key not in seen:
        seen[key] = sum(key) / len(key)
    return seen[key]
""",
)
honest(
    "generators",
    apply="""
def steps(function, x, times):
    yield x
    for _ in range(times):
        x = function(x)
        yield x
def apply(function, x, times):
    return list(steps(function, x, times))
""",
    running="""
def numbers():
    n = 0
    while True:
        yield (n := n + 1)
def running():
    counter = numbers()
    return lambda: next(counter)
""",
)
honest(
    "recursive",
    apply="""
def apply(function, x, times):
    return [x] if times == 0 else [x, *apply(function, function(x), times - 1)]
""",
)
honest(
    "asynchronous",
    mean="""
import asyncio
async def add_up(numbers):
    await asyncio.sleep(0)
    return sum(numbers)
def mean(numbers):
    return asyncio.run(add_up(numbers)) / len(numbers)
""",
)
honest("await-at-the-top", first="import asyncio\nawait asyncio.sleep(0)\nprint('awaited')", shows="awaited")
honest(
    "dataclass",
    mean="""
from dataclasses import dataclass, field
@dataclass
class Mean:
    numbers: list = field(default_factory=list)
    @property
    def value(self):
        return sum(self.numbers) / len(self.numbers)
def mean(numbers):
    return Mean(numbers).value
""",
)
honest(
    "match-and-walrus",
    mean="""
def mean(numbers):
    match numbers:
        case [one]:
            return one
        case _ if (n := len(numbers)):
            return sum(numbers) / n
""",
)
honest(
    "korean",
    first="# 한글 주석\n합 = sum",
    mean="""
def 평균(수들):
    '''평균을 구한다'''
    return 합(수들) / len(수들)
mean = 평균
print('평균은', mean([1.0, 2.0]))
""",
    shows="평균은 1.5",
)
honest(
    "numpy-inside",
    mean="import numpy as np\ndef mean(numbers):\n    return float(np.mean(np.asarray(numbers)))",
    apply="""
import numpy as np
def apply(function, x, times):
    places = np.arange(times)
    values = [x]
    for _ in places:
        values.append(function(values[-1]))
    return values
""",
)
honest(
    "a-whole-number-for-a-float",
    mean="""
def mean(numbers):
    value = sum(numbers) / len(numbers)
    return int(value) if value.is_integer() else value
""",
)
honest(
    "subclass-of-float",
    mean="class Metres(float): pass\ndef mean(numbers):\n    return Metres(sum(numbers) / len(numbers))",
)
honest(
    "not-contiguous",
    softmax="""
def softmax(x):
    turned = x.transpose(-1, -2).contiguous()
    shifted = (turned - turned.max(-2, keepdim=True).values).exp()
    return (shifted / shifted.sum(-2, keepdim=True)).transpose(-1, -2)
""",
)
honest(
    "in-place-on-a-copy",
    softmax="""
def softmax(x):
    y = x.clone()
    y -= y.max(-1, keepdim=True).values
    y.exp_()
    return y / y.sum(-1, keepdim=True)
""",
    mean="def mean(numbers):\n    mine = list(numbers)\n    mine.sort()\n    return sum(mine) / len(mine)",
)
honest("with-logarithms", softmax="def softmax(x):\n    return (x - torch.logsumexp(x, -1, keepdim=True)).exp()")
honest(
    "own-gradient",
    softmax="""
class Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        e = (x - x.amax(-1, keepdim=True)).exp()
        y = e / e.sum(-1, keepdim=True)
        ctx.save_for_backward(y)
        return y
    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return y * (grad - (grad * y).sum(-1, keepdim=True))
def softmax(x):
    return Softmax.apply(x)
""",
)
honest(
    "einsum",
    softmax="""
def softmax(x):
    e = (x - x.amax(-1, keepdim=True)).exp()
    return torch.einsum('...k,...->...k', e, 1 / e.sum(-1))
""",
)
honest(
    "float64-inside",
    softmax="""
def softmax(x):
    y = x.double()
    e = (y - y.amax(-1, keepdim=True)).exp()
    return (e / e.sum(-1, keepdim=True)).to(x.dtype)
""",
)
honest(
    "a-parameter-in-the-result",
    softmax="""
one = nn.Parameter(torch.ones(()))
def softmax(x):
    e = (x - x.amax(-1, keepdim=True)).exp()
    return one * e / e.sum(-1, keepdim=True)
""",
)
honest(
    "module-of-modules",
    scale="""
class Inner(nn.Module):
    def __init__(self, width, start):
        super().__init__()
        self.register_parameter('factor', nn.Parameter(torch.full((width,), float(start))))
    def forward(self, x):
        return torch.einsum('...d,d->...d', x, self.factor)
class Scale(Inner):
    def __init__(self, width, start):
        super().__init__(width, start=start)
        self.register_forward_hook(lambda module, args, out: out)
""",
)
honest(
    "scripted", scale=RIGHT["scale"] + "\n    def extra_repr(self):\n        return '크기'\nScale(2, 1.0)", shows="크기"
)
honest(
    "callbacks-many-times",
    first="""
calls = []
def traced(function):
    def inner(x):
        calls.append(x)
        return function(x)
    return inner
""",
    apply="""
def apply(function, x, times):
    function = traced(function)
    values = [x]
    while len(values) <= times:
        values.append(function(values[-1]))
    return values
""",
)

# --- settings ---
honest("warnings-are-errors", first="import warnings\nwarnings.simplefilter('error')")
honest("numpy-errors-raise", first="import numpy as np\nnp.seterr(all='raise')\nnp.set_printoptions(precision=3)")
honest(
    "seeds",
    first="""
import random, numpy as np, torch
torch.manual_seed(0); random.seed(0); np.random.seed(0)
torch.use_deterministic_algorithms(True)
""",
)
honest(
    "default-type-set-and-reset",
    first="""
import torch
torch.set_default_dtype(torch.float64)
print(torch.ones(2).dtype)
torch.set_default_dtype(torch.float32)
""",
    shows="float64",
)
honest(
    "no-gradients-for-a-while",
    first="""
import torch
with torch.no_grad():
    print(torch.ones(2).requires_grad)
torch.set_printoptions(precision=2)
""",
    shows="False",
)
honest("anomaly-detection", first="import torch\ntorch.autograd.set_detect_anomaly(True)\ntorch.set_num_threads(2)")
honest("recursion-limit", first="import sys\nsys.setrecursionlimit(5_000)")
honest(
    "line-magics",
    first="""
%matplotlib inline
%config InlineBackend.figure_format = 'retina'
%time sum(range(10))
%load_ext autoreload
%autoreload 2
!ls
files = !ls
%pwd
""",
)
honest(
    "cell-magics",
    first="%%time\nx = 1\nx",
    mean="%%time\ndef mean(numbers):\n    return sum(numbers) / len(numbers)",
    last="%%bash\necho from the shell",
)
honest("help", first="sum?\nlen??\n?print")
honest("timeit", last="%timeit -n 2 -r 2 mean([1.0, 2.0])", shows="per loop")

# --- the machine, within reason ---
honest("a-second-of-work", first="import time\nend = time.process_time() + 1\nwhile time.process_time() < end: pass")
honest(
    "threads-that-end",
    mean="""
from concurrent.futures import ThreadPoolExecutor
def mean(numbers):
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(float, numbers)) / len(numbers)
""",
)
honest(
    "processes-that-end",
    first="""
import subprocess, sys
print(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout)
""",
    shows="42",
)
honest(
    "a-pool-of-processes",
    first="""
import multiprocessing
with multiprocessing.get_context('fork').Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
""",
    shows=r"\[1, 2\]",
)
honest(
    "files",
    first="""
from pathlib import Path
Path('notes').mkdir()
Path('notes/my notes.txt').write_text('메모')
import tempfile, pickle
with tempfile.TemporaryFile() as file:
    pickle.dump([1], file)
print(Path('notes/my notes.txt').read_text())
""",
    shows="메모",
)
honest(
    "own-module",
    first="%%writefile helper.py\ndef add_up(numbers):\n    return sum(numbers)",
    mean="from helper import add_up\ndef mean(numbers):\n    return add_up(numbers) / len(numbers)",
)
honest("the-name-used-again-later", last="x = mean\nnumbers = [1]\ndel x\nfor softmax_ in range(3): pass")
honest("the-answer-overwritten-at-the-end", last="mean = softmax = apply = Scale = running = None")
honest("leaves-politely", last="import sys\nsys.exit()")
