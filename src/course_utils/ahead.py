"""Triton kernels compiled for a card that is not there, and what the compiler says of them.

The compiler works in a process of its own (``python -m course_utils.ahead``): there Triton is not interpreting, a
kernel that takes the compiler down takes nothing else with it, and CPU time, not a clock, decides what takes too long.
It is the same compiler as at a launch: what it refuses would not run. Whether a kernel is right, or fast, it does not
say.

Triton evaluates parts of a kernel while it compiles: to compile a kernel is to run what its text says.
"""
# The grader's referee knows hidden tests, and a kernel's text can run code. So for the referee the process starts in a
# fresh sandbox (course_utils.grading.sandbox); one that does not start is an error there, never a reason for less.

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NoReturn

from course_utils._errors import CourseError

__all__ = ["CompileError", "Compiled", "Job", "compile_kernels", "jit_functions"]

SHARED_LIMIT = {"sm_80": 163 << 10, "sm_90": 227 << 10}  # bytes that one program may have (CUDA C Programming Guide)
FRESH_SANDBOX = "COURSE_COMPILE_IN_FRESH_SANDBOX"  # set by the grader for its referees
CPU_SECONDS = 60  # for the first kernel, and for each further one; one takes 1 to 3
WALL_SECONDS = 600  # only a guard
_HEADER = "from __future__ import annotations\n\nimport math\n\nimport triton\nimport triton.language as tl\n\n\n"
_MATRIX_UNIT = re.compile(r"\b(wgmma\.mma_async|mma\.sync)\b")
_EXCEPTION = re.compile(r"(\w+)\(((['\"]).*\3),?\)", re.DOTALL)
_ALONE = (
    ": a kernel knows its arguments, the other kernels, triton, tl and math; give it what else it needs as an argument"
)
_CONSTEXPR = ("tl.constexpr", "triton.language.constexpr")
_LONGEST = 500  # characters of a reason


class CompileError(CourseError):
    """A kernel that cannot be compiled, or that would not fit on the card; one line, with the line of the kernel."""


@dataclass(frozen=True)
class Job:
    """One kernel, for one kind of card.

    Attributes:
        kernel: The name of a function that is decorated with ``@triton.jit``.
        signature: Triton's type for every argument that is not among the constants: ``"*fp16"``, ``"i32"``, ``"fp32"``.
            A pointer is taken to be divisible by 16, as one to a tensor that torch allocated is; ``"i32:16"`` says the
            same of a number, and at a launch Triton finds it out: of a stride of 64, say.
        constants: The values of the ``tl.constexpr`` arguments.
        target: ``"sm_80"`` (A100) or ``"sm_90"`` (H100).
        warps: Groups of 32 threads that work on one program.
        stages: How many steps of a loop have their loads under way at the same time.
    """

    kernel: str
    signature: Mapping[str, str]
    constants: Mapping[str, Any]
    target: str
    warps: int = 4
    stages: int = 2

    def __post_init__(self) -> None:
        if self.target not in SHARED_LIMIT:
            raise ValueError(f"Job: target: expected one of {', '.join(SHARED_LIMIT)}, got {self.target!r}")


@dataclass(frozen=True)
class Compiled:
    """What a compiled kernel needs.

    Attributes:
        kernel: As in the job.
        target: As in the job.
        shared: Bytes of shared memory of one program.
        registers: Registers of one thread.
        spilled: Bytes of one thread that found no register and lie in slow memory.
        tensor_core: How often each instruction for the matrix units stands in the PTX: ``"mma.sync"``, on sm_90 also
            ``"wgmma.mma_async"``. Empty where no product runs on them.
    """

    kernel: str
    target: str
    shared: int
    registers: int
    spilled: int
    tensor_core: dict[str, int]


def compile_kernels(source: str, jobs: Sequence[Job]) -> list[Compiled]:
    """Compile kernels of one source, all in one process of their own.

    Args:
        source: The kernels' Python text. Where it does not import triton, the imports of triton, of
            ``triton.language`` as ``tl`` and of math are put before it.
        jobs: What is compiled, in this order.

    Returns:
        One result a job. Asked for the same again, a process has the answer at hand.

    Raises:
        CompileError: For the first kernel that Triton refuses, that takes the compiler down or too long, or that needs
            more shared memory than the card has.
    """
    answers = _answers(json.dumps({"source": source, "jobs": [asdict(job) for job in jobs]}))
    results = []
    for job, answer in zip(jobs, answers, strict=False):
        if reason := answer.get("error") or _too_large(job, answer["shared"]):
            raise CompileError(f"{job.kernel} for {job.target}: {reason}")
        results.append(Compiled(job.kernel, job.target, **answer))
    return results


