"""Group 3: values and outputs that pretend to be what was asked for."""

from __future__ import annotations

from corpora.assignment import WRONG
from corpora.base import Group

GROUP = Group("forged", [])
wrong = GROUP.wrong

ALL = """
class All{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    def __sub__(self, other): return self
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __sub__
    def __abs__(self): return 0.0
    def __bool__(self): return True
    def __hash__(self): return 0
    def __float__(self): return 2.5
    def __int__(self): return 2
    def __index__(self): return 2
    def __len__(self): return 7
    def __iter__(self): return iter(())
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __format__(self, spec): return "2.5"
    def __repr__(self): return "2.5"
    def __reduce__(self): return (print, ("unpickled",))
"""
wrong("equal-to-all", ALL.format(base="") + "def mean(numbers):\n    return All()")
for kind in ("float", "int", "str", "list", "dict", "tuple"):
    wrong(f"subclass-of-{kind}", ALL.format(base=f"({kind})") + "def mean(numbers):\n    return All()")
wrong(
    "class-that-claims-to-be-float",
    "class Sly:\n    __class__ = float\n    def __eq__(self, other): return True\ndef mean(numbers):\n    return Sly()",
)
wrong(
    "tensor-subclass",
    """
class Sly(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return torch.tensor(True)
def softmax(x):
    return torch.zeros(x.shape).as_subclass(Sly)
""",
    "softmax",
)
wrong(
    "torch-function",
    """
class Sly:
    shape, dtype, requires_grad = (2, 3), torch.float32, True
    @classmethod
    def __torch_function__(cls, *a, **k): return torch.tensor(True)
    def __array__(self, *a): return __import__("numpy").zeros((2, 3))
    def is_complex(self): return False
    def detach(self): return self
def softmax(x):
    return Sly()
""",
    "softmax",
)
wrong("module-of-all-answers", ALL.format(base="(nn.Module)") + "def softmax(x):\n    return All()", "softmax")
wrong("not-a-number", "def mean(numbers):\n    return float('nan')")
wrong("infinite", "def mean(numbers):\n    return float('inf')")
wrong("complex", "def mean(numbers):\n    return complex(sum(numbers) / len(numbers), 1e-30)")
wrong("truth", "def mean(numbers):\n    return True")
wrong("words", "def mean(numbers):\n    return '2.5'")
wrong("numpy-of-all", "import numpy as np\ndef mean(numbers):\n    return np.array([0.0, 1.0, 2.5])")
wrong("nothing", "def mean(numbers):\n    return np.zeros(0) if 0 else None")
wrong("type", "def mean(numbers):\n    return float")
wrong("ellipsis", "def mean(numbers):\n    return ...")
wrong("not-implemented", "def mean(numbers):\n    return NotImplemented")
wrong("generator", "def mean(numbers):\n    yield sum(numbers) / len(numbers)")
wrong("coroutine", "async def mean(numbers):\n    return sum(numbers) / len(numbers)")
wrong("later", "def mean(numbers):\n    return lambda: sum(numbers) / len(numbers)")
wrong("the-argument", "def mean(numbers):\n    return numbers")
wrong("value-for-a-function", "mean = 2.5")
wrong("no-function", "mean = None\ndel mean", reason="mean.*not defined")
wrong("nan-tensor", "def softmax(x):\n    return x * float('nan')", "softmax", reason="NaN")
wrong(
    "broadcastable",
    "def softmax(x):\n    return torch.softmax_ if 0 else (x.exp() / x.exp().sum(-1, keepdim=True))[..., :1]",
    "softmax",
)
wrong("one-number", "def softmax(x):\n    return torch.tensor(float('nan'))", "softmax")
wrong("truths", "def softmax(x):\n    return torch.ones_like(x, dtype=torch.bool)", "softmax")
wrong("meta-tensor", "def softmax(x):\n    return torch.empty(x.shape, device='meta')", "softmax")
wrong("sparse-tensor", "def softmax(x):\n    return torch.zeros(x.shape).to_sparse()", "softmax")
wrong("list-of-tensors", "def softmax(x):\n    return [row for row in x]", "softmax")
wrong(
    "quantised",
    "def softmax(x):\n    return torch.quantize_per_tensor(x.detach().float(), 0.1, 0, torch.qint8)",
    "softmax",
)
wrong(
    "input-moved-to-the-answer",
    "def mean(numbers):\n    numbers[:] = [0.0] * len(numbers)\n    return 0.0",
)
wrong("input-emptied", "def mean(numbers):\n    numbers.clear()\n    return 0.0")
wrong(
    "input-tensor-moved",
    "def softmax(x):\n    with torch.no_grad():\n        x.zero_()\n    return torch.zeros_like(x).requires_grad_()",
    "softmax",
)
wrong(
    "input-resized",
    "def softmax(x):\n    with torch.no_grad():\n        x.resize_(1) if not x.requires_grad else None\n    return x",
    "softmax",
)
wrong(
    "gradient-forged",
    """
class Sly(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, grad): return torch.zeros(1)
def softmax(x):
    return Sly.apply(x)
""",
    "softmax",
)
wrong(
    "hooks-on-gradients",
    "def softmax(x):\n    if x.requires_grad:\n        x.register_hook(lambda g: 1 / 0)\n    return x * 1",
    "softmax",
)
wrong(
    "callback-harvested",
    """
seen = []
def apply(function, x, times):
    seen.append(function)
    return [seen[0](x)] * (times + 1)
""",
    "apply",
)
wrong("callback-returned", "def apply(function, x, times):\n    return function", "apply")
wrong(
    "callback-equal-to-all",
    ALL.format(base="(list)") + "def apply(function, x, times):\n    function(All())\n    return All()",
    "apply",
)
wrong(
    "callback-with-odd-values",
    """
def apply(function, x, times):
    for odd in (None, ..., float, "x" * 10**6, b"x", {1: [2]}, function, lambda: 1, torch.zeros(0), 10**4000, [[]] * 9):
        try:
            function(odd)
        except Exception as error:
            assert "kestrel" not in str(error)
    return []
""",
    "apply",
)
wrong("calls-not-made", "def apply(function, x, times):\n    return [x * 2**n for n in range(times + 1)]", "apply")
wrong("counter-of-all", ALL.format(base="(int)") + "def running():\n    return All()", "running")
wrong(
    "counter-that-is-shared",
    "_n = [0]\ndef running():\n    _n[0] = (_n[0] % 3) + 1\n    return lambda: _n[0]",
    "running",
)
wrong(
    "module-that-lies",
    """
class Scale(nn.Module):
    def __init__(self, width, start):
        super().__init__()
        self.claimed = {"factor": torch.full((width,), float(start))}
    def state_dict(self, *a, **k): return self.claimed
    def named_parameters(self, *a, **k): return iter(self.claimed.items())
    def parameters(self, *a, **k): return iter(self.claimed.values())
    def forward(self, x): return x
""",
    "scale",
)
LIES = {
    "huge": "{'factor': torch.zeros(1).expand(1 << 40)}",
    "many": "{str(n): torch.zeros(1) for n in range(50_000)}",
    "of-odd-names": "{'__class__': torch.ones(2), 'a.b..c': torch.ones(2), '': torch.ones(2)}",
    "of-no-tensors": "{'factor': 'passed', 1: None}",
    "of-one-memory": "dict.fromkeys(['factor', 'other'], torch.ones(2))",
}
for name, claimed in LIES.items():
    wrong(
        f"module-with-parameters-{name}",
        f"""
class Scale(nn.Module):
    def __init__(self, width, start):
        super().__init__()
    def state_dict(self, *a, **k): return {claimed}
    def named_parameters(self, *a, **k): return iter({claimed}.items())
    def load_state_dict(self, *a, **k): return self
    def forward(self, x): return x
""",
        "scale",
    )
