"""Measuring: times by a clock that the tests turn, memory against bytes worked out by hand, ranks against SciPy."""

from __future__ import annotations

import gc
import math
import os
import sys
from collections.abc import Callable, Iterator
from itertools import combinations

import pytest
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from course_utils import benchmark
from course_utils.benchmark import (
    LargestStorage,
    Timing,
    compare,
    flops,
    largest_tensor,
    peak_memory,
    rank_test,
    saved_bytes,
    time_call,
)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# --- Time ---------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that stands still but while something is called that says how long it takes; also torch.cuda."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.calls: list[str] = []
        monkeypatch.setattr(benchmark.time, "perf_counter", lambda: self.now)

    def taking(self, name: str, *seconds: float) -> Callable[[], None]:
        """A call that takes the given seconds in turn, the last of them from then on."""
        left = list(seconds)

        def call() -> None:
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call


def test_samples_are_kept_in_order_and_warming_up_is_not_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    timing = time_call(clock.taking("a", 90, 80, 1, 2, 4), name="a", repeats=4, warmup=2)
    assert timing == Timing("a", (1.0, 2.0, 4.0, 4.0), "cpu")
    assert len(clock.calls) == 6


def test_each_round_calls_each_once_in_an_order_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    calls = {name: clock.taking(name, n) for n, name in enumerate("abc", start=1)}
    timings = compare(calls, repeats=40, warmup=2, seed=5)
    assert list(timings) == ["a", "b", "c"]
    assert [timing.seconds for timing in timings.values()] == [(1.0,) * 40, (2.0,) * 40, (3.0,) * 40]
    assert sorted(clock.calls[:6]) == list("aabbcc")
    rounds = [tuple(clock.calls[at : at + 3]) for at in range(6, len(clock.calls), 3)]
    assert len(rounds) == 40
    assert all(sorted(each) == list("abc") for each in rounds)
    assert len(set(rounds)) == 6, "all orders occur"
    assert {each[0] for each in rounds} == set("abc"), "each is first at times"


def test_the_order_depends_on_the_seed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def order(seed: int) -> list[str]:
        clock = Clock(monkeypatch)
        compare({name: clock.taking(name, 1) for name in "abc"}, repeats=20, seed=seed)
        return clock.calls

    assert order(0) == order(0) != order(1)


def test_a_machine_that_slows_down_slows_all_calls_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    def slower_and_slower() -> None:
        clock.now += (clock.now - 99) / 100

    timings = compare({"a": slower_and_slower, "b": slower_and_slower}, repeats=60)
    assert timings["a"].median == pytest.approx(timings["b"].median, rel=0.1)
    assert timings["a"].seconds[-1] > 2 * timings["a"].seconds[0], "it did slow down"


def test_median_quartiles_and_spread() -> None:
    timing = Timing("", (5.0, 1.0, 2.0, 3.0, 4.0), "cpu")
    assert (timing.median, timing.quartiles, timing.spread) == (3.0, (2.0, 4.0), 2 / 3)
    assert Timing("", (1.0, 2.0, 3.0, 1000.0), "cpu").median == 2.5
    once = Timing("", (0.5,), "cpu")
    assert (once.median, once.quartiles, once.spread) == (0.5, (0.5, 0.5), 0.0)


