"""`course bench`: what is checked, timed and said, with calls and times that the tests make; no clock judges."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor
from torch.nn.attention import SDPBackend

import course_utils
from course_utils import bench, bench_table, measuring, rivals
from course_utils.bench_table import NAMES, table_rows, tables
from course_utils.benchmark import Timing
from course_utils.flash import naive_attention
from course_utils.rivals import LeftOutError, Shape, WrongError

COURSE = Path(sys.executable).parent / "course"
TINY = bench.Settings("cpu", ("float32",), (8,), (5, 12), 24, 24, 2, 3, 1e-9, 0)
ON_CPU = ("naive", "sdpa_math", "sdpa_flash", "tiled")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    left = torch.get_num_threads()
    torch.set_num_threads(before)
    assert left == 2, "left as it was"


# --- what is measured -------------------------------------------------------------------------------------------


def test_on_a_gpu_sizes_are_those_of_the_paper() -> None:
    """Dao (2023), section 4.1: 512 to 16k, 16k tokens in all, heads times width is 2,048."""
    found = list(bench.shapes(bench.settings("cuda")))
    assert len(found) == 2 * 2 * 2 * 6
    assert {(each.batch * each.length, each.heads * each.width) for each in found} == {(16384, 2048)}
    assert [each.length for each in found[:6]] == [512, 1024, 2048, 4096, 8192, 16384]
    assert {(each.dtype, each.width, each.heads) for each in found} == {
        (dtype, width, heads) for dtype in ("bfloat16", "float16") for width, heads in ((64, 32), (128, 16))
    }
    assert bench.settings("cuda").fewest >= 30
    inputs = found[0].batch * found[0].heads * 512 * 64 * 3 * 2
    assert inputs > 100e6, "more than any card keeps in its second cache"


def test_on_a_cpu_nothing_holds_two_gigabytes() -> None:
    found = list(bench.shapes(bench.settings("cpu")))
    assert [(each.length, each.batch, each.heads) for each in found[:5]] == [(2**n, 1, 1) for n in range(9, 14)]
    for shape in found:
        rivals._require_room(shape)
    with pytest.raises(LeftOutError, match=r"^it would hold up to 4\.3 GB of scores and weights, and 2 GB is allowed$"):
        rivals.MAKERS["naive"](replace(found[0], length=16384))
    with pytest.raises(LeftOutError, match="GB"):
        rivals.MAKERS["sdpa_math"](replace(found[0], length=16384))


def test_quick_and_lengths_narrow_the_set() -> None:
    assert bench.settings("cpu", quick=True).lengths == (128, 256)
    assert bench.settings("cpu", quick=True, lengths=(7,)).lengths == (7,)
    assert bench.settings("cuda", lengths=(99999,)).lengths == (99999,)
    assert [each.batch for each in bench.shapes(bench.settings("cuda", lengths=(99999, 5000)))][:2] == [1, 3]


# --- the implementations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", ON_CPU)
def test_each_is_right_forward_and_backward(name: str, causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape("cpu", "float32", 8, causal, 13, 2, 3)
    inputs = rivals.inputs(shape, 0)
    leaves = [each.double().requires_grad_() for each in inputs[:3]]
    output = naive_attention(*leaves, causal=causal)
    gradients = torch.autograd.grad(output, leaves, inputs[3].double())
    monkeypatch.setattr(rivals, "BLOCK", 4 * 6 * 13)  # four queries at a time, and one in the last block
    expected = rivals.by_blocks(inputs, causal, torch.float64)
    for mine, theirs in zip(expected["forward"] + expected["backward"], (output, *gradients), strict=True):
        torch.testing.assert_close(mine, theirs.detach().flatten(0, 1), rtol=0, atol=1e-14)
    for direction, prepare in bench.DIRECTIONS.items():
        call, _, results = prepare(rivals.MAKERS[name](shape), inputs)
        assert max(rivals.errors(results, expected[direction])) < 3e-6
        again = call()
        for first, second in zip(results, [again] if direction == "forward" else again, strict=True):
            assert torch.equal(first, second), "it can be called again"


def test_the_naive_form_in_bfloat16_is_less_exact_than_in_float32() -> None:
    inputs = rivals.inputs(Shape("cpu", "bfloat16", 16, False, 33, 1, 2), 1)
    expected = rivals.by_blocks(inputs, False, torch.float64)
    coarse, fine = (
        rivals.errors(rivals.by_blocks(inputs, False, dtype)["backward"], expected["backward"])
        for dtype in (torch.bfloat16, torch.float32)
    )
    assert all(10 * b < a < 0.1 for a, b in zip(coarse, fine, strict=True))


def test_the_plain_form_is_rounded_as_a_result_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum over blocks that were not would have less error than what is exact but for its rounding."""
    monkeypatch.setattr(rivals, "BLOCK", 4 * 2 * 33)
    inputs = rivals.inputs(Shape("cpu", "bfloat16", 16, True, 33, 1, 2), 0)
    plain = rivals.by_blocks(inputs, True, torch.bfloat16)
    for each in plain["forward"] + plain["backward"]:
        assert torch.equal(each, each.bfloat16().double())


