"""Measuring: time, memory and operations of something that is called without arguments.

What is counted (bytes, operations) is exact and the same on every run. What is timed is not: a time is a sample, so
that many are kept, those of rival calls taken in turns, and two are compared by their ranks. The closed forms to
compare counts with are in :mod:`course_utils.roofline`.
"""

from __future__ import annotations

import gc
import math
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

Call = Callable[[], Any]

# --- Time ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """How long one call took, again and again.

    Attributes:
        name: of what was called.
        seconds: one sample a repetition, in the order in which they were taken.
        device: where it ran.
    """

    name: str
    seconds: tuple[float, ...]
    device: str

    @property
    def median(self) -> float:
        """Half of the samples are no longer than this, in seconds: one slow run does not move it, as it does a mean."""
        return float(np.median(self.seconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        """The middle half of the samples lies between these, in seconds."""
        return float(np.quantile(self.seconds, 0.25)), float(np.quantile(self.seconds, 0.75))

    @property
    def spread(self) -> float:
        """The distance of the quartiles as a share of the median. Above 0.15 the machine was busy: measure again."""
        first, third = self.quartiles
        return (third - first) / self.median


def time_call(
    call: Call, *, name: str = "", repeats: int = 30, warmup: int = 3, device: str | torch.device = "cpu"
) -> Timing:
    """Time one call: :func:`compare` with nothing to compare it with."""
    return compare({name: call}, repeats=repeats, warmup=warmup, device=device)[name]


def compare(
    calls: Mapping[str, Call],
    *,
    repeats: int = 30,
    warmup: int = 3,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> dict[str, Timing]:
    """Time several calls in turns, so that what else the machine does falls on all of them alike.

    Each is first called ``warmup`` times, which is not counted. Then come ``repeats`` rounds, each of which calls each
    once, in an order drawn anew. On a CPU the clock is ``time.perf_counter``. On a GPU, which works on after a call
    has returned, CUDA events are put into its queue before and after, and read once it has finished all rounds:
    waiting for it in every round would add the waiting to each sample. If a call's kernels take less time than it
    takes to launch them, the launching is what is measured.

    Args:
        calls: functions without arguments, by name; what they return is thrown away.
        repeats: samples of each, at least 1; at least 30 to be compared by :func:`rank_test`.
        warmup: calls that are not counted, at least 0.
        seed: of the order.
        device: where the calls compute: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        ValueError: a number is too small, or the device is of another kind or not there.
    """
    for argument, count, least in (("repeats", repeats, 1), ("warmup", warmup, 0)):
        if count < least:
            raise ValueError(f"compare: {argument}: expected at least {least}, got {count}")
    mark, seconds_between, finish = _stopwatch(_device("compare", device))
    for call in calls.values():
        for _ in range(warmup):
            call()
    finish()
    order, names = random.Random(seed), list(calls)
    marks: dict[str, list[tuple[Any, Any]]] = {name: [] for name in names}
    for _ in range(repeats):
        order.shuffle(names)
        for name in names:
            start = mark()
            calls[name]()
            marks[name].append((start, mark()))
    finish()
    return {
        name: Timing(name, tuple(seconds_between(*pair) for pair in pairs), str(device))
        for name, pairs in marks.items()
    }


def _stopwatch(device: torch.device) -> tuple[Call, Callable[[Any, Any], float], Call]:
    """How to take a mark, how many seconds lie between two, and what to wait for before asking that."""
    if device.type == "cpu":
        return time.perf_counter, lambda start, end: end - start, lambda: None

    def mark() -> Any:
        return torch.cuda.current_stream(device).record_event(torch.cuda.Event(enable_timing=True))

    return mark, lambda start, end: start.elapsed_time(end) / 1000, lambda: torch.cuda.synchronize(device)


def _device(name: str, device: str | torch.device) -> torch.device:
    found = torch.device(device)
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f"{name}: device: expected cpu or cuda, got {device}")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"{name}: device: expected one that is there, got {device}, and torch sees no GPU")
    return found


def rank_test(first: Sequence[float], second: Sequence[float], *, margin: float = 0.0) -> float:
    """How surprising these samples would be if the first were not faster by more than a margin.

    The one-sided test of Mann & Whitney (1947) that ``first * (1 + margin)`` tends to be smaller than ``second``. It
    looks at the order of the samples only, so that a few very slow runs do not decide. The normal approximation, with
    the corrections for ties and for continuity; from about eight samples each it is within 0.01 of the exact value.

    Args:
        first: samples, such as seconds; at least one.
        second: the same of the other; there need not be as many.
        margin: 0.1 asks for "more than 10 % faster".

    Returns:
        The p-value: small means that the first is faster by more than the margin.

    Raises:
        ValueError: there is no sample, one is not finite, or the margin is negative.
    """
    if margin < 0:
        raise ValueError(f"rank_test: margin: expected at least 0, got {margin}")
    a, b = np.asarray(first, dtype=float) * (1 + margin), np.asarray(second, dtype=float)
    for argument, samples in (("first", a), ("second", b)):
        if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
            raise ValueError(f"rank_test: {argument}: expected a list of finite numbers, at least one")
    wins = (a[:, None] < b).sum() + (a[:, None] == b).sum() / 2
    _, ties = np.unique(np.concatenate([a, b]), return_counts=True)
    n = a.size + b.size
    variance = a.size * b.size / 12 * (n + 1 - (ties**3 - ties).sum() / max(n * (n - 1), 1))
    if variance <= 0:  # all samples are equal
        return 1.0
    return math.erfc((wins - a.size * b.size / 2 - 0.5) / math.sqrt(2 * variance)) / 2


# --- Memory -------------------------------------------------------------------------------------------------------


def peak_memory(call: Call, *, device: str | torch.device = "cpu") -> int:
    """The bytes that a call has newly in use at its worst moment, above what was there before.

    On a CPU every block that torch's allocator hands out and takes back is written down by torch's profiler, those
    inside of a kernel too; the count is exact and the same on every run with the same number of threads, of which
    each may have buffers of its own. Freeing what was there before does not make it smaller. It is a little more than
    one expects where a Python number stands in an expression: it becomes a tensor of 8 bytes, and 4 in float32, for a
    moment. The standard library's ``tracemalloc`` would show none of this: it watches Python's own allocator, and the
    numbers in a tensor are not allocated by Python. Memory that a library takes elsewhere (NumPy, the scratch space of
    a matrix product) is not seen. Looking at a block costs some 25 µs.

    On a GPU it is what torch's caching allocator had handed out at most; it rounds each block up to 512 bytes, and the
    first matrix product takes a workspace that stays: call it once before.

    Args:
        call: a function without arguments. What it returns counts, and is thrown away.
        device: where it computes.

    Raises:
        ValueError: the device is neither a CPU nor a GPU that is there.
    """
    where = _device("peak_memory", device)
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
        before = torch.cuda.memory_allocated(where)
        call()
        return torch.cuda.max_memory_allocated(where) - before
    profiler = torch.autograd.profiler.profile(profile_memory=True)
    with _without_profiler_messages(), _without_garbage_collection(), profiler as profile:
        call()
    return _peak(sorted(_allocations(profile.kineto_results.experimental_event_tree())))


def _allocations(events: Sequence[Any]) -> Iterator[tuple[int, int, int]]:
    """Time, address and bytes of every block that came (bytes above 0) or went, from a tree of profiler events."""
    waiting = list(events)
    while waiting:
        event = waiting.pop()
        waiting.extend(event.children)
        kind, fields = event.typed
        if kind.name == "Allocation" and fields.device.type == "cpu":
            yield event.start_time_ns, fields.ptr, fields.alloc_size


def _peak(allocations: Sequence[tuple[int, int, int]]) -> int:
    """The most that is in use at once; what goes but did not come here was there before, and does not count."""
    blocks: dict[int, int] = {}
    now = most = 0
    for _, address, size in allocations:
        now += size if size > 0 else -blocks.pop(address, 0)
        if size > 0:
            blocks[address] = size
        most = max(most, now)
    return most


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Cycles that hold tensors would be freed now or later, as it happens: here not before the end."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_PROFILER_MESSAGE = re.compile(rb"(USDT|STAGE|INFO|WARNING):\d{4}-\d\d-\d\d |\[W\d.*\bCPUAllocator\.cpp:")


@contextmanager
def _without_profiler_messages() -> Iterator[None]:
    """The profiler writes to the process's standard error when it starts; all that is not from it is passed on."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            file.seek(0)
            os.write(2, b"".join(line for line in file if not _PROFILER_MESSAGE.match(line)))


