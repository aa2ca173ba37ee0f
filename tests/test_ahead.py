"""Kernels compiled for cards that are not there, alone and by the grader, and the ways in which their cells are run."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import cell, graded, run_in_process, small_repository, submission, working_folder

from course_utils import ahead, release, selfcheck
from course_utils.ahead import Compiled, CompileError, Job, compile_kernels, jit_functions
from course_utils.grading.grader import Grader, Task
from course_utils.grading.records import Graded, Submission
from course_utils.grading.sandbox import SandboxError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no Triton for this system")

KERNELS = '''
@triton.jit
def product(x, y, z, n, stride, BLOCK: tl.constexpr):
    """z = x y, a block of rows by a block of columns."""
    at = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK, BLOCK], tl.float32)
    for k in range(0, n, BLOCK):
        a = tl.load(x + at[:, None] * stride + at[None, :] + k)
        b = tl.load(y + (k + at[:, None]) * stride + at[None, :])
        total += tl.dot(a, b)
    tl.store(z + at[:, None] * stride + at[None, :], total)


@triton.jit
def plus(x):
    return x + offset


@triton.jit
def shifted(x, y):
    tl.store(y, plus(tl.load(x)))


@triton.jit
def asserting(x, BLOCK: tl.constexpr):
    tl.static_assert(BLOCK > 64, "a larger block")


@triton.jit
def leaving(x):
    while True:
        break


@triton.jit
def talking(x):
    tl.static_print("{}")
    tl.store(x, 1.0)


@triton.jit
def endless(x):
    for i in tl.static_range(1_000_000_000):
        tl.store(x, i)
'''
POINTERS = {"x": "*fp16", "y": "*fp16", "z": "*fp32"}
SIZES = {"n": "i32", "stride": "i32:16"}


def job(kernel: str = "product", target: str = "sm_80", block: int = 64, **more: object) -> Job:
    return Job(kernel, {**POINTERS, **SIZES}, {"BLOCK": block}, target, **more)


def one(kernel: str, constants: dict[str, int] | None = None, names: str = "x") -> Job:
    return Job(kernel, dict.fromkeys(names, "*fp32"), constants or {}, "sm_90")


# --- what the compiler says ---


@pytest.fixture(scope="module")
def made() -> list[Compiled]:
    unaligned = Job("product", {**POINTERS, "n": "i32", "stride": "i32"}, {"BLOCK": 64}, "sm_80")
    whole = Job("product", dict.fromkeys(POINTERS, "*fp32") | SIZES, {"BLOCK": 64}, "sm_80", warps=1)
    return compile_kernels(KERNELS, [job(), job(target="sm_90"), job(stages=3), unaligned, whole, one("talking")])


def test_each_card_has_its_own_instructions_for_products(made: list[Compiled]) -> None:
    assert [(each.kernel, each.target) for each in made[:2]] == [("product", "sm_80"), ("product", "sm_90")]
    assert list(made[0].tensor_core) == ["mma.sync"]
    assert list(made[1].tensor_core) == ["wgmma.mma_async"]
    assert made[0].tensor_core["mma.sync"] == 64**3 // (16 * 8 * 16) // 4  # of 16 x 8 x 16, four warps share them
    assert made[5].tensor_core == {}


def test_more_stages_take_more_shared_memory(made: list[Compiled]) -> None:
    tiles = 2 * 64 * 64 * 2  # of x and of y, 2 bytes a number
    assert (made[0].shared, made[2].shared) == (tiles, 2 * tiles)


def test_pointers_and_numbers_are_aligned_as_at_a_launch(made: list[Compiled]) -> None:
    assert made[0].registers < made[3].registers  # each number loaded by itself, at an address of its own


def test_registers_that_are_not_there_are_spilled(made: list[Compiled]) -> None:
    assert made[0].spilled == 0
    assert made[4].spilled > 0  # one warp, 64 x 64 sums: 128 a thread, and the tiles
    assert made[4].registers == 255


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (job(block=48), "product for sm_80: line 3 of product, `at = tl.arange[(]0, BLOCK[)]`: .*power of 2"),
        (job(block=8), r"product for sm_80: line 8 of product, `total \+= tl.dot\(a, b\)`: .*K >= 16"),
        (
            job(block=128, stages=6),
            "product for sm_80: needs 327,680 bytes of shared memory, and a program there has at most 166,912: smaller",
        ),
        (
            one("shifted", names="xy"),
            "line 2 of plus, `return x [+] offset`: NameError: offset is not defined: a kernel",
        ),
        (one("asserting", {"BLOCK": 64}), "line 2 of asserting, .*: a larger block$"),
        (one("leaving"), "line 3 of leaving, `break`: unsupported"),
        (one("missing"), "missing for sm_90: there is no function of this name"),
        (one("asserting"), r"the kernel has the arguments x, BLOCK; asked for was one with x \(BLOCK is on one side"),
    ],
)
def test_what_would_not_run_is_one_line(wanted: Job, said: str) -> None:
    with pytest.raises(CompileError, match=said) as caught:
        compile_kernels(KERNELS, [wanted])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import triton\nimport os\nos.abort()", r"the compiler ended without an answer \(SIGABRT\)"),
        ("import triton\nimport os\nos._exit(3)", r"without an answer \(exit status 3\)"),
        ("import triton\nprint('{}')\nimport nowhere", "No module named 'nowhere'"),
        ("def f(:", "invalid syntax"),
        ("x = '\udc80'", "utf-8"),
    ],
)
def test_a_source_that_fails_is_one_line(source: str, said: str) -> None:
    with pytest.raises(CompileError, match=said) as caught:
        compile_kernels(source, [one("f")])
    assert "\n" not in str(caught.value)


def test_the_first_that_fails_is_named_whatever_comes_after() -> None:
    with pytest.raises(CompileError, match=r"^leaving for sm_90"):
        compile_kernels(KERNELS, [one("talking"), one("leaving"), one("missing")])


def test_a_compiler_that_does_not_end_is_stopped() -> None:
    code = "import json, sys\nfrom course_utils.ahead import *\nfrom course_utils import ahead\n"
    code += "source, job = json.load(sys.stdin)\ncompile_kernels(source, [Job(**job)])"
    order = json.dumps([KERNELS, vars(one("endless"))])
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=order,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (3, 3)),
    )
    assert "CompileError: endless for sm_90: the compiler took too long and was stopped" in done.stderr


def test_the_interpreter_is_off_and_settings_do_not_reach_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setenv("TRITON_KERNEL_DUMP", "1")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    assert compile_kernels(KERNELS + "\n# another text", [one("talking")])[0].registers > 0
    assert list(tmp_path.iterdir()) == []


def test_what_was_compiled_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    first = compile_kernels(KERNELS, [one("talking")])
    monkeypatch.setattr(subprocess, "run", None)
    assert compile_kernels(KERNELS, [one("talking")]) == first


def test_only_cards_that_are_known() -> None:
    with pytest.raises(ValueError, match="Job: target: expected one of sm_80, sm_90, got 'sm_75'"):
        job(target="sm_75")


# --- kernels of a cell ---


def test_of_a_cell_the_kernels_are_taken_and_nothing_else() -> None:
    source = (
        "%matplotlib inline\nimport os\n@triton.jit\ndef one(x, n, B: tl.constexpr = 64) -> None:\n"
        "    # why\n    tl.store(x, two(n))\n\n\ndef host(x=os.getpid()):\n    return one[1](x)\n"
        "@jit\ndef two(n):\n  return n \\\n    * 2\nprint(1)\n"
    )
    assert jit_functions(source) == (
        "@triton.jit\ndef one(x, n, B: tl.constexpr = 64) -> None:\n    # why\n    tl.store(x, two(n))\n\n\n"
        "@triton.jit\ndef two(n):\n  return n \\\n    * 2\n"
    )
    assert jit_functions("x = '\\d'") == ""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "@triton.jit(debug=True)\ndef f(x): pass",
            r"f \(line 2\): write @triton.jit alone and without arguments, not @",
        ),
        ("@evil()\n@triton.jit\ndef f(x): pass", r"write @triton.jit alone .* not @evil\(\) @triton.jit"),
        ("@triton.autotune([], [])\n@triton.jit\ndef f(x): pass", "write @triton.jit alone"),
        ("@triton.jit\ndef f(x=print(1)): pass", r"the default value print\(1\) must be a literal"),
        ("@triton.jit\ndef f(*, x=print(1)): pass", r"the default value print\(1\) must be a literal"),
        ("@triton.jit\ndef f(x: print(1)): pass", "annotate x with tl.constexpr, or not at all"),
        ("@triton.jit\ndef f(*x: print(1)): pass", "annotate x with tl.constexpr, or not at all"),
        ("def f(:", "the cell is not valid Python: .*line 1"),
        ("x = '\0'", "the cell is not valid Python"),
    ],
)
def test_what_would_be_run_with_a_kernel_is_refused(source: str, said: str) -> None:
    with pytest.raises(CompileError, match=said):
        jit_functions(source)


def test_nothing_of_a_kernel_is_run_when_it_is_defined() -> None:
    source = "@triton.jit\ndef f(x) -> undefined:\n    tl.store(x, 1.0)\n"
    assert compile_kernels(jit_functions(source), [one("f")])[0].kernel == "f"


# --- cells with kernels, in every way that cells are run ---

ANSWER = '''
@triton.jit
def double_kernel(x, y, n, BLOCK: tl.constexpr):
    """Two times x."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    two = 2.0
    tl.store(y + at, two.to(tl.float32) * tl.load(x + at, mask=at < n), mask=at < n)