@pytest.mark.parametrize(
    ("error", "plain", "dtype", "right"),
    [
        (2e-3, 1e-3, "bfloat16", True),
        (2.01e-3, 1e-3, "bfloat16", False),
        (0.0, 0.0, "float16", True),
        (1.1e-5, 1e-6, "float32", True),
        (1.3e-5, 1e-6, "float32", False),
        (math.nan, 1e-3, "bfloat16", False),
        (math.inf, 1e-3, "bfloat16", False),
    ],
)
def test_at_most_twice_the_error_of_the_plain_form(error: float, plain: float, dtype: str, right: bool) -> None:
    if right:
        rivals.require_right("forward", [error], [plain], dtype)
        return
    with pytest.raises(WrongError, match=rf"error of output {error:.2g}, of the plain form {plain:.2g}$"):
        rivals.require_right("forward", [error], [plain], dtype)
    with pytest.raises(WrongError, match="error of dK"):
        rivals.require_right("backward", [0.0, error, 0.0], [plain] * 3, dtype)


def test_one_wrong_number_is_seen_and_so_is_one_that_is_none() -> None:
    expected = [torch.zeros(6, 4, 3, dtype=torch.float64)]
    result = torch.zeros(2, 3, 4, 3)
    assert rivals.errors([result], expected) == [0.0]
    result[1, 2, 3, 1] = -0.25
    assert rivals.errors([result], expected) == [0.25]
    result[0, 0, 0, 0] = torch.nan
    assert math.isnan(rivals.errors([result], expected)[0])


def test_what_a_cpu_cannot_time_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape("cpu", "float32", 64, False, 128, 1, 1)
    for name, said in (("triton", "it needs a GPU"), ("flex", "on a CPU it has no backward")):
        with pytest.raises(LeftOutError, match=said):
            rivals.MAKERS[name](shape)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(LeftOutError, match="TRITON_INTERPRET is set"):
        rivals.MAKERS["triton"](replace(shape, device="cuda"))


def test_on_a_gpu_tritons_output_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    fake = SimpleNamespace(flash_attention=lambda *args, causal: said.append(causal) or (args, "lse"))
    monkeypatch.setattr(course_utils, "flash_triton", fake, raising=False)
    attention = rivals.MAKERS["triton"](Shape("cuda", "bfloat16", 64, True, 128, 1, 1))
    q, k, v = torch.zeros(3)
    assert attention(q, k, v) == (q, k, v)
    assert said == [True]


def test_flex_attention_is_compiled_anew_for_each_shape_with_a_mask_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._functorch import config
    from torch.nn.attention import flex_attention as flex

    said: list[Any] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: said.append("reset"))

    def compiled(function: Any, *, dynamic: bool) -> Callable[..., Any]:
        assert (function, dynamic) == (flex.flex_attention, False)
        return lambda q, k, v, block_mask: (q, k, v, block_mask, config.donated_buffer)

    def block_mask(seen: Callable[..., bool], *sizes: Any) -> str:
        assert sizes == (None, None, 128, 128, "cuda")
        assert [seen(0, 0, i, j) for i, j in ((3, 3), (3, 2), (3, 4))] == [True, True, False]
        return "mask"

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(flex, "create_block_mask", block_mask)
    for causal in (False, True):
        attention: Any = rivals.MAKERS["flex"](Shape("cuda", "bfloat16", 64, causal, 128, 1, 1))
        assert attention(1, 2, 3) == (1, 2, 3, "mask" if causal else None, False)
    assert said == ["reset"] * 2