class Events:
    """What `compare` and `peak_memory` use of torch.cuda: a queue on which work is done only when it is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.milliseconds = 0.0
        self.allocated = self.most = 700
        owner = self

        class Event:
            def __init__(self, *, enable_timing: bool) -> None:
                assert enable_timing
                self.at: float | None = None

            def elapsed_time(self, end: Event) -> float:
                assert owner.log[-1] == "synchronize", "read before the queue was done"
                return end.at - self.at

        class Stream:
            def record_event(self, event: Event) -> Event:
                event.at = owner.milliseconds
                return event

        def reset(device: torch.device) -> None:
            owner.most = owner.allocated

        for name, value in {
            "Event": Event,
            "is_available": lambda: True,
            "current_stream": lambda device: Stream(),
            "synchronize": lambda device: owner.log.append("synchronize"),
            "reset_peak_memory_stats": reset,
            "memory_allocated": lambda device: owner.allocated,
            "max_memory_allocated": lambda device: owner.most,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def kernel(self, milliseconds: float, *blocks: int) -> Callable[[], None]:
        def call() -> None:
            self.log.append("call")
            self.milliseconds += milliseconds
            for block in blocks:
                self.allocated += block
                self.most = max(self.most, self.allocated)

        return call


def test_on_a_gpu_events_are_read_after_one_wait_outside_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events(monkeypatch)
    timings = compare({"a": events.kernel(2), "b": events.kernel(5)}, repeats=3, warmup=1, device="cuda")
    assert timings == {"a": Timing("a", (0.002,) * 3, "cuda"), "b": Timing("b", (0.005,) * 3, "cuda")}
    assert events.log == ["call"] * 2 + ["synchronize"] + ["call"] * 6 + ["synchronize"]


def test_on_a_gpu_the_peak_is_the_allocators_above_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events(monkeypatch)
    events.most = 10**9  # of something before
    assert peak_memory(events.kernel(1, 512, 1024, -1536, 600), device="cuda:0") == 1536
    assert peak_memory(events.kernel(1, -600), device="cuda:0") == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: time_call(int, repeats=0), "compare: repeats: expected at least 1, got 0"),
        (lambda: compare({"a": int}, warmup=-1), "compare: warmup: expected at least 0, got -1"),
        (lambda: compare({"a": int}, device="meta"), "compare: device: expected cpu or cuda, got meta"),
        (lambda: peak_memory(int, device="mps"), "peak_memory: device: expected cpu or cuda, got mps"),
        (lambda: rank_test([], [1.0]), "rank_test: first: expected a list of finite numbers, at least one"),
        (lambda: rank_test([1.0], [math.nan]), "rank_test: second: expected a list of finite numbers, at least one"),
        (lambda: rank_test([1.0], [2.0], margin=-0.1), "rank_test: margin: expected at least 0, got -0.1"),
    ],
)
def test_what_cannot_be_measured_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for call in (lambda: time_call(int, device="cuda"), lambda: peak_memory(int, device="cuda")):
        with pytest.raises(ValueError, match=r"one that is there, got cuda, and torch sees no GPU$"):
            call()


# --- Ranks --------------------------------------------------------------------------------------------------------


def samples(seed: int, n: int, *, at: float = 1.0, digits: int = 12) -> list[float]:
    noise = torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return [round(value, digits) for value in (at + 0.1 * noise).exp().tolist()]


@pytest.mark.parametrize(("n", "m"), [(30, 30), (8, 13), (31, 12), (2, 3), (1, 1)])
@pytest.mark.parametrize("shift", [-0.2, -0.02, 0.0, 0.05])
@pytest.mark.parametrize("digits", [12, 1])  # with one digit there are many ties
def test_the_rank_test_equals_scipys(n: int, m: int, shift: float, digits: int) -> None:
    a, b = samples(1, n, at=1 + shift, digits=digits), samples(2, m, digits=digits)
    expected = mannwhitneyu(a, b, alternative="less", method="asymptotic").pvalue
    assert rank_test(a, b) == pytest.approx(1.0 if len({*a, *b}) == 1 else expected, rel=1e-9)


def test_the_approximation_is_close_to_all_orders_counted_one_by_one() -> None:
    """Of 8 and 8 samples: every way in which the first can be placed among the 16 is as likely as any other."""
    wins = [sum(15 - place for place in places) - 28 for places in combinations(range(16), 8)]
    for places in ((0, 1, 2, 3, 4, 5, 6, 8), (0, 1, 2, 4, 6, 8, 10, 12), (1, 3, 5, 7, 8, 10, 12, 14)):
        mine = sum(15 - place for place in places) - 28
        exact = sum(each >= mine for each in wins) / len(wins)
        first = [float(place) for place in places]
        second = [float(place) for place in set(range(16)) - set(places)]
        assert rank_test(first, second) == pytest.approx(exact, abs=0.01)


def test_the_margin_must_be_beaten() -> None:
    fast, slow = samples(3, 30), [1.2 * value for value in samples(3, 30)]
    assert rank_test(fast, slow) < 1e-4
    assert rank_test(fast, slow, margin=0.1) < 0.01
    assert rank_test(fast, slow, margin=0.2) == pytest.approx(0.5, abs=0.01), "exactly as much faster as the margin"
    assert rank_test(fast, slow, margin=0.4) > 0.99
    assert rank_test(slow, fast) > 0.9999


def test_one_very_slow_run_does_not_decide() -> None:
    fast, slow = samples(4, 30), [1.2 * value for value in samples(5, 30)]
    assert rank_test([*fast[:-1], 1e6], slow) < 1e-4


def test_equal_samples_are_no_evidence() -> None:
    assert rank_test([1.0, 1.0], [1.0]) == 1.0


# --- Memory -------------------------------------------------------------------------------------------------------

X = torch.randn(100, 50, generator=torch.Generator().manual_seed(0))
SIZE = X.untyped_storage().nbytes()  # 20,000 bytes


def chain() -> Tensor:
    first = X.exp()
    second = first.sin()
    del first
    return second.cos()


def backward() -> None:
    x = X.clone().requires_grad_()
    x.exp().sum().backward()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: None, 0),
        (lambda: X[:, :30].reshape(-1).view(60, 50), 100 * 30 * 4),  # a copy, and a view of it
        (lambda: X[3:], 0),
        (lambda: X.exp(), SIZE),
        (lambda: X.exp().sin(), 2 * SIZE),
        (lambda: X.exp().sin().cos(), 2 * SIZE),  # the first is freed before the third comes
        (chain, 2 * SIZE),
        (lambda: [X.exp(), X.sin(), X.cos()], 3 * SIZE),
        (lambda: X + 1, SIZE + 12),  # the 1 as int64, then as float32
        (lambda: X @ X.T, 100 * 100 * 4),
        (lambda: X.double(), 2 * SIZE),
        (lambda: torch.empty(7).resize_(11), (7 + 11) * 4),
        # A copy, its exponential, the sum of that, the gradient of the sum, the gradient of the copy.
        (backward, 3 * SIZE + 4 + 4),
    ],
)
def test_the_peak_is_what_one_counts_by_hand(call: Callable[[], object], expected: int) -> None:
    assert [peak_memory(call) for _ in range(3)] == [expected] * 3


def blocks_of_torchs_kernel(n: int) -> tuple[int, int]:
    """Rows of queries and of keys in a tile of torch's attention on a CPU, by the number of queries."""
    return (256, 512) if n >= 768 else (64, 512) if n >= 192 else (32, 512)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(("n", "n_keys", "heads", "width"), [(128, 128, 8, 64), (300, 517, 3, 32), (1024, 1024, 2, 64)])
