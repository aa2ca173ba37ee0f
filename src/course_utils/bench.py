"""How fast attention is on this machine: naive, torch's backends, tiled, Triton and FlexAttention, side by side.

Of each shape the implementations (:mod:`course_utils.rivals`) are checked against float64 first; then those that are
right are timed in one process, in turns (:func:`course_utils.benchmark.compare`). A record keeps every sample and the
machine; what a table or a figure shows is worked out from it (:mod:`course_utils.bench_table`).

Sizes on a GPU and FLOPs are those of Dao (2023), section 4.1: N from 512 to 16k, a batch of 16k tokens in all, heads
of 64 or 128 numbers that make up 2,048.
"""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils import rivals
from course_utils.benchmark import Timing, compare, peak_memory
from course_utils.measuring import MeasureError, machine, processor, reason, said_by
from course_utils.notebooks import package_version
from course_utils.rivals import Attention, LeftOutError, Shape, WrongError
from course_utils.roofline import attention_flops

FORMAT = 1
CLOCKS = ("clocks.sm", "clocks.mem", "power.limit")

Call = Callable[[], Any]


def device_at_hand() -> str:
    """``"cuda"`` where torch sees a GPU, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Settings:
    """What is measured, and how often.

    Attributes:
        device: ``"cpu"`` or ``"cuda"``.
        dtypes, widths, lengths: of queries, keys and values; each is measured with each.
        tokens: in the whole batch; it has one entry where N is larger.
        model_width: heads times width.
        fewest, most: samples of each implementation.
        seconds: for the samples of one direction and shape, where that is enough for the fewest.
        warmup: calls before them; the check has called each already.
        seed: of inputs and order.
    """

    device: str
    dtypes: tuple[str, ...]
    widths: tuple[int, ...]
    lengths: tuple[int, ...]
    tokens: int
    model_width: int
    fewest: int
    most: int
    seconds: float
    warmup: int
    seed: int = 0


FULL = {
    "cpu": Settings("cpu", ("float32",), (64,), (512, 1024, 2048, 4096, 8192), 1, 64, 5, 30, 3.0, 0),
    "cuda": Settings(
        "cuda",
        ("bfloat16", "float16"),
        (64, 128),
        (512, 1024, 2048, 4096, 8192, 16384),
        2**14,
        2048,
        30,
        100,
        1.0,
        3,
    ),
}
QUICK: dict[str, dict[str, Any]] = {
    "cpu": {"lengths": (128, 256), "seconds": 0.2},
    "cuda": {"lengths": (1024,), "widths": (64,), "dtypes": ("bfloat16",)},
}


def settings(device: str, *, quick: bool = False, lengths: tuple[int, ...] = ()) -> Settings:
    """The full set of a device, a small one that takes seconds, or either with other lengths."""
    chosen = replace(FULL[device], **QUICK[device]) if quick else FULL[device]
    return replace(chosen, lengths=lengths) if lengths else chosen


def shapes(chosen: Settings) -> Iterator[Shape]:
    """All that is measured."""
    for dtype, width, causal, length in product(chosen.dtypes, chosen.widths, (False, True), chosen.lengths):
        batch, heads = max(1, chosen.tokens // length), max(1, chosen.model_width // width)
        yield Shape(chosen.device, dtype, width, causal, length, batch, heads)


# --- Measuring --------------------------------------------------------------------------------------------------


def _forward(attention: Attention, inputs: list[Tensor]) -> tuple[Call, Call, list[Tensor]]:
    """What is timed, what memory is measured of, and the results."""

    def call() -> Tensor:
        with torch.no_grad():
            return attention(*inputs[:3])

    return call, call, [call()]


def _backward(attention: Attention, inputs: list[Tensor]) -> tuple[Call, Call, list[Tensor]]:
    """The same; timed is the backward alone, its memory is measured with that of the forward that it needs."""
    leaves = [each.detach().requires_grad_() for each in inputs[:3]]
    call = partial(torch.autograd.grad, attention(*leaves), leaves, inputs[3], retain_graph=True)
    there_and_back = lambda: torch.autograd.grad(attention(*leaves), leaves, inputs[3])  # noqa: E731
    return call, there_and_back, list(call())


DIRECTIONS = {"forward": _forward, "backward": _backward}


def measure(chosen: Settings, told: Callable[[str, int, int], None] = lambda *_: None) -> dict[str, Any]:
    """Check and time all implementations on all shapes.

    Args:
        chosen: what to measure; on a CPU it is done by one thread.
        told: called with what is done next, how many shapes are done, and of how many.

    Returns:
        The record. Each entry has the samples in seconds, their median and quartiles, the largest error of each
        result (output, or dQ, dK, dV) and that of the plain form, the peak in bytes and the FLOPs. What was not run
        is named with its reason.

    Raises:
        MeasureError: the device is not there.
    """
    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise MeasureError("torch sees no GPU here: measure with --device cpu")
    began, entries, missed = time.perf_counter(), [], []
    wanted = list(shapes(chosen))
    with _one_thread(chosen.device), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a backend that is not there; its error is kept
        for done, shape in enumerate(wanted):
            told(f"{shape.dtype}, width {shape.width}, N = {shape.length}", done, len(wanted))
            found, left_out = _measured(shape, chosen)
            entries += found
            missed += left_out
        about = _about(chosen)
    wall = round(time.perf_counter() - began, 3)
    return {**about, "wall_seconds": wall, "entries": entries, "not_run": _joined(missed)}


@contextmanager
def _one_thread(device: str) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _measured(shape: Shape, chosen: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Entries of one shape, and what is not among them."""
    inputs = rivals.inputs(shape, chosen.seed)
    expected = rivals.by_blocks(inputs, shape.causal, torch.float64)
    plain = rivals.by_blocks(inputs, shape.causal, inputs[0].dtype)
    limits = {each: rivals.errors(plain[each], expected[each]) for each in DIRECTIONS}
    del plain
    here = {name: value for name, value in asdict(shape).items() if name != "device"}
    entries: list[dict[str, Any]] = []
    refused: dict[str, dict[str, Any]] = {}
    missed = []
    for direction, prepare in DIRECTIONS.items():
        calls: dict[str, Call] = {}
        facts: dict[str, dict[str, Any]] = {}
        for name, make in rivals.MAKERS.items():
            if name in refused:  # the forward already
                continue
            try:
                calls[name], whole, results = prepare(make(shape), inputs)
                errors = rivals.errors(results, expected[direction])
                del results
                rivals.require_right(direction, errors, limits[direction], shape.dtype)
                peak = peak_memory(whole, device=shape.device)
                facts[name] = {"error": errors, "error_of_plain": limits[direction], "peak_bytes": peak}
            except Exception as error:
                calls.pop(name, None)
                refused[name] = {"reason": _why(error), "wrong": isinstance(error, WrongError)}
        timings = _timed(calls, facts, refused, chosen)
        flops = _flops(here, direction)
        entries += [
            {"implementation": name, "direction": direction, **here, **_samples(timing), **facts[name], "flops": flops}
            for name, timing in timings.items()
        ]
        missed += [{"implementation": name, "direction": direction, **here, **why} for name, why in refused.items()]
    return entries, missed


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, LeftOutError) else reason(error)