def test_every_implementation_has_a_name_and_the_hungry_ones_come_last() -> None:
    assert set(rivals.MAKERS) == set(NAMES)
    assert list(rivals.MAKERS)[-2:] == ["naive", "sdpa_math"]
    assert bench_table.STANDARD in NAMES
    assert [rivals.MAKERS[name].args for name in ("sdpa_flash", "sdpa_math")] == [  # type: ignore[attr-defined]
        (SDPBackend.FLASH_ATTENTION,),
        (SDPBackend.MATH,),
    ]


# --- measuring --------------------------------------------------------------------------------------------------


def fake_compare(log: list[Any], seconds: dict[str, float]) -> Callable[..., dict[str, Timing]]:
    """`compare` with times that are given, a little longer for each repetition."""

    def compare(calls: Any, *, repeats: int, warmup: int, seed: int, device: str) -> dict[str, Timing]:
        log.append((list(calls), repeats, warmup, seed, device))
        for call in calls.values():
            call()
        samples = {name: tuple(seconds.get(name, 1.0) * (1 + n / 1000) for n in range(repeats)) for name in calls}
        return {name: Timing(name, samples[name], device) for name in calls}

    return compare


def test_what_is_right_is_timed_in_one_comparison_each_way(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[Any] = []
    told: list[Any] = []
    monkeypatch.setattr(bench, "compare", fake_compare(log, {"tiled": 2.0}))
    record = bench.measure(TINY, lambda *step: told.append(step))
    assert record["device"]["threads"] == 1
    assert told == [(f"float32, width 8, N = {n}", i, 4) for i, n in enumerate((5, 12, 5, 12))]
    rights = [name for name in rivals.MAKERS if name in ON_CPU]
    assert log == [(rights, 2, 0, 0, "cpu")] * 8, "four shapes, forward and backward"
    entries = record["entries"]
    assert len(entries) == 8 * 4
    assert [entry["median"] for entry in entries if entry["implementation"] == "tiled"] == [2.001] * 8
    assert {(entry["length"], entry["batch"], entry["heads"], entry["width"]) for entry in entries} == {
        (5, 4, 3, 8),
        (12, 2, 3, 8),
    }
    first, second = (
        next(e for e in entries if (e["direction"], e["length"], e["causal"]) == key)
        for key in (("forward", 12, False), ("backward", 12, True))
    )
    assert (first["flops"], second["flops"]) == (4 * 6 * 144 * 8, 5 * 6 * 144 * 8)
    assert [len(each["error"]) for each in (first, second)] == [1, 3]
    assert all(0 < error < 1e-5 for entry in entries for error in entry["error"] + entry["error_of_plain"])


def test_more_samples_are_taken_where_there_is_time_and_never_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[Any] = []
    monkeypatch.setattr(bench, "compare", fake_compare(log, {"a": 0.1, "b": 0.4}))
    calls = {"a": lambda: None, "b": lambda: None}
    for seconds, expected in ((0.9, [2]), (1.0, [2]), (3.0, [2, 3]), (99.0, [2, 28])):
        log.clear()
        chosen = replace(TINY, seconds=seconds, most=30, warmup=3, seed=7)
        timings = bench._timed(calls, {}, {}, chosen)
        assert [(repeats, warmup, seed) for _, repeats, warmup, seed, _ in log] == [
            (repeats, 0 if place else 3, 7) for place, repeats in enumerate(expected)
        ]
        assert {len(each.seconds) for each in timings.values()} == {sum(expected)}


def wrong_backward(shape: Shape) -> rivals.Attention:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, output: Tensor) -> Tensor:
            return output.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
            return 1.01 * gradient

    return lambda q, k, v: Wrong.apply(naive_attention(q, k, v, causal=shape.causal))


