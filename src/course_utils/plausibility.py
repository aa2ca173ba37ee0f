"""What the numbers of a record of measurements must fulfil (:mod:`course_utils.measurements`).

Each check takes a record whose form is sound and yields a line for each thing that cannot be, or hardly. All bounds
are generous: an honest record must pass on any machine. Queries, keys, values and output are ``[N, H, D]``.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils.roofline import CARDS, Card, attention_flops

LENGTHS, LONGER, WIDTHS, HEADS = (512, 1024, 2048, 4096), (8192, 16384), (64, 128), 1
SHAPES = [[length, HEADS, width] for width in WIDTHS for length in (*LENGTHS, *LONGER)]
REQUIRED = ("naive", "tiled", "sdpa_math")  # these take every input, on every device
IMPLEMENTATIONS = (*REQUIRED, "sdpa_flash", "sdpa_efficient", "sdpa_cudnn")
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}  # of a number, by the dtypes that are measured

CHECKED_ROWS = 128  # of an output, that its checksum is taken over
# Error of a checksum that is let pass, as a share of the length of the output as one vector.
CHECKSUM_ERROR = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
CPU_FLOPS = 4e11  # a second and core: 64 a cycle at 6 GHz; the matrix units of laptops' processors stay below it
UNKNOWN_CARD = 4.0  # so much faster than the fastest card of CARDS may one be that is not among them
# Slopes against N in log-log that are let pass: times vary with the machine, and overhead flattens them.
TIME_SLOPES = {"cpu": (0.4, 3.5), "cuda": (-0.4, 3.2)}
MEMORY_SLOPES = {"naive": (1.7, 2.2), "sdpa_math": (1.0, 2.3), "tiled": (0.3, 1.4)}
OTHER_MEMORY = (-0.4, 2.3)
CLOCK_TICK = 2e-7  # seconds: the clocks of processors tick at least as finely, mostly every 100 ns
SAME_PATTERN = 3e-3  # so little may two sets of samples differ, as a share of their spread, to count as one


def short(text: object) -> str:
    """Text of a record as it may be shown: short, one line, printable."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in str(text)[:61])
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


# --- seeded inputs, and what comes out --------------------------------------------------------------------------


def inputs(seed: int, length: int, width: int, dtype: str = "float32") -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values ``[T, H, D]``, drawn on the CPU in float32 and then rounded to the dtype."""
    generator = torch.Generator().manual_seed(seed + 1_000 * length + width)
    drawn = (torch.randn(length, HEADS, width, generator=generator) for _ in range(3))
    query, key, value = (each.to(getattr(torch, dtype)) for each in drawn)
    return query, key, value


def checksum(output: Tensor, seed: int) -> float:
    """The float64 product of some rows of an output ``[T, H, D]`` with a seeded vector."""
    rows, vector = _probe(seed, *output.shape)
    return float((output.detach().cpu()[rows].double() * vector).sum())


def _probe(seed: int, length: int, heads: int, width: int) -> tuple[Tensor, Tensor]:
    """Rows of an output, and the numbers by which these are multiplied."""
    generator = torch.Generator().manual_seed(seed + 1_000 * length + width + 1)
    rows = torch.randperm(length, generator=generator)[:CHECKED_ROWS]
    return rows, torch.randn(len(rows), heads, width, generator=generator, dtype=torch.float64)


@lru_cache(maxsize=64)
def _expected(seed: int, length: int, width: int, dtype: str) -> tuple[float, float]:
    """The checksum in float64, and the length of what it is taken over as one vector."""
    query, key, value = (each.double().transpose(0, 1) for each in inputs(seed, length, width, dtype))
    rows, vector = _probe(seed, length, HEADS, width)
    weights = (query[:, rows] @ key.transpose(1, 2) / math.sqrt(width)).softmax(-1)
    output = (weights @ value).transpose(0, 1)
    return float((output * vector).sum()), float(output.norm())


# --- its numbers ---


def _name(entry: Mapping[str, Any]) -> str:
    return f"{entry['implementation']} in {entry['dtype']} at N = {entry['shape'][0]}, width {entry['shape'][2]}"


def _key(entry: Mapping[str, Any]) -> tuple[str, str, int, int]:
    return entry["implementation"], entry["dtype"], entry["shape"][0], entry["shape"][2]


def _incomplete(record: Mapping[str, Any]) -> Iterator[str]:
    """Each measurement once, and those that every device can make are there."""
    keys = [_key(entry) for entry in record["entries"]]
    yield from (f"{_name(entry)}: there twice" for entry in record["entries"] if keys.count(_key(entry)) > 1)
    for width in WIDTHS:
        for length in LENGTHS:
            for name in REQUIRED:
                if (name, "float32", length, width) not in keys:
                    yield f"{name} in float32 at N = {length}, width {width}: missing{_why(record, name)}"


def _why(record: Mapping[str, Any], name: str) -> str:
    """What the record itself says of a measurement that is not there."""
    missed = (each for each in record["not_run"] if (each["implementation"], each["dtype"]) == (name, "float32"))
    return next((f" ({short(each['reason'])})" for each in missed), "")


def _miscounted(record: Mapping[str, Any]) -> Iterator[str]:
    """FLOPs are a formula, and all samples together took no longer than the whole."""
    for entry in record["entries"]:
        length, heads, width = entry["shape"]
        expected = attention_flops(length, length, width, heads=heads)
        if entry["flops"] != expected:
            yield f"{_name(entry)}: {entry['flops']} FLOPs, the formula gives {expected}"
    total = sum(sum(entry["seconds"]) for entry in record["entries"])
    if total > record["wall_seconds"]:
        yield f"the samples add up to {total:.3g} s, the whole took {record['wall_seconds']:.3g} s"


def _wrong_output(record: Mapping[str, Any]) -> Iterator[str]:
    """The outputs were those of attention for the seed's inputs; in dtypes and sizes that are quickly computed."""
    for entry in record["entries"]:
        (length, _, width), dtype = entry["shape"], entry["dtype"]
        if length not in LENGTHS:
            continue
        expected, scale = _expected(record["seed"], length, width, dtype)
        if not abs(entry["checksum"] - expected) <= CHECKSUM_ERROR[dtype] * scale:
            yield f"{_name(entry)}: checksum {entry['checksum']:.6g}, expected {expected:.6g}: not attention's output"