def largest_tensor(call: Call) -> int:
    """The bytes of the largest tensor that a call newly makes, as far as torch's operations show their results.

    Views are not new. What a kernel allocates inside is not seen; :func:`peak_memory` sees it.
    """
    with LargestStorage() as largest:
        call()
    return largest.bytes


class LargestStorage(TorchDispatchMode):
    """Watches every operation for results that have a storage of their own; views of an argument have not.

    Attributes:
        bytes: of the largest such storage so far.
        numbers: in the storage that holds the most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and look at what it made."""
        result = func(*args, **(kwargs or {}))
        known = {each.untyped_storage().data_ptr() for each in _tensors((args, kwargs))}
        for each in _tensors(result):
            storage = each.untyped_storage()
            if storage.data_ptr() not in known:
                self.bytes = max(self.bytes, storage.nbytes())
                self.numbers = max(self.numbers, storage.nbytes() // each.element_size())
        return result


def _tensors(values: Any) -> list[Tensor]:
    return [each for each in tree_leaves(values) if isinstance(each, Tensor)]


def saved_bytes(call: Call) -> int:
    """The bytes that autograd keeps for the backward of what a call computes.

    Each storage counts once and as a whole, even where only a view of it is kept; inputs and parameters that are kept
    count too. What a function of one's own puts on its ``ctx`` without ``save_for_backward`` is not seen.
    """
    kept: dict[int, Tensor] = {}  # they stay alive, so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.detach()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        call()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


# --- Operations ---------------------------------------------------------------------------------------------------


def flops(call: Call) -> int:
    """The additions and multiplications in the matrix products and convolutions that a call runs, and nothing else.

    By torch's ``FlopCounterMode``, which knows what each operation does by its name. Of torch's own
    ``scaled_dot_product_attention`` on a CPU it knows nothing and says 0: count the naive form instead.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()