def test_a_wrong_implementation_is_named_and_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[Any] = []
    monkeypatch.setattr(bench, "compare", fake_compare(log, {}))
    top_left = lambda shape: lambda q, k, v: naive_attention(q, k, v, causal=False)  # noqa: E731 - whatever the shape
    monkeypatch.setitem(rivals.MAKERS, "tiled", top_left)
    monkeypatch.setitem(rivals.MAKERS, "sdpa_efficient", wrong_backward)
    record = bench.measure(TINY)
    assert [("tiled" in calls, "sdpa_efficient" in calls) for calls, *_ in log] == [
        *[(True, True), (True, False)] * 2,  # full: forward, backward
        *[(False, True), (False, False)] * 2,  # causal
    ]
    missed = [each for each in record["not_run"] if each["wrong"]]
    assert {(each["implementation"], each["direction"], each["causal"]) for each in missed} == {
        ("tiled", "forward", True),
        ("tiled", "backward", True),
        ("sdpa_efficient", "backward", False),
        ("sdpa_efficient", "backward", True),
    }
    for each in missed:
        which = "output" if each["implementation"] == "tiled" else "dQ"
        assert re.match(
            rf"wrong, and so not timed: error of {which} [\d.e-]+, of the plain form [\d.e-]+$", each["reason"]
        )
    assert bench_table.wrong(record) == ["tiled", "torch efficient"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 32.00 GiB. GPU 0 has"), "CUDA out of memory"),
        (RuntimeError("No available kernel. Aborting execution."), "No available kernel"),
        (ModuleNotFoundError("No module named 'triton'"), "No module named 'triton'"),
        (ValueError(""), "ValueError"),
        (OSError("cannot open /home/me/.cache/x1/a.so: no space\nmore"), "cannot open …: no space"),
        (RuntimeError("float16/bfloat16 only"), "float16/bfloat16 only"),
    ],
)
@pytest.mark.parametrize("where", ["made", "called"])
def test_what_cannot_run_is_a_reason_without_a_path(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str, where: str
) -> None:
    def refuse(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(bench, "compare", fake_compare([], {}))
    monkeypatch.setitem(rivals.MAKERS, "naive", refuse if where == "made" else lambda shape: refuse)
    record = bench.measure(replace(TINY, lengths=(5, 7)))
    missed = [each for each in record["not_run"] if each["implementation"] == "naive"]
    assert [(each["reason"], each["lengths"], each["wrong"]) for each in missed] == [(reason, [5, 7], False)] * 4
    assert {row["implementation"] for row in table_rows(record)} == set(ON_CPU) - {"naive"}


def test_if_all_together_do_not_fit_the_hungriest_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[Any] = []
    real = fake_compare(log, {})

    def compare(calls: Any, **how: Any) -> dict[str, Timing]:
        if len(calls) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried")
        return real(calls, **how)

    monkeypatch.setattr(bench, "compare", compare)
    refused: dict[str, Any] = {}
    facts = {name: {"peak_bytes": size} for name, size in (("a", 5), ("b", 9), ("c", 7))}
    assert list(bench._timed(dict.fromkeys("abc", lambda: None), facts, refused, TINY)) == ["a"]
    assert list(refused) == ["b", "c"]
    assert refused["b"] == {"reason": "beside the others: CUDA out of memory", "wrong": False}
    monkeypatch.setattr(bench, "compare", partial(compare, x=1))
    assert bench._timed({}, {}, refused, TINY) == {}


def test_memory_is_that_of_the_call_and_of_a_backward_with_its_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "compare", fake_compare([], {}))
    entries = bench.measure(replace(TINY, lengths=(64,)))["entries"]
    peak = {(e["implementation"], e["direction"], e["causal"]): e["peak_bytes"] for e in entries}
    matrix, row = 3 * 64 * 64 * 4, 3 * 64 * 8 * 4  # one batch entry, three heads
    assert peak["naive", "forward", False] - (2 * matrix + row) in range(64), "scores, weights, scaled queries"
    assert 3 * matrix < peak["naive", "backward", False] < 4 * matrix
    assert peak["sdpa_flash", "forward", False] < peak["sdpa_flash", "backward", False]


class Card:
    """What is used of torch.cuda and of nvidia-smi, by a card that is not there."""

    uuid = "1234"
    clocks = "1980 MHz, 3201 MHz, 700.00 W"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[list[str]] = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: self)
        monkeypatch.setattr(bench, "said_by", self.says)
        monkeypatch.setattr(measuring, "said_by", lambda command: "570.1")
        real = rivals.inputs
        monkeypatch.setattr(rivals, "inputs", lambda shape, seed: real(replace(shape, device="cpu"), seed))
        monkeypatch.setattr(bench, "peak_memory", lambda call, device: call() is None or 512)

    def says(self, command: list[str]) -> str:
        self.asked.append(command)
        return self.clocks