def double(x):
    y = torch.empty_like(x)
    double_kernel[(triton.cdiv(len(x), 16),)](x, y, len(x), BLOCK=16)
    return y
'''.strip()
HIDDEN = """
# Looks at what the compiler says.
### BEGIN HIDDEN TESTS
SEED = 7
import json
from pathlib import Path
from course_utils import ahead
cells = json.loads(Path("01-kernels.ipynb").read_text(encoding="utf-8"))["cells"]
[text] = ["".join(each["source"]) for each in cells if each["metadata"].get("nbgrader", {}).get("grade_id") == "double"]
jobs = [ahead.Job("double_kernel", {"x": "*fp32", "y": "*fp32", "n": "i32"}, {"BLOCK": 64}, "sm_90")]
assert ahead.compile_kernels(ahead.jit_functions(text), jobs)[0].spilled == 0
### END HIDDEN TESTS
"""
IMPORTS = (
    'import os\n\nos.environ["TRITON_INTERPRET"] = "1"\n\nimport torch\nimport triton\nimport triton.language as tl'
)
NAMES = ("double-visible", "double-hidden")


def assignment(hidden: str = HIDDEN, notebook: str = "true") -> str:
    start, end = ANSWER.split('x."""\n')
    body, host = end.split("\n\n\n")
    solution = f'{start}x."""\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION\n\n\n{host}'
    visible = 'x = torch.arange(21.0)\nassert torch.equal(double(x), 2 * x), "two times x"'
    return "\n\n".join(
        [
            "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n"
            "kernelspec:\n  display_name: Python 3\n  language: python\n  name: python3\n"
            f"course:\n  title: A kernel\n  minutes: 5\n  notebook: {notebook}\n---",
            cell(IMPORTS, kind="setup", name="setup", course="{setup: true}"),
            cell(solution, kind="solution", name="double", course="{problem: two, title: Two, defines: [double]}"),
            cell(visible, kind="test", name=NAMES[0], course="{problem: two, tests: visible}", points=40),
            cell(hidden.strip(), kind="test", name=NAMES[1], course="{problem: two, tests: hidden}", points=60),
        ]
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_repository(tmp_path_factory.mktemp("repository"), assignment(), "01-kernels")


@pytest.fixture(scope="module")
def released(root: Path) -> release.Released:
    return release.build(root, "01-kernels")


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as running:
        yield running


@pytest.fixture
def grade(grader: Grader, tmp_path: Path) -> Callable[..., Graded]:
    def grade_it(answer: str = ANSWER, hidden: str = HIDDEN) -> Graded:
        place = small_repository(tmp_path, assignment(hidden), "01-kernels")
        nb = submission(release.build(place, "01-kernels"), {"double": answer})
        return grader.grade(Task.of(place, "01-kernels"), Submission("kim", json.dumps(nb).encode()))

    return grade_it


def messages(graded: Graded) -> list[str]:
    assert graded.refusal == ""
    return ["" if verdict.passed else verdict.message or "lost" for verdict in graded.verdicts]


BROKEN = ANSWER.replace("two = 2.0", "two = 2.0\n    while True:\n        break")
REFUSED = "CompileError: double_kernel for sm_90: line 6 of double_kernel, `break`: unsupported AST node type: Break"
ASTRAY = ANSWER.replace("tl.load(x + at,", "tl.load(x + 1_000_000_000 + at,")


def test_the_reference_earns_all_and_the_stub_nothing_in_a_kernel(root: Path) -> None:
    """The hidden test only reads the file, so that of the stub must lie there when the stub is run."""
    release.release(root, "01-kernels")


def test_in_process(released: release.Released) -> None:
    for answer, expected in ((ANSWER, [None, None]), (BROKEN, [None, REFUSED])):
        with working_folder(released, {"double": answer}):
            assert list(run_in_process(graded(released, {"double": answer})).values()) == expected


def test_in_the_grader(grade: Callable[..., Graded]) -> None:
    assert messages(grade()) == ["", ""]


def test_in_the_grader_what_cannot_be_compiled_is_said(grade: Callable[..., Graded]) -> None:
    assert messages(grade(BROKEN)) == ["", REFUSED]


def test_in_the_grader_a_pointer_that_goes_astray_is_a_lost_problem(grade: Callable[..., Graded]) -> None:
    words = "this problem is lost: the process of your code ended here (it was ended by SIGSEGV: it read or wrote"
    assert all(said.startswith(words) for said in messages(grade(ASTRAY)))


def test_in_the_self_check(released: release.Released, tmp_path: Path) -> None:
    path = tmp_path / "01-kernels.ipynb"
    path.write_text(json.dumps(submission(released, {"double": ANSWER})))
    assert selfcheck.check(path).passed
    path.write_text(json.dumps(submission(released, {"double": ASTRAY})))
    with pytest.raises(selfcheck.CheckError, match=r"died in cell 'double-visible' .* a pointer out of bounds\?"):
        selfcheck.check(path)


def test_the_self_check_refuses_a_notebook_under_another_name(released: release.Released, tmp_path: Path) -> None:
    path = tmp_path / "01-kernels (1).ipynb"
    path.write_text(json.dumps(submission(released, {})))
    with pytest.raises(selfcheck.CheckError, match=r"read the notebook by its name: save it as 01-kernels\.ipynb"):
        selfcheck.check(path)


def test_the_notebook_lies_there_only_where_it_is_asked_for(tmp_path: Path, grader: Grader) -> None:
    hidden = HIDDEN.replace("cells = json", 'assert not Path("01-kernels.ipynb").exists()\ncells = [] and json')
    hidden = hidden.replace("[text] = ", "texts = ").partition("jobs")[0] + "### END HIDDEN TESTS"
    place = small_repository(tmp_path, assignment(hidden, "false"), "01-kernels")
    nb = submission(release.build(place, "01-kernels"), {"double": ANSWER})
    task = Task.of(place, "01-kernels")
    assert messages(grader.grade(task, Submission("kim", json.dumps(nb).encode()))) == ["", ""]


def test_whether_the_notebook_is_asked_for_is_yes_or_no(tmp_path: Path) -> None:
    root = small_repository(tmp_path, assignment(notebook="often"), "01-kernels")
    with pytest.raises(release.ReleaseError, match=r"course metadata `notebook` is true where .*, not 'often'"):
        release.build(root, "01-kernels")


# --- the compiler's sandbox ---

# A whole module as the source: what it finds where it runs comes back as its error.
LOOK = """
import json, os, sys, triton
from pathlib import Path
notebooks = [path for path in Path("/tmp").rglob("*.ipynb") if not path.is_relative_to(sys.prefix)]
seen = {
    "pid": os.getpid(),
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "open": [os.readlink(path).split(":")[0] for path in Path("/proc/self/fd").iterdir() if path.exists()],
    "notebooks": len(notebooks),
    "environment": sorted(name for name in os.environ if "COURSE" in name or "SECRET" in name),
    "interfaces": len(Path("/proc/net/dev").read_text().splitlines()) - 2,
}
raise RuntimeError(json.dumps(seen))
"""
HIDDEN_LOOK = f"""
# Looks round.
### BEGIN HIDDEN TESTS
SEED = 7
import os
from course_utils import ahead
os.environ["SECRET"] = "of the referee"
ahead.compile_kernels({LOOK!r}, [ahead.Job("f", {{}}, {{}}, "sm_80")])
### END HIDDEN TESTS
"""


def test_the_graders_compiler_sees_nothing_of_the_referee(grade: Callable[..., Graded]) -> None:
    _, said = messages(grade(hidden=HIDDEN_LOOK))
    assert "{" in said, said
    seen = json.loads(said[said.index("{") :])
    assert seen["pid"] <= 2
    assert seen["processes"] == 2  # bubblewrap's own, and it
    assert seen["notebooks"] == 0
    assert seen["environment"] == []
    assert seen["interfaces"] == 1
    assert set(seen["open"]) <= {"pipe", "/dev/null"}


def test_where_the_graders_compiler_has_no_sandbox_nobody_loses_a_point(grade: Callable[..., Graded]) -> None:
    hidden = HIDDEN.replace("import json", 'import json, os\nos.environ["PATH"] = "/nowhere"')
    with pytest.raises(SandboxError, match="bubblewrap"):
        grade(hidden=hidden)


def test_a_sandbox_that_does_not_start_is_no_reason_for_less(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: no permission' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(ahead.FRESH_SANDBOX, "1")
    with pytest.raises(SandboxError, match="the sandbox for the compiler does not start: bwrap: no permission"):
        compile_kernels(KERNELS + "\n# not seen before", [one("talking")])


def test_unsafe_grading_compiles_without_a_sandbox_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ahead.FRESH_SANDBOX, raising=False)
    place = small_repository(tmp_path, assignment(), "01-kernels")
    nb = submission(release.build(place, "01-kernels"), {"double": BROKEN})
    with Grader(unsafe=True) as unsafe:
        graded = unsafe.grade(Task.of(place, "01-kernels"), Submission("kim", json.dumps(nb).encode()))
    assert messages(graded) == ["", REFUSED]