def test_inside_of_torchs_attention_every_thread_has_its_tile(
    n: int, n_keys: int, heads: int, width: int, n_threads: int
) -> None:
    torch.set_num_threads(n_threads)
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(1, heads, t, width, generator=generator) for t in (n, n_keys, n_keys))

    def call() -> Tensor:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return scaled_dot_product_attention(query, key, value)

    rows, columns = (min(pair) for pair in zip(blocks_of_torchs_kernel(n), (n, n_keys), strict=True))
    output_and_logsumexp = heads * n * (width + 1)
    tiles = n_threads * (rows * columns + 2 * rows + rows * width)
    assert [peak_memory(call), peak_memory(call)] == [4 * (output_and_logsumexp + tiles)] * 2
    assert largest_tensor(call) == 4 * heads * n * width, "inside of a kernel a dispatch mode sees nothing"


def test_nothing_is_written_and_what_the_call_writes_comes_through(capfd: pytest.CaptureFixture[str]) -> None:
    def call() -> None:
        print("to the standard output")
        print("to the standard error", file=sys.stderr)
        os.write(2, b"and past Python\n")

    peak_memory(call)
    box = [torch.empty(1000) for _ in range(3)]
    peak_memory(box.clear)  # frees what was there before: a warning of torch's allocator
    out, err = capfd.readouterr()
    assert out == "to the standard output\n"
    assert err == "to the standard error\nand past Python\n"