def exact(shape: Shape) -> rivals.Attention:
    """Any implementation, as exact as its dtype allows."""
    return lambda q, k, v: naive_attention(q.double(), k.double(), v.double(), causal=shape.causal).to(q.dtype)


def test_on_a_gpu_that_is_none_all_eight_are_timed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    card, log = Card(monkeypatch), []
    monkeypatch.setattr(bench, "compare", fake_compare(log, {"triton": 0.5, "naive": 1e-9}))
    for name in rivals.MAKERS:
        monkeypatch.setitem(rivals.MAKERS, name, exact)
    chosen = replace(bench.settings("cuda", lengths=(6,)), tokens=12, model_width=128, dtypes=("bfloat16",))
    threads: list[int] = []
    record = bench.measure(chosen, lambda *_: threads.append(torch.get_num_threads()))
    assert threads == [2, 2, 2, 2], "one thread is a matter of a CPU"
    assert [(len(calls), *rest) for calls, *rest in log] == [(8, 30, 3, 0, "cuda")] * 8
    assert record["device"] | {"cores": 0, "threads": 0} == {
        "type": "cuda",
        "name": "NVIDIA H200",
        "driver": "570.1",
        "cores": 0,
        "threads": 0,
    }
    assert record["clocks"] == {"clocks.sm": "1980 MHz", "clocks.mem": "3201 MHz", "power.limit": "700.00 W"}
    assert card.asked[0][:2] == ["nvidia-smi", "--id=GPU-1234"]
    assert "1234" not in json.dumps(record)
    rows = table_rows(record)
    assert all(row["impossible"] == (row["implementation"] == "naive") for row in rows)
    assert all(row["faster"] == (row["implementation"] in ("triton", "naive")) for row in rows)
    card.clocks = ""
    assert bench.measure(chosen)["clocks"] == {}


def test_a_gpu_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.device_at_hand() == "cpu"
    with pytest.raises(measuring.MeasureError, match=r"^torch sees no GPU here: measure with --device cpu$"):
        bench.measure(bench.settings("cuda"))


# --- rows and tables --------------------------------------------------------------------------------------------


def entry(name: str, *seconds: float, **other: Any) -> dict[str, Any]:
    timing = Timing(name, seconds, "cuda")
    return {
        "implementation": name,
        "direction": "forward",
        "dtype": "bfloat16",
        "width": 64,
        "causal": False,
        "length": 4096,
        "batch": 4,
        "heads": 32,
        "seconds": list(seconds),
        "median": timing.median,
        "quartiles": list(timing.quartiles),
        "error": [1e-3],
        "error_of_plain": [2e-3],
        "peak_bytes": 3 * 2**20,
        "flops": 4 * 4096**2 * 64 * 128,
        **other,
    }


def a_record(*entries: dict[str, Any], name: str = "NVIDIA H200", missed: list[Any] | None = None) -> dict[str, Any]:
    return {
        "date": "2026-11-22",
        "device": {"type": "cuda", "name": name, "driver": "570.1", "cores": 8, "threads": 4},
        "clocks": {"clocks.sm": "1980 MHz"},
        "versions": {"python": "3.11.7", "torch": "2.13.0", "triton": "", "numpy": "2.4.6", "cuda": "12.8"},
        "settings": {"dtypes": ["bfloat16"], "widths": [64], "lengths": [512, 4096]},
        "wall_seconds": 61.4,
        "entries": list(entries),
        "not_run": missed or [],
    }


def test_ratios_are_shares_of_the_speed_in_the_same_group() -> None:
    rows = table_rows(
        a_record(
            entry("triton", 0.004, 0.004, 0.004),
            entry("naive", 0.020, 0.010, 0.030),
            entry("sdpa_flash", 0.005, 0.005, 0.005),
            entry("tiled", 0.5, causal=True),
        )
    )
    assert [row["implementation"] for row in rows] == ["naive", "sdpa_flash", "triton", "tiled"]
    assert [row["of_best"] for row in rows] == pytest.approx([0.2, 0.8, 1.0, 1.0])
    assert [row["of_flash"] for row in rows[:3]] == pytest.approx([0.25, 1.0, 1.25])
    assert rows[3]["of_flash"] is None
    naive = rows[0]
    assert (naive["milliseconds"], naive["samples"], naive["peak_bytes"]) == (20.0, 3, 3 * 2**20)
    assert naive["tflops"] == pytest.approx(4 * 4096**2 * 64 * 128 / 0.020 / 1e12)
    assert naive["spread"] == pytest.approx(0.5)
    assert [row["busy"] for row in rows] == [True, False, False, False]