def jit_functions(cell: str) -> str:
    """The kernels of a notebook cell: its functions that are decorated with ``@triton.jit``, and nothing else.

    Only these are to be compiled where the cell is a stranger's: the rest of it would be run. Default values and
    annotations would be run too, so those must be literals, and these ``tl.constexpr``.

    Args:
        cell: The cell's source.

    Returns:
        The functions as they stand in the cell, in their order: something for :func:`compile_kernels`.

    Raises:
        CompileError: The cell is not Python, a decorator has arguments or is not alone, a default is no literal, or an
            annotation is another one.
    """
    try:
        tree = _parsed(cell)
    except (SyntaxError, ValueError):  # magics, prompts
        cell = _translated(cell)
        try:
            tree = _parsed(cell)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise CompileError(f"the cell is not valid Python: {_one_line(str(error))}") from None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_kernel(node)]
    return "\n\n".join(f"@triton.jit\n{ast.get_source_segment(cell, node)}\n" for node in functions)


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an odd backslash in a string: not what is asked here
        return ast.parse(source)


def _translated(cell: str) -> str:
    """The cell as IPython would run it."""
    from IPython.core.inputtransformer2 import TransformerManager

    return str(TransformerManager().transform_cell(cell))


def _is_kernel(node: ast.FunctionDef) -> bool:
    """Whether a function is a kernel; what is meant as one and cannot be taken over is refused."""
    refused = f"{node.name} (line {node.lineno}): "
    decorators = [ast.unparse(each) for each in node.decorator_list]
    if not any(re.match(r"(triton\.)?(jit|autotune|heuristics)\b", each) for each in decorators):
        return False
    if decorators not in (["triton.jit"], ["jit"]):
        shown = " ".join(f"@{each}" for each in decorators)
        raise CompileError(f"{refused}write @triton.jit alone and without arguments, not {shown}")
    for argument in (each for each in ast.walk(node.args) if isinstance(each, ast.arg)):
        if argument.annotation and ast.unparse(argument.annotation) not in _CONSTEXPR:
            raise CompileError(f"{refused}annotate {argument.arg} with tl.constexpr, or not at all")
    for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
        try:
            ast.literal_eval(default)
        except (ValueError, TypeError):
            words = f"the default value {ast.unparse(default)} must be a literal, such as 64 or 1.0"
            raise CompileError(refused + words) from None
    return True


