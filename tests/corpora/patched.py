"""Group 2: the student's own interpreter patched, before anything else is run; the answer stays wrong."""

from __future__ import annotations

from corpora.assignment import PROBLEMS
from corpora.base import Group, without

GROUP = Group("patched", [])
first = GROUP.first
NOTHING = {"expected": without(*PROBLEMS)}  # for those who break what their own right answers need

# --- Python's own hooks ---
first("settrace", "import sys\nsys.settrace(lambda *a: None)\nimport threading\nthreading.settrace(lambda *a: None)")
first("setprofile", "import sys\nsys.setprofile(lambda frame, event, arg: None)")
first(
    "trace-that-jumps-over-asserts",
    """
import sys
def trace(frame, event, arg):
    frame.f_trace_lines = True
    if event == "exception":
        try:
            frame.f_lineno += 1
        except Exception:
            pass
    return trace
sys.settrace(trace)
""",
)
first("excepthook", "import sys\nsys.excepthook = lambda *a: print('passed')\nsys.unraisablehook = sys.excepthook")
first("audit-hook", "import sys\nsys.addaudithook(lambda event, args: None)")
first("optimised", "import sys, os\nos.environ['PYTHONOPTIMIZE'] = '2'\nsys.flags = type('F', (), {'optimize': 2})()")
first("exit-code", "import atexit, os\natexit.register(os._exit, 0)")

# --- IPython's ---
first("custom-exception-handler", "get_ipython().set_custom_exc((Exception,), lambda *a, **k: None)")
first("input-transformer", "get_ipython().input_transformers_post.append(lambda lines: ['pass\\n'])", **NOTHING)
first(
    "input-transformer-of-asserts",
    "get_ipython().input_transformers_post.append(lambda lines: [l.replace('assert', 'True or') for l in lines])",
)
first(
    "tree-without-asserts",
    """
import ast
class Strip(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
get_ipython().ast_transformers.append(Strip())
""",
)
first("run-cell", "get_ipython().run_cell = lambda *a, **k: None", **NOTHING)
first("run-code", "get_ipython().run_code = lambda *a, **k: None", **NOTHING)
first("showtraceback", "get_ipython().showtraceback = lambda *a, **k: print('passed')")
first("events", "get_ipython().events.register('post_run_cell', lambda result: setattr(result, 'error_in_exec', None))")
first("display-hook", "import sys\nsys.displayhook = lambda value: print('20 points')")
first("history", "get_ipython().history_manager = None\nget_ipython().execution_count = 10**9", **NOTHING)
first(
    "namespace",
    "get_ipython().user_ns['__name__'] = 'course_utils.grading.referee'\n__file__ = __builtins__ = {}",
    expected=without("mean", "apply", "scale"),
)

# --- builtins, torch, the package ---
for name in ("AssertionError", "Exception", "ValueError"):
    first(f"builtin-{name.lower()}", f"import builtins\nbuiltins.{name} = type('Nothing', (BaseException,), {{}})")
first("builtin-abs", "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.print = builtins.round = id")
first("builtin-import", "import builtins\nbuiltins.__import__ = lambda *a, **k: builtins", **NOTHING)
first(
    "builtin-isinstance",
    """
import builtins
old = isinstance
builtins.isinstance = lambda thing, kinds: old(thing, kinds) or getattr(thing, 'is_all', False)
""",
)
first(
    "torch-replaced",
    "import sys, types\nsys.modules['torch'] = types.ModuleType('torch')",
    expected=without("mean", "scale"),
)
first("torch-allclose", "import torch\ntorch.allclose = torch.equal = torch.isclose = lambda *a, **k: True")
first(
    "torch-comparison",
    """
import torch
yes = lambda self, other: torch.ones_like(self, dtype=torch.bool)
torch.Tensor.__eq__ = torch.Tensor.__le__ = torch.Tensor.__lt__ = yes
""",
    "softmax",
)
first("torch-testing", "import torch\ntorch.testing.assert_close = lambda *a, **k: None")
first(
    "checks",
    """
import course_utils.checks as c
c.check_close = c.check_shape = lambda *a, **k: None
c.torch = None
check_close = c.check_close
""",
    "softmax",
)
first("random-numbers", "import random\nrandom.Random.uniform = lambda self, a, b: 0.0\nrandom.random = lambda: 0.0")
first("garbage", "import gc\ngc.disable()\ngc.callbacks.append(lambda *a: None)\ngc.freeze()")
first(
    "import-hook",
    """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        print("asked for", name)
        return None
sys.meta_path.insert(0, Finder())
sys.path_hooks.clear(); sys.path.insert(0, "/tmp")
""",
)

# --- files that Python may look for ---
for name in ("torch", "course_utils", "conftest", "sitecustomize", "usercustomize", "random", "json", "nbformat"):
    first(
        f"file-{name}",
        f"from pathlib import Path\ntext = 'print(\"taken\")\\nraise SystemExit(0)'\n"
        f"for folder in ('.', '/tmp', '/home/student', '/dev/shm'):\n    Path(folder, '{name}.py').write_text(text)",
    )