def test_faster_needs_the_margin_and_enough_samples() -> None:
    flash = [0.010 + 0.00001 * n for n in range(30)]

    def faster(*seconds: float) -> bool:
        rows = table_rows(a_record(entry("triton", *seconds), entry("sdpa_flash", *flash)))
        return bool(rows[1]["faster"])

    assert faster(*(0.9 * each for each in flash))
    assert not faster(*(0.97 * each for each in flash)), "within the margin"
    assert not faster(*(1.1 * each for each in flash))
    assert not faster(0.009, 0.009), "two samples are no evidence"
    assert not faster(*flash)


@pytest.mark.parametrize(
    ("name", "direction", "times_the_roof", "impossible"),
    [
        ("NVIDIA H200", "forward", 1.001, False),
        ("NVIDIA H200", "forward", 0.999, True),
        ("NVIDIA H200", "backward", 0.801, False),  # four products of the five that are counted
        ("NVIDIA H200", "backward", 0.799, True),
        ("A card of next year", "forward", 0.001, False),
    ],
)
def test_a_time_below_the_roof_is_impossible(
    name: str, direction: str, times_the_roof: float, impossible: bool
) -> None:
    flops = 4 * 4096**2 * 64 * 128 * (2.5 if direction == "backward" else 1)
    seconds = times_the_roof * flops / 989.5e12
    record = a_record(entry("sdpa_flash", seconds, direction=direction, flops=flops), name=name)
    assert table_rows(record)[0]["impossible"] is impossible


def test_short_sequences_have_the_memorys_roof() -> None:
    """One key: 2 numbers in and out for each FLOP and a half; 4 · e · N · D bytes at 4.8 TB/s."""
    sizes = {"length": 1, "batch": 2**20, "heads": 32, "flops": 4 * 64 * 2**25}
    roof = 4 * 2 * 64 * 2**25 / 4.8e12
    rows = [table_rows(a_record(entry("naive", share * roof, **sizes)))[0] for share in (0.99, 1.01)]
    assert [row["impossible"] for row in rows] == [True, False]


MISSED = {"dtype": "bfloat16", "width": 64, "wrong": False}


def printed(record: dict[str, Any], width: int = 100) -> str:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        bench_table.show(record, console)
    return capture.get()


def test_the_tables_read_well_in_100_columns() -> None:
    missed = [
        *({**MISSED, "implementation": "flex", "direction": direction, "causal": causal, "lengths": [512, 4096],
           "reason": "it is not there"} for direction in ("forward", "backward") for causal in (False, True)),
        {**MISSED, "implementation": "naive", "direction": "forward", "causal": True, "lengths": [4096],
         "reason": "CUDA out of memory"},
        {**MISSED, "implementation": "tiled", "direction": "forward", "causal": True, "lengths": [512],
         "reason": "wrong, [bold]and so not timed", "wrong": True},
    ]  # fmt: skip
    text = printed(
        a_record(
            entry("sdpa_efficient", 12.3, 12.3, 25.0, peak_bytes=34_000 * 2**20),
            entry("sdpa_flash", 13.9, 14.0, 14.1),
            entry("triton", 1e-9, length=512),
            entry("sdpa_flash", 0.0005, direction="backward"),
            missed=missed,
        )
    )
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= 100
    assert lines[0] == "forward, bfloat16, width 64, full"
    found = [" ".join(line.split()) for line in lines]
    assert "4096 torch flash 14000.000 1% 0.0393 3.0 88% 100%" in found
    assert "torch efficient 12300.000 52% 0.0447 34,000.0 100% 114% busy" in found
    assert "512 Triton 0.000 0% 5.5e+08 3.0 100% impossible" in found
    assert "backward, bfloat16, width 64, full" in found
    assert "FlexAttention everywhere it is not there" in found
    assert "naive forward, bfloat16, width 64, causal, N = 4096 CUDA out of memory" in found
    assert "tiled forward, bfloat16, width 64, causal, N = 512 wrong, [bold]and so not timed" in found
    assert "busy: 1 of 4 have a spread above 15 %: measure again on an idle machine." in found
    assert found[-2:] == [
        "NVIDIA H200; driver 570.1, CUDA 12.8; clocks.sm 1980 MHz; torch 2.13.0, python 3.11.7; 61 s,",
        "2026-11-22",
    ]


