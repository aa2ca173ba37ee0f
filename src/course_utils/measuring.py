"""Measuring lab 2: naive attention, torch's own and the student's, into a record (:mod:`course_utils.measurements`).

`measure` reads a saved notebook and starts a clean process (`main`), which runs the notebook's setup cells and the one
cell with the student's ``absorb`` and ``finish``, and nothing else of it. That process tells how far it is, one line of
JSON at a time, and in the end gives the record; what the student's code prints goes nowhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import secrets
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from course_utils import measurements, notebooks, selfcheck
from course_utils._errors import CourseError
from course_utils.benchmark import compare, peak_memory, time_call
from course_utils.flash import naive_attention
from course_utils.measurements import FEWEST, FORMAT, LAB, MEASURED
from course_utils.plausibility import BYTES, LENGTHS, LONGER, WIDTHS, checksum, inputs
from course_utils.release import write_atomically
from course_utils.roofline import attention_flops

ROWS = 128  # keys of a block that `absorb` is given
MOST_SAMPLES, SECONDS = 30, 12.0  # of each call; for all calls of one shape, where that gives enough samples
BACKENDS = {
    "sdpa_math": SDPBackend.MATH,
    "sdpa_flash": SDPBackend.FLASH_ATTENTION,
    "sdpa_efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa_cudnn": SDPBackend.CUDNN_ATTENTION,
}
Told = Callable[[str, int, int], None]


class MeasureError(CourseError):
    """Nothing could be measured; the message is one line that says why and what to do."""


# --- here -------------------------------------------------------------------------------------------------------


def measure(notebook: Path, output: Path | None, device: str, told: Told) -> tuple[Path, dict[str, Any]]:
    """Measure what a saved notebook's tiled attention and its rivals take, and write the record.

    Args:
        notebook: the student's notebook of lab 2, saved.
        output: where the record goes; beside the notebook where None.
        device: ``"cpu"`` or ``"cuda"``.
        told: called with what is done next, how many steps are done, and of how many.

    Returns:
        The record's path, and the record.

    Raises:
        selfcheck.UnreadableError: there is no such notebook, or it is none of this course.
        MeasureError: it is another assignment, its code is not written or not right, or the device is not there.
    """
    nb = selfcheck.read(notebook)
    if nb.metadata["course"]["assignment"] != LAB:
        found = nb.metadata["course"]["assignment"]
        raise MeasureError(f"{notebook}: this is {found}; only {LAB}.ipynb has something to be measured")
    setup = [cell.source for cell in nb.cells if notebooks.is_locked(cell) and notebooks.course_of(cell).get("setup")]
    try:
        source = measurements.cell_source(notebook)
        hashed = measurements.source_hash(source)
    except measurements.RecordError as error:
        raise MeasureError(str(error)) from error
    path = output or notebook.with_name("measurements.json")
    require_writable(path)
    job = {"setup": setup, "source": source, "device": device}
    record = {"format": FORMAT, "lab": LAB, "source_hash": hashed, **_run(job, notebook.resolve().parent, told)}
    keep(path, record)
    return path, record


def _run(job: Mapping[str, Any], folder: Path, told: Told) -> dict[str, Any]:
    """Have a clean process measure, in the notebook's folder, and hear what it tells."""
    command = [sys.executable, "-m", "course_utils.measuring"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, text=True, encoding="utf-8", **pipes) as process:  # type: ignore[call-overload]
        try:
            process.stdin.write(json.dumps(job))
            process.stdin.close()
            for line in process.stdout:
                said = json.loads(line)
                if "error" in said:
                    raise MeasureError(said["error"])
                if "record" in said:
                    return dict(said["record"])
                told(*said["step"])
        finally:
            process.kill()
    raise MeasureError("the process that measures died: out of memory, or a call of exit() in the notebook?")