def _too_fast(record: Mapping[str, Any]) -> Iterator[str]:
    """No sample is below what the device needs at its peak to compute, or to read the inputs and write the output."""
    device = record["device"]
    for entry in record["entries"]:
        length, heads, width = entry["shape"]
        moved = 4 * length * heads * width * BYTES[entry["dtype"]]
        least = _least_seconds(device, entry["flops"], moved, entry["dtype"])
        if min(entry["seconds"]) < least:
            took, bound = 1e3 * min(entry["seconds"]), 1e3 * least
            yield f"{_name(entry)}: {took:.3g} ms, but {short(device['name'])} needs at least {bound:.3g} ms"


def _least_seconds(device: Mapping[str, Any], flops: int, moved: int, dtype: str) -> float:
    """A lower bound of a call's time. A processor's caches may hold all that is moved: only its arithmetic counts."""
    if device["type"] == "cpu":
        return flops / (CPU_FLOPS * device["cores"])
    cards, factor = cards_named(device["name"]), 1.0
    if not cards:
        cards, factor = list(CARDS.values()), UNKNOWN_CARD
    # Where matrix units take float32, they do as if it were tfloat32.
    names = ("float32", "tfloat32") if dtype == "float32" else ("float16", "bfloat16")
    peak = max(card.peak.get(name, 0.0) for card in cards for name in names)
    return max(flops / peak, moved / max(card.bandwidth for card in cards)) / factor


def cards_named(name: str) -> list[Card]:
    """The cards that a device's own name may mean: "NVIDIA H100 80GB HBM3" is any H100."""
    words = set(re.findall(r"[A-Za-z0-9]+", name[:200].upper()))
    return [card for key, card in CARDS.items() if key.split()[0].upper() in words]


def _too_small(record: Mapping[str, Any]) -> Iterator[str]:
    """Memory beyond what was there holds at least the output and, in the plain form, the scores of all pairs."""
    for entry in record["entries"]:
        length, heads, width = entry["shape"]
        least, what = length * heads * width, "the output"
        if entry["implementation"] == "naive" and length * length * heads > least:
            least, what = length * length * heads, "the N × N scores"
        if entry["peak_bytes"] < least * BYTES[entry["dtype"]]:
            needed = least * BYTES[entry["dtype"]]
            yield f"{_name(entry)}: a peak of {entry['peak_bytes']} bytes, but {what} alone takes {needed}"