def test_an_honest_and_quiet_run_has_no_warning() -> None:
    text = printed(a_record(entry("sdpa_flash", 0.5, 0.5)))
    assert "busy:" not in text
    assert "impossible" not in text


def test_a_record_without_entries_still_says_what_was_not_run() -> None:
    missed = [
        {**MISSED, "implementation": "naive", "direction": "forward", "causal": True, "lengths": [5], "reason": "x"}
    ]
    assert len(list(tables(a_record(missed=missed)))) == 1
    assert list(tables(a_record())) == []


# --- the command ------------------------------------------------------------------------------------------------


def course(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "100"}
    return subprocess.run([COURSE, "bench", *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


ENTRY = {
    **dict.fromkeys(("implementation", "direction", "dtype"), str),
    **dict.fromkeys(("width", "length", "batch", "heads", "peak_bytes", "flops"), int),
    **dict.fromkeys(("seconds", "quartiles", "error", "error_of_plain"), list),
    "causal": bool,
    "median": float,
}


def test_the_command_measures_and_writes_a_record(tmp_path: Path) -> None:
    done = course("--quick", "--device", "cpu", "--lengths", "33,17,33", "--output", "made.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "forward, float32, width 64, causal" in done.stdout
    assert "Triton            everywhere   it needs a GPU" in done.stdout
    assert done.stdout.endswith("made.json: the record\n")
    text = (tmp_path / "made.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert set(record) == {
        *("format", "course", "date", "device", "cpu", "clocks", "versions", "settings", "wall_seconds"),
        *("entries", "not_run"),
    }
    assert record["device"]["threads"] == 1
    assert record["settings"]["lengths"] == [17, 33]
    assert len(record["entries"]) == 2 * 2 * 2 * 4
    for each in record["entries"]:
        assert {name: type(value) for name, value in each.items()} == ENTRY
        assert len(each["seconds"]) in range(5, 31)
        assert min(each["seconds"]) <= each["quartiles"][0] <= each["median"] <= max(each["seconds"])
    assert {(each["implementation"], tuple(each["lengths"])) for each in record["not_run"]} == {
        (name, (17, 33)) for name in ("sdpa_efficient", "sdpa_cudnn", "triton", "flex")
    }
    assert len(table_rows(record)) == 32
    assert os.uname().nodename not in text.replace(record["cpu"], "")
    assert not re.search(r"/\w+/\w+", text)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--device", "tpu"), 2, "no device 'tpu': there are cpu and cuda"),
        (("--lengths", "512,many"), 2, "--lengths: expected whole numbers from 1, with commas between, got '512,many'"),
        (("--lengths", "0"), 2, "--lengths: expected whole numbers from 1, with commas between, got '0'"),
        (("--quick", "--output", "none/x.json"), 2, "none/x.json: there is no such folder, or it cannot be written to"),
        (("--quick", "--output", "."), 2, ".: there is no such folder, or it cannot be written to"),
    ],
)
def test_misuse_is_one_line(tmp_path: Path, words: tuple[str, ...], status: int, said: str) -> None:
    done = course(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", f"course: {said}\n")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line(tmp_path: Path) -> None:
    done = course("--device", "cuda", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "course: torch sees no GPU here: measure with --device cpu\n"


def test_wrong_results_are_a_failure_that_still_shows_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from course_utils import cli
    from course_utils.cli import timing

    monkeypatch.setattr(bench, "compare", fake_compare([], {}))
    monkeypatch.setitem(rivals.MAKERS, "tiled", lambda shape: lambda q, k, v: v)
    path = tmp_path / "made.json"
    with pytest.raises(cli.FailureError, match=r"^wrong results, and so not timed: tiled; the last table says where$"):
        timing.bench("cpu", quick=True, lengths="9", output=path)
    assert "error of output" in capsys.readouterr().out
    assert {each["implementation"] for each in json.loads(path.read_text())["not_run"] if each["wrong"]} == {"tiled"}