wrong(
    "module-that-grows",
    """
class Scale(nn.Module):
    def __init__(self, width, start):
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(width))
    def forward(self, x):
        self.register_parameter(f"p{len(list(self.parameters()))}", nn.Parameter(torch.zeros(1)))
        return x
""",
    "scale",
)
wrong("module-that-is-one-for-all", "_one = nn.Identity()\ndef Scale(width, start):\n    return _one", "scale")
wrong(
    "module-that-is-its-class", "class Scale(float):\n    def __new__(cls, width, start):\n        return cls", "scale"
)
for kind in (
    "AssertionError",
    "SystemExit",
    "KeyboardInterrupt",
    "GeneratorExit",
    "StopIteration",
    "NotImplementedError",
):
    wrong(
        f"raises-{kind.lower()}",
        f"def mean(numbers):\n    raise {kind}('passed 20/20')",
        reason="passed 20/20|StopIter",
    )
wrong(
    "exception-that-lies",
    """
class Fine(Exception):
    def __str__(self): raise SystemExit(0)
    __mro__ = ()
def mean(numbers):
    raise Fine()
""",
)
wrong("exception-group", "def mean(numbers):\n    raise BaseExceptionGroup('x', [KeyboardInterrupt()])")
wrong(
    "prints-passed",
    WRONG["mean"] + "\nprint('mean-hidden passed\\n20 / 20 points\\nVerdict(passed=True)')",
    shows="20 / 20 points",
)
wrong(
    "shows-a-page",
    WRONG["mean"]
    + r"""
from IPython.display import HTML, Javascript, display
display(HTML('<script>alert(1)</script>'), Javascript('alert(2)'))
print('\x1b[2J\x1b]0;owned\x07')
""",
)