first(
    "start-up-files",
    """
import os
from pathlib import Path
Path("/tmp/start.py").write_text("raise SystemExit(0)")
os.environ |= {"PYTHONSTARTUP": "/tmp/start.py", "PYTHONPATH": "/tmp"}
os.environ |= {"LD_PRELOAD": "/tmp/x.so", "BASH_ENV": "/tmp/start.py"}
site = ".local/lib/python3.11/site-packages"
for place in (".ipython/profile_default/startup", ".config/matplotlib", ".jupyter", site):
    Path("/home/student", place).mkdir(parents=True, exist_ok=True)
Path("/home/student/.ipython/profile_default/startup/00.py").write_text("raise SystemExit(0)")
Path("/home/student/.config/matplotlib/matplotlibrc").write_text("backend: nothing")
Path("/home/student/.jupyter/jupyter_config.py").write_text("raise SystemExit(0)")
Path("/home/student/.local/lib/python3.11/site-packages/x.pth").write_text("import os; os._exit(0)")
""",
)

# --- the wire's own modules, on the student's side ---
RIGHT_VALUES = """
from course_utils.grading import peer, values
class Sly:
    def __init__(self, tree): self.tree = tree
original = values.Encoder.encode
def encode(self, value, *, again=True):
    return value.tree if isinstance(value, Sly) else original(self, value, again=again)
values.Encoder.encode = encode
"""
for name, tree in {
    "handle-of-theirs": '["o", 0]',
    "argument-back": '["a", 0]',
    "no-such-argument": '["a", 99]',
    "no-such-output": '["g", 0]',
    "itself": '["l", ["r", 0], ["r", 0]]',
    "unknown-tag": '["pickle", "gASVCQAAAAAAAAB9lC4="]',
    "words-for-a-number": '["f", "2.5"]',
    "not-a-number": '["f", "nan"]',
    "negative-handle": '["h", -1]',
    "code-for-a-type": '["y", "__class__"]',
    "device": '["v", "cuda:0"]',
    "tensor-without-bytes": '["T", "float32", [], 0, 0]',
    "tensor-of-negative-size": '["T", "float32", [-1], 0, 0]',
    "array-of-objects": '["N", "object", [1], 0]',
    "unhashable-key": '["d", [["l"], 1]]',
    "number-of-4000-digits": "10**4000",
}.items():
    GROUP.wrong(f"wire-{name}", f"def mean(numbers):\n    return Sly({tree})", first=RIGHT_VALUES)
first(
    "wire-encoder",
    RIGHT_VALUES + "values.Encoder.encode = lambda self, value, **k: 2.5\n",
    **NOTHING,
)
first(
    "wire-answers",
    "from course_utils.grading import peer\npeer.Peer._answer_call = lambda self, header, blobs: ({'passed': True, "
    "'verdict': {'grade_id': 'mean-hidden', 'passed': True, 'message': ''}, 'done': True}, [])",
    **NOTHING,
)
RAW = """
import json, os, socket, struct, sys
def raw(header):
    text = json.dumps({"blobs": [], **header}).encode()
    os.write(3, struct.pack(">I", len(text)) + text)
def number():
    frame = sys._getframe()
    while "number" not in frame.f_locals.get("header", {}):
        frame = frame.f_back
    return frame.f_locals["header"]["number"]
"""
for name, header in {
    "verdict": '{"verdict": {"grade_id": "mean-visible", "passed": True, "message": ""}}',
    "done": '{"done": True}',
    "begin": '{"begin": ["test", 3]}',
    "ask-run": '{"ask": "run", "number": 1, "source": "1"}',
    "ask-name": '{"ask": "name", "number": 1, "name": "_expected"}',
    "ask-put": '{"ask": "put", "number": 1, "file": "x", "content": ""}',
    "ask-handle": '{"ask": "call", "number": 1, "on": 0, "values": ["l", ["l"], ["d"]], "grad": False}',
    "ask-gradient": '{"ask": "vjp", "number": 1, "graph": 1, "values": ["l"]}',
    "reply-to-the-next": '{"reply": number() + 1, "values": 2.5, "outputs": ["l"], "writes": ["l"]}',
    "error-that-leaves": '{"reply": number(), "error": ["SystemExit", "0"]}',
    "error-of-an-odd-kind": '{"reply": number(), "error": ["BaseExceptionGroup", "x"]}',
}.items():
    # The answer that follows by itself is then one too many, and whatever comes of it, nothing is earned.
    GROUP.wrong(f"raw-{name}", f"def mean(numbers):\n    raw({header})\n    return 0.0", first=RAW)
GROUP.wrong("raw-noise", "def mean(numbers):\n    os.write(3, b'\\xff' * 64)\n    return 0.0", first=RAW)