def _odd_growth(record: Mapping[str, Any]) -> Iterator[str]:
    """Time and memory grow with N about as they must."""
    series: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for entry in record["entries"]:
        series.setdefault((entry["implementation"], entry["dtype"], entry["shape"][2]), []).append(entry)
    for (name, dtype, width), entries in series.items():
        lengths = [entry["shape"][0] for entry in entries]
        if len(set(lengths)) < len(LENGTHS):
            continue
        times = [statistics.median(entry["seconds"]) for entry in entries]
        peaks = [entry["peak_bytes"] for entry in entries]
        for what, values, (least, most) in (
            ("time", times, TIME_SLOPES[record["device"]["type"]]),
            ("peak memory", peaks, MEMORY_SLOPES.get(name, OTHER_MEMORY)),
        ):
            slope = _slope(lengths, values)
            if not least <= slope <= most:
                grown = f"{what} grows as N^{slope:.2f}, expected an exponent from {least:g} to {most:g}"
                yield f"{name} in {dtype}, width {width}: {grown}"


def _slope(lengths: Sequence[float], values: Sequence[float]) -> float:
    """The slope of a line through the logarithms, by least squares."""
    return statistics.linear_regression([math.log(each) for each in lengths], [math.log(each) for each in values])[0]


# --- its samples ---


def _made_up(record: Mapping[str, Any]) -> Iterator[str]:
    """Real samples vary, without pattern, and are finer than a hand types them."""
    on_cpu = record["device"]["type"] == "cpu"
    for entry in record["entries"]:
        seconds, distinct = entry["seconds"], len(set(entry["seconds"]))
        steps = [after - before for before, after in pairwise(sorted(seconds))]
        tick = min((step for step in steps if step > 0), default=0.0)
        coarse = on_cpu and tick > CLOCK_TICK  # finer steps are those of a real clock, and equal samples then no wonder
        if max(seconds) - min(seconds) < 1e-6 * min(seconds):
            yield f"{_name(entry)}: the samples are constant"
        elif distinct < (0.6 * len(seconds) if coarse else 3):
            yield f"{_name(entry)}: {distinct} different samples of {len(seconds)}: a clock gives more"
        elif on_cpu and max(steps) - min(steps) < 1e-3 * max(steps):
            yield f"{_name(entry)}: the samples stand at equal distances"
        elif coarse and 2 * sum(_digits(each) <= 3 for each in seconds) > len(seconds):
            yield f"{_name(entry)}: the samples are rounded to three digits, as if typed"


def _digits(value: float) -> int:
    """Significant digits, nine at most."""
    return len(f"{value:.8e}".split("e")[0].replace(".", "").rstrip("0"))


def _copied(record: Mapping[str, Any]) -> Iterator[str]:
    """No two measurements share half of their samples, in whatever order."""
    if record["device"]["type"] == "cuda":  # there few values are possible
        return
    owner: dict[float, int] = {}
    for place, entry in enumerate(record["entries"]):
        shared = Counter(owner.setdefault(value, place) for value in set(entry["seconds"]))
        del shared[place]
        for other, count in shared.items():
            if 2 * count >= len(set(entry["seconds"])):
                yield f"{_name(entry)}: {count} of its samples are also those of {_name(record['entries'][other])}"


def _scaled(record: Mapping[str, Any]) -> Iterator[str]:
    """No samples are those of another measurement times a factor or plus a number, in whatever order."""
    by_number: dict[int, list[tuple[Mapping[str, Any], np.ndarray]]] = {}
    for entry in record["entries"]:
        if (pattern := _pattern(entry["seconds"])) is not None:
            by_number.setdefault(len(pattern), []).append((entry, pattern))
    for patterned in by_number.values():
        patterns = np.stack([pattern for _, pattern in patterned])
        for place, (entry, pattern) in enumerate(patterned[1:], start=1):
            alike = np.sqrt(((patterns[:place] - pattern) ** 2).mean(-1)) < SAME_PATTERN
            if alike.any():
                other = patterned[int(alike.argmax())][0]
                yield f"{_name(entry)}: its samples are those of {_name(other)}, scaled or shifted"


def _pattern(seconds: Sequence[float]) -> np.ndarray | None:
    """The samples in order of size, with mean 0 and spread 1; none where few differ.

    The largest third is left out, and what is far from the median: where a machine stalled, the stalls are far from all
    the others and would make all patterns look the same.
    """
    ordered = np.sort(np.array(seconds))
    ordered = ordered[: max(8, len(ordered) * 2 // 3)]
    ordered = ordered[ordered <= 1.5 * ordered[len(ordered) // 2]]
    if len(np.unique(ordered)) < 6:
        return None
    return (ordered - ordered.mean()) / ordered.std()


CHECKS: tuple[Callable[[Mapping[str, Any]], Iterator[str]], ...] = (
    _incomplete,
    _miscounted,
    _too_small,
    _too_fast,
    _made_up,
    _copied,
    _scaled,
    _odd_growth,
    _wrong_output,
)