def test_what_was_there_before_does_not_count_when_it_goes() -> None:
    old = [torch.empty(5000)]
    kept: list[Tensor] = []
    assert peak_memory(lambda: kept.append(torch.empty(3000))) == 12_000
    assert peak_memory(lambda: (old.clear(), X.exp())) == SIZE
    assert peak_memory(lambda: (kept.clear(), X.exp())) == SIZE, "it came in a call that was measured"


def test_cycles_are_not_freed_on_the_way() -> None:
    def call() -> None:
        for _ in range(500):
            cycle = [torch.empty(1000)]
            cycle.append(cycle)

    assert gc.isenabled()
    assert peak_memory(call) == 500 * 4000
    assert gc.isenabled()
    gc.collect()


def test_an_error_leaves_everything_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    def call() -> None:
        os.write(2, b"before\n")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        peak_memory(call)
    assert gc.isenabled()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"
    assert peak_memory(lambda: X.exp()) == SIZE


def test_the_largest_tensor_is_the_largest_that_is_new() -> None:
    assert largest_tensor(lambda: X.T) == 0
    assert largest_tensor(lambda: X.exp().sum()) == SIZE
    assert largest_tensor(lambda: X.add_(0.0)) == 0
    assert largest_tensor(lambda: torch.cat([X, X]).split(2)) == 2 * SIZE
    assert largest_tensor(lambda: (X @ X.T).sum()) == 40_000
    assert largest_tensor(lambda: X.double()) == 2 * SIZE
    assert largest_tensor(backward) == SIZE, "of the backward too"


def test_numbers_and_bytes_are_watched_apart() -> None:
    with LargestStorage() as largest:
        torch.zeros(7, dtype=torch.float64)
        torch.zeros(13, dtype=torch.int8)
    assert (largest.bytes, largest.numbers) == (56, 13)


def test_what_the_backward_keeps_is_counted_once() -> None:
    x, w = torch.randn(3, 5).requires_grad_(), torch.randn(5, 7).requires_grad_()
    assert saved_bytes(lambda: x.exp()) == 60
    assert saved_bytes(lambda: x @ w) == 60 + 140, "inputs count too"
    assert saved_bytes(lambda: (x @ w, x @ w)) == 60 + 140
    assert saved_bytes(lambda: x.exp().sin().sum()) == 60, "the same storage, kept as a result and as an input"
    assert saved_bytes(lambda: x.exp().sin().exp()) == 120
    assert saved_bytes(lambda: x.sum()) == 0
    assert saved_bytes(lambda: x[:, :1] * x[:, :1]) == 60, "a view keeps the whole"
    assert saved_bytes(lambda: x.detach().exp()) == 0
    many = saved_bytes(lambda: [(x * float(n)).exp() for n in range(1, 9)])
    assert many == 8 * 60, "no address is used twice while it is counted"


def test_counting_what_is_kept_changes_no_gradient() -> None:
    x = torch.randn(3, 5, dtype=torch.float64).requires_grad_()
    results: list[Tensor] = []
    saved_bytes(lambda: results.append(x.exp().sin().sum()))
    results[0].backward()
    torch.testing.assert_close(x.grad, x.exp() * x.exp().cos())


# --- Operations ---------------------------------------------------------------------------------------------------


def test_flops_are_those_of_matrix_products_forward_and_backward() -> None:
    x, w = torch.randn(3, 5).requires_grad_(), torch.randn(5, 7).requires_grad_()
    assert flops(lambda: x @ w) == 2 * 3 * 5 * 7
    assert flops(lambda: (x @ w).exp().sum()) == 210
    assert flops(lambda: (x @ w).sum().backward()) == 3 * 210, "one product forward, two backward"
    assert flops(lambda: x.exp()) == 0


def test_of_torchs_own_attention_on_a_cpu_nothing_is_counted() -> None:
    x = torch.randn(1, 2, 64, 16)
    assert flops(lambda: scaled_dot_product_attention(x, x, x)) == 0