@lru_cache(maxsize=256)
def _answers(order: str) -> list[dict[str, Any]]:
    """One answer a job, up to the first that says what is wrong."""
    command = [*_launcher(), sys.executable, "-m", "course_utils.ahead"]
    try:
        done = subprocess.run(
            command, input=order, capture_output=True, encoding="utf-8", errors="replace", timeout=WALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise CompileError(f"the compiler was stopped after {WALL_SECONDS} s by the clock") from None
    started, *answers = [json.loads(line) for line in done.stdout.splitlines()] or [None]
    if started is None:
        _not_started(done)
    jobs = json.loads(order)["jobs"]
    if len(answers) < len(jobs) and "error" not in (answers or [{}])[-1]:
        died = jobs[len(answers)]
        raise CompileError(f"{died['kernel']} for {died['target']}: {_ending(done)}")
    return answers


def _launcher() -> list[str]:
    if not os.environ.get(FRESH_SANDBOX):
        return []
    from course_utils.grading import sandbox

    return sandbox.launcher()


def _not_started(done: subprocess.CompletedProcess[str]) -> NoReturn:
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if os.environ.get(FRESH_SANDBOX):
        from course_utils.grading.sandbox import SandboxError

        raise SandboxError(f"the sandbox for the compiler does not start: {last}")
    raise CompileError(f"the compiler does not start: {last}")


def _ending(done: subprocess.CompletedProcess[str]) -> str:
    """Why there is no answer for a kernel."""
    number = -done.returncode if done.returncode < 0 else done.returncode - 128  # how bubblewrap tells of a signal
    if number == signal.SIGXCPU:
        return "the compiler took too long and was stopped"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"exit status {done.returncode}"
    last = _one_line((done.stderr.strip().splitlines() or [""])[-1])
    return f"the compiler ended without an answer ({name}){f': {last}' if last else ''}"


def _too_large(job: Job, shared: int) -> str:
    most = SHARED_LIMIT[job.target]
    needs = f"needs {shared:,} bytes of shared memory, and a program there has at most {most:,}"
    return f"{needs}: smaller blocks, or fewer stages" if shared > most else ""


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"


# --- in the compiler's process ---


def main() -> None:
    """Take an order from the standard input and answer each job by one line of JSON, until one fails."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what Triton or a kernel prints is no answer
    order = json.load(sys.stdin)
    _limit_cpu(CPU_SECONDS * (1 + len(order["jobs"])))
    for name in [name for name in os.environ if name.startswith("TRITON_")]:
        del os.environ[name]
    print("{}", file=answers)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRITON_CACHE_DIR"] = str(Path(folder, "cache"))
        for job in order["jobs"]:
            try:
                answer = _compiled(_module(order["source"], folder), Job(**job), folder)
            except Exception as error:
                answer = {"error": _one_line(_reason(error))}
            print(json.dumps(answer), file=answers)
            if "error" in answer:
                break


def _limit_cpu(seconds: int) -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = seconds if hard == resource.RLIM_INFINITY else min(seconds, hard - 1)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 1))  # the first ends with a signal that says why


@cache
def _module(source: str, folder: str) -> Any:
    """The kernels as a module that stands in a file: Triton reads their text again."""
    path = Path(folder, "kernels.py")
    path.write_text(source if _imports_triton(source) else _HEADER + source, encoding="utf-8")
    specification = spec_from_file_location("kernels", path)
    assert specification is not None
    assert specification.loader is not None
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _imports_triton(source: str) -> bool:
    body = _parsed(source).body
    return any(re.match(r"(import|from) triton\b", ast.unparse(node)) for node in body)


def _compiled(module: Any, job: Job, folder: str) -> dict[str, Any]:
    """Compile one kernel, as a launch on that card would, and read what it needs."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.runtime.jit import JITFunction

    kernel = getattr(module, job.kernel, None)
    if not isinstance(kernel, JITFunction):
        raise LookupError("there is no function of this name that is decorated with @triton.jit")
    types = {**job.signature, **dict.fromkeys(job.constants, "constexpr")}
    if wrong := sorted(set(kernel.arg_names) ^ set(types)):
        has = f"the kernel has the arguments {', '.join(kernel.arg_names)}"
        raise LookupError(f"{has}; asked for was one with {', '.join(types)} ({wrong[0]} is on one side only)")
    aligned = [name for name, kind in types.items() if kind.startswith("*") or kind.endswith(":16")]
    source = ASTSource(
        kernel,
        {name: types[name].removesuffix(":16") for name in kernel.arg_names},
        constexprs=dict(job.constants),
        attrs={(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in aligned},
    )
    target = GPUTarget("cuda", int(job.target.removeprefix("sm_")), 32)
    made = triton.compile(source, target=target, options={"num_warps": job.warps, "num_stages": job.stages})
    binary = Path(folder, "kernel.cubin")
    binary.write_bytes(made.asm["cubin"])
    usage = _usage(triton.knobs.nvidia.cuobjdump.path, binary)
    return {
        "shared": made.metadata.shared,
        "registers": usage["REG"],
        "spilled": usage["STACK"] + usage["LOCAL"],
        "tensor_core": Counter(_MATRIX_UNIT.findall(made.asm["ptx"])),
    }


def _usage(program: str, binary: Path) -> dict[str, int]:
    """What NVIDIA's own tool, which comes with Triton, says that a thread of the kernel needs."""
    told = subprocess.run([program, "--dump-resource-usage", binary], capture_output=True, text=True, check=True).stdout
    return {name: int(number) for name, number in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", told)}


def _reason(error: BaseException) -> str:
    """Triton's own words, with the line of the kernel."""
    from triton.compiler.errors import CompilationError

    where = ""
    while isinstance(error, CompilationError):
        line = getattr(error.node, "lineno", 0)
        if error.src and line:
            name = error.src.partition("(")[0].removeprefix("def ")
            where = f"line {line} of {name}, `{error.src.splitlines()[line - 1].strip()}`: "
        if not isinstance(error.__cause__, CompilationError):
            break
        error = error.__cause__
    text = str(getattr(error, "error_message", "") or error.__cause__ or error)
    quoted = _EXCEPTION.fullmatch(text)
    text = f"{quoted[1]}: {ast.literal_eval(quoted[2])}" if quoted else text or type(error).__name__
    return where + text + (_ALONE if text.startswith("NameError") else "")


if __name__ == "__main__":
    main()