def _timed(
    calls: dict[str, Call], facts: Mapping[str, Any], refused: dict[str, dict[str, Any]], chosen: Settings
) -> dict[str, Timing]:
    """Samples of all; should their graphs together not fit, the one that needs the most memory is left out."""
    run = partial(compare, seed=chosen.seed, device=chosen.device)
    while calls:
        try:
            timings = run(calls, repeats=chosen.fewest, warmup=chosen.warmup)
            break
        except torch.OutOfMemoryError as error:
            largest = max(calls, key=lambda name: facts[name]["peak_bytes"])
            refused[largest] = {"reason": f"beside the others: {reason(error)}", "wrong": False}
            del calls[largest]
    else:
        return {}
    took = sum(timing.median for timing in timings.values())
    more = min(chosen.most, int(chosen.seconds / took)) - chosen.fewest
    if more <= 0:
        return timings
    others = run(calls, repeats=more, warmup=0)
    return {name: replace(timings[name], seconds=timings[name].seconds + others[name].seconds) for name in calls}


def _samples(timing: Timing) -> dict[str, Any]:
    return {
        "seconds": [round(each, 9) for each in timing.seconds],
        "median": timing.median,
        "quartiles": list(timing.quartiles),
    }


def _flops(entry: Mapping[str, Any], direction: str) -> int:
    """By the papers' convention: half of it if causal, the backward 2.5 times the forward."""
    heads, backward = entry["batch"] * entry["heads"], direction == "backward"
    n = entry["length"]
    return attention_flops(n, n, entry["width"], heads=heads, causal=entry["causal"], backward=backward)


def _joined(missed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same reason at several lengths is one line."""
    joined: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in missed:
        fields = ("implementation", "direction", "dtype", "width", "causal", "reason", "wrong")
        kept = {name: each[name] for name in fields}
        joined.setdefault(tuple(kept.values()), {**kept, "lengths": []})["lengths"].append(each["length"])
    return list(joined.values())


def _about(chosen: Settings) -> dict[str, Any]:
    """Date, machine and versions; no name of the host, no path."""
    return {
        "format": FORMAT,
        "course": package_version(),
        "date": datetime.now(UTC).date().isoformat(),
        "device": machine(chosen.device),
        "cpu": processor(),
        "clocks": _clocks() if chosen.device == "cuda" else {},
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "triton": _version("triton"),
            "numpy": np.__version__,
            "cuda": torch.version.cuda or "",
        },
        "settings": asdict(chosen),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _clocks() -> dict[str, str]:
    """As they are just after the last measurement, of the GPU that torch uses."""
    name = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    said = said_by(["nvidia-smi", f"--id={name}", f"--query-gpu={','.join(CLOCKS)}", "--format=csv,noheader"])
    return dict(zip(CLOCKS, said.split(", "), strict=False)) if said else {}