def as_text(record: Mapping[str, Any]) -> str:
    """A record as JSON, one line a field and one an entry."""
    lines = []
    for name, value in record.items():
        text = json.dumps(value, allow_nan=False)
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(json.dumps(each, allow_nan=False) for each in value) + "\n ]"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def require_writable(path: Path) -> None:
    """Refuse before anything is measured what could not be written after it.

    Raises:
        MeasureError: the file's folder is not there, or cannot be written to.
    """
    if path.is_dir() or not os.access(path.resolve().parent, os.W_OK):
        raise MeasureError(f"{path}: there is no such folder, or it cannot be written to")


def keep(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all.

    Raises:
        MeasureError: it cannot be written.
    """
    _write(path, as_text(record))


def _write(path: Path, text: str) -> None:
    """Write a file so that it appears whole or not at all."""
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise MeasureError(f"{path}: cannot be written: {error.strerror}") from error


# --- in the clean process ---------------------------------------------------------------------------------------


def main() -> None:
    """Do the job that comes on the standard input."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what the student's code prints

        def tell(said: Mapping[str, Any]) -> None:
            channel.write(json.dumps(said) + "\n")
            channel.flush()

        try:
            tell({"record": _measured(json.loads(sys.stdin.read()), lambda *step: tell({"step": step}))})
        except MeasureError as error:
            tell({"error": str(error)})


def _measured(job: Mapping[str, Any], told: Told) -> dict[str, Any]:
    device = job["device"]
    if device == "cuda" and not torch.cuda.is_available():
        raise MeasureError("torch sees no GPU here: measure with --device cpu, which earns the same points")
    warnings.simplefilter("ignore")  # why a backend does not take something is asked below
    told("the notebook's code", 0, 1)
    absorb, finish = _students(job)
    began, seed = time.perf_counter(), secrets.randbelow(2**31)
    entries: list[dict[str, Any]] = []
    not_run: list[dict[str, str]] = []
    shapes = list(_shapes(device))
    with torch.no_grad():
        _require_right(absorb, finish, device)
        for done, (dtype, length, width) in enumerate(shapes):
            told(f"{dtype}, N = {length}, width {width}", done, len(shapes))
            entries += _entries(absorb, finish, (dtype, length, width), seed, device, not_run)
    return {
        "course": notebooks.package_version(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": machine(device),
        "seed": seed,
        "wall_seconds": round(time.perf_counter() - began, 3),
        "entries": entries,
        "not_run": not_run,
    }


def _students(job: Mapping[str, Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Run the setup cells and the student's cell; give what that defines."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for place, source in enumerate([*job["setup"], job["source"]]):
        where = f"cell '{MEASURED}'" if place == len(job["setup"]) else "a setup cell"
        with _said(where):
            exec(compile(source, f"<{where}>", "exec"), namespace)
    try:
        return namespace["absorb"], namespace["finish"]
    except KeyError as error:
        raise MeasureError(f"cell '{MEASURED}' defines no {error}: absorb and finish stand in it") from None


@contextlib.contextmanager
def _said(where: str) -> Iterator[None]:
    """What the student's code raises, as one line."""
    try:
        yield
    except NotImplementedError:
        raise MeasureError(
            f"{where} (problem 1) is not written yet in the saved notebook: write it, save it, check it, then measure"
        ) from None
    except (Exception, SystemExit) as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        alone = isinstance(error, NameError) and "all that it needs must stand in this one cell"
        raise MeasureError(f"{where} stopped with {words}: {alone or '`course check` says more'}") from error


def _shapes(device: str) -> Iterator[tuple[str, int, int]]:
    """Dtype, N and width of all that is measured."""
    for dtype in BYTES if device == "cuda" else ("float32",):
        for width in WIDTHS:
            for length in (*LENGTHS, *LONGER) if device == "cuda" else LENGTHS:
                yield dtype, length, width


def tiled_attention(
    absorb: Callable[..., Any], finish: Callable[..., Tensor], query: Tensor, key: Tensor, value: Tensor
) -> Tensor:
    """The student's attention, keys and values in blocks of `ROWS`: ``[N, H, D]``, in the dtype of the query."""
    state = None
    for first in range(0, len(key), ROWS):
        state = absorb(state, query, key[first : first + ROWS], value[first : first + ROWS])
    return finish(state).to(query.dtype)


def _require_right(absorb: Callable[..., Any], finish: Callable[..., Tensor], device: str) -> None:
    """Measure nothing that does not compute attention."""
    query, key, value = (each.to(device) for each in inputs(0, 2 * ROWS + 1, WIDTHS[0]))
    with _said(f"cell '{MEASURED}'"):
        output = tiled_attention(absorb, finish, query, key, value)
        held = peak_memory(lambda: tiled_attention(absorb, finish, query, key, value), device=device)
        wrong = float((output - naive_attention(*_heads_first(query, key, value)).transpose(0, 1)).abs().max())
    if not wrong <= 1e-4:
        raise MeasureError(
            f"the attention of cell '{MEASURED}' is not right yet, by up to {wrong:.3g}: `course check` says more"
        )
    if held < output.nbytes:
        raise MeasureError(f"cell '{MEASURED}' computes outside of torch (in NumPy?): its memory cannot be measured")


def _heads_first(*tensors: Tensor) -> list[Tensor]:
    return [each.transpose(0, 1).contiguous() for each in tensors]


def _entries(
    absorb: Callable[..., Any],
    finish: Callable[..., Tensor],
    shape: tuple[str, int, int],
    seed: int,
    device: str,
    not_run: list[dict[str, str]],
) -> list[dict[str, Any]]:
    """Measure all implementations on one shape; those that do not take it go to `not_run`, once a dtype."""
    dtype, length, width = shape
    here = inputs(seed, length, width, dtype)
    query, key, value = (each.to(device) for each in here)
    heads_first = _heads_first(query, key, value)
    calls: dict[str, Callable[[], Tensor]] = {
        "naive": partial(naive_attention, *heads_first),
        **{name: partial(_by_torch, backend, *heads_first) for name, backend in BACKENDS.items()},
        "tiled": partial(tiled_attention, absorb, finish, query, key, value),
    }
    peaks, sums, took = {}, {}, 0.0
    for name in list(calls):
        try:
            output = calls[name]()  # the first call is slower, and a look at the rest: neither is timed
            sums[name] = checksum(output if name == "tiled" else output.transpose(0, 1), seed)
            del output
            peaks[name] = peak_memory(calls[name], device=device)
            took += time_call(calls[name], repeats=1, warmup=0, device=device).median
        except RuntimeError as error:  # no such kernel for these inputs, or out of memory
            missed = {"implementation": name, "dtype": dtype, "reason": reason(error)}
            not_run += [] if missed in not_run else [missed]
            del calls[name]
    repeats = min(MOST_SAMPLES, max(FEWEST, round(SECONDS / took)))
    timings = compare(calls, repeats=repeats, warmup=1, seed=seed, device=device)
    return [
        {
            "implementation": name,
            "dtype": dtype,
            "shape": list(query.shape),
            "seconds": [round(each, 9) for each in timings[name].seconds],
            "peak_bytes": peaks[name],
            "flops": attention_flops(length, length, width, heads=query.shape[1]),
            "checksum": sums[name],
        }
        for name in calls
    ]


def _by_torch(backend: SDPBackend, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention by one of torch's backends; it takes ``[1, H, N, D]``."""
    with sdpa_kernel(backend):
        return scaled_dot_product_attention(query[None], key[None], value[None])[0]


def reason(error: BaseException) -> str:
    """The first sentence of an error, for a record: without the paths of this machine."""
    first = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
    return re.sub(r"(?<![\w.])(/[\w.+-]+){2,}", "…", first)[:150]


def machine(device: str) -> dict[str, Any]:
    """What is measured on, for a record: kind, name and driver of the device, cores and threads of the processor."""
    cpu = {"cores": os.cpu_count() or 1, "threads": torch.get_num_threads()}
    if device == "cuda":
        ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return {"type": "cuda", "name": torch.cuda.get_device_name(), "driver": said_by(ask), **cpu}
    return {"type": "cpu", "name": processor(), "driver": "", **cpu}


def processor() -> str:
    """The processor's name, as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return said_by(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor() or platform.machine()


def said_by(command: list[str]) -> str:
    """The first line that a command prints, empty where it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout.strip().splitlines() or [""])[0]


if __name__ == "__main__":
    main()
