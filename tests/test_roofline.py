"""What attention must compute and move: closed forms against loops that count tile by tile, and cards by hand."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from course_utils.roofline import (
    CARDS,
    Card,
    Traffic,
    attention_flops,
    kernel_traffic,
    naive_traffic,
    roofline,
    tile_traffic,
)

SIZES = [(1, 1, 3, 2), (5, 7, 3, 4), (17, 17, 16, 16), (7, 23, 5, 11), (23, 7, 5, 11), (64, 64, 8, 8)]  # Q, K, D, V
BLOCKS = [(1, 1), (4, 3), (3, 8), (16, 16), (100, 100)]


def tiles(n_queries: int, n_keys: int, blocks: tuple[int, int], causal: bool) -> list[tuple[range, range]]:
    """All tiles with a pair that is seen, found by looking at every pair."""
    rows = [range(start, min(start + blocks[0], n_queries)) for start in range(0, n_queries, blocks[0])]
    columns = [range(start, min(start + blocks[1], n_keys)) for start in range(0, n_keys, blocks[1])]
    return [
        (i, j)
        for i in rows
        for j in columns
        if not causal or any(key <= query + n_keys - n_queries for query in i for key in j)
    ]


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("element_size", [2, 4, 8])
def test_the_traffic_of_tiles_is_what_a_loop_over_them_counts(
    blocks: tuple[int, int], causal: bool, element_size: int
) -> None:
    e, s, heads = element_size, max(element_size, 4), 3
    for n_queries, n_keys, width, value_width in SIZES:
        visited = tiles(n_queries, n_keys, blocks, causal)
        loaded = e * n_queries * width + sum(e * len(j) * (width + value_width) for _, j in visited)
        stored = e * n_queries * value_width + 8 * n_queries
        sizes = (n_queries, n_keys, width, value_width, blocks)
        forward = tile_traffic(*sizes, causal=causal, element_size=e, heads=heads)
        assert forward == Traffic(heads * loaded, heads * stored)

        loaded = 2 * e * n_queries * value_width + e * n_keys * (width + value_width)
        stored = 8 * n_queries + e * n_keys * (width + value_width)
        for i, _ in visited:
            loaded += len(i) * (e * width + e * value_width + 8 + 8 + s * width)
            stored += len(i) * s * width
        backward = tile_traffic(*sizes, causal=causal, backward=True, element_size=e, heads=heads)
        assert backward == Traffic(heads * loaded, heads * stored)


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("element_size", [2, 4])
def test_the_traffic_of_kernels_is_what_loops_over_their_tiles_count(
    blocks: tuple[int, int], causal: bool, element_size: int
) -> None:
    e, heads = element_size, 3
    for n_queries, n_keys, width, value_width in SIZES:
        visited, row = tiles(n_queries, n_keys, blocks, causal), e * (width + value_width)
        by_queries = sum(row * len(j) for _, j in visited)
        by_keys = sum((row + 4 + 4) * len(i) for i, _ in visited)
        sizes = (n_queries, n_keys, width, value_width, blocks)
        forward = kernel_traffic(*sizes, causal=causal, element_size=e, heads=heads)
        stored = e * n_queries * value_width + 4 * n_queries
        assert forward == Traffic(heads * (e * n_queries * width + by_queries), heads * stored)

        of_delta = Traffic(2 * e * n_queries * value_width, 4 * n_queries)
        of_keys = Traffic(row * n_keys + by_keys, row * n_keys)
        of_queries = Traffic((row + 4 + 4) * n_queries + by_queries, e * n_queries * width)
        three = (of_delta, of_keys, of_queries)
        backward = kernel_traffic(*sizes, causal=causal, backward=True, element_size=e, heads=heads)
        assert backward == Traffic(heads * sum(k.loaded for k in three), heads * sum(k.stored for k in three))


def test_traffic_worked_by_hand() -> None:
    # Q = 4, K = 6, D = V = 2, blocks of 2 queries and 3 keys, float32: queries 8 numbers, keys and values 24 for each
    # of two blocks of queries; out go 8 numbers and 4 log-sum-exps of 8 bytes.
    assert tile_traffic(4, 6, 2, 2, (2, 3)) == Traffic(4 * (8 + 2 * 24), 4 * 8 + 8 * 4)
    # Queries 0, 1, 2 and 3 see 3, 4, 5 and 6 keys, so that both blocks of queries meet both blocks of keys; with blocks
    # of one query the first meets one.
    assert tile_traffic(4, 6, 2, 2, (2, 3), causal=True) == tile_traffic(4, 6, 2, 2, (2, 3))
    assert tile_traffic(4, 6, 2, 2, (1, 3), causal=True).loaded == 4 * (8 + (1 + 2 + 2 + 2) * 12)
    # The kernels store the log-sum-exp in 4 bytes. Backward, two bytes a number: Δ loads 2 · 8 numbers; the blocks of
    # keys load themselves, 24, and twice 16 numbers and 8 statistics; those of queries 16 and 8, and twice the 24.
    assert kernel_traffic(4, 6, 2, 2, (2, 3), element_size=4) == Traffic(4 * (8 + 2 * 24), 4 * 8 + 4 * 4)
    loaded = 2 * 16 + (2 * 24 + 2 * (2 * 16 + 4 * 8)) + (2 * 16 + 4 * 8 + 2 * 2 * 24)
    assert kernel_traffic(4, 6, 2, 2, (2, 3), backward=True) == Traffic(loaded, 4 * 4 + 2 * 24 + 2 * 8)
    # Q = K = 3, D = V = 1: 6 numbers in for the scores, 9 out; 9 in, 9 out; 9 + 3 in, 3 out. Two bytes each.
    assert naive_traffic(3, 3, 1, 1, element_size=2) == Traffic(2 * (6 + 9 + 12), 2 * (9 + 9 + 3))
    assert Traffic(5, 7).total == 12


def test_the_naive_form_moves_what_three_passes_move() -> None:
    for n_queries, n_keys, width, value_width in SIZES:
        weights = n_queries * n_keys
        loaded = [n_queries * width + n_keys * width, weights, weights + n_keys * value_width]
        stored = [weights, weights, n_queries * value_width]
        moved = naive_traffic(n_queries, n_keys, width, value_width, element_size=2, heads=5)
        assert moved == Traffic(10 * sum(loaded), 10 * sum(stored))


def test_larger_blocks_of_queries_move_less_and_those_of_keys_do_not_matter_without_a_mask() -> None:
    moved = [tile_traffic(1024, 1024, 64, 64, (rows, 32)).total for rows in (16, 32, 64, 128)]
    assert moved == sorted(moved, reverse=True)
    assert len({tile_traffic(1024, 1024, 64, 64, (32, rows)).total for rows in (16, 37, 1024)}) == 1
    # Twice the length: four times the keys loaded, which is nearly all; and with all queries in one block twice.
    assert tile_traffic(2048, 2048, 64, 64, (16, 16)).loaded / tile_traffic(1024, 1024, 64, 64, (16, 16)).loaded > 3.9
    assert tile_traffic(2048, 2048, 64, 64, (2048, 16)).total == 2 * tile_traffic(1024, 1024, 64, 64, (1024, 16)).total


def test_flops_are_counted_as_in_the_papers() -> None:
    assert attention_flops(5, 7, 3) == 2 * (2 * 5 * 7 * 3)
    assert attention_flops(5, 7, 3, heads=11) == 11 * 420
    assert attention_flops(5, 7, 3, causal=True) == 210
    assert attention_flops(5, 7, 3, backward=True) == 2.5 * 420
    assert attention_flops(5, 7, 3, heads=2, causal=True, backward=True) == 2.5 * 420


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tile_traffic(0, 1, 1, 1, (1, 1)), "tile_traffic: n_queries: expected at least 1, got 0"),
        (lambda: tile_traffic(1, 1, 1, 1, (1, 0)), "tile_traffic: blocks[1]: expected at least 1, got 0"),
        (lambda: tile_traffic(1, 1, 1, 1, (1, 1), heads=0), "tile_traffic: heads: expected at least 1, got 0"),
        (lambda: kernel_traffic(1, 1, 1, 0, (1, 1)), "kernel_traffic: value_width: expected at least 1, got 0"),
        (lambda: kernel_traffic(1, 1, 1, 1, (0, 1)), "kernel_traffic: blocks[0]: expected at least 1, got 0"),
        (lambda: kernel_traffic(1, 1, 1, 1, (1, 1), heads=-1), "kernel_traffic: heads: expected at least 1, got -1"),
        (lambda: naive_traffic(1, -1, 1, 1), "naive_traffic: n_keys: expected at least 1, got -1"),
        (lambda: attention_flops(1, 1, 0), "attention_flops: width: expected at least 1, got 0"),
        (lambda: roofline(0, 1, CARDS["T4"], "float16"), "roofline: flops: expected more than 0, got 0"),
        (lambda: roofline(1, float("nan"), CARDS["T4"], "float16"), "roofline: traffic: expected more than 0, got nan"),
        (
            lambda: roofline(1, 1, CARDS["T4"]),
            "roofline: dtype: expected one of float16, float32 for T4, got bfloat16",
        ),
    ],
)
def test_impossible_sizes_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_a_roof_has_a_slope_and_a_flat_part() -> None:
    card = Card("toy", 10.0, {"float32": 200.0}, 1, "made up")
    low, ridge, high = (roofline(flops, 100, card, "float32") for flops in (500, 2_000, 8_000))
    assert (low.intensity, low.attainable, low.seconds, low.bound) == (5, 50, 10, "memory")
    assert (ridge.intensity, ridge.attainable, ridge.seconds, ridge.bound) == (20, 200, 10, "compute")
    assert (high.intensity, high.attainable, high.seconds, high.bound) == (80, 200, 40, "compute")


def test_cards_are_complete_and_consistent() -> None:
    assert set(CARDS) >= {"V100 SXM2", "T4", "A100 SXM 80GB", "L4", "H100 SXM", "H200 SXM"}
    for name, card in CARDS.items():
        assert card.name == name
        assert "NVIDIA" in card.source
        assert 1e11 < card.bandwidth < 1e13
        assert card.fast_memory in {kb * 1024 for kb in (64, 96, 100, 164, 228)}
        assert 1e12 < card.peak["float32"] < card.peak["float16"] < 2e15
        assert card.peak.get("bfloat16", card.peak["float16"]) == card.peak["float16"]
        assert card.peak.get("tfloat32", card.peak["float16"] / 2) == pytest.approx(card.peak["float16"] / 2, rel=0.01)
    assert CARDS["H200 SXM"].bandwidth == 4.8e12
    assert CARDS["H200 SXM"].peak["bfloat16"] == pytest.approx(989e12, rel=1e-3)


def test_on_a_card_large_tiles_compute_where_the_naive_form_waits_for_memory() -> None:
    card, sizes, operations = CARDS["A100 SXM 80GB"], (8192, 8192, 64, 64), attention_flops(8192, 8192, 64)
    naive = roofline(operations, naive_traffic(*sizes, element_size=2).total, card)
    small, large = (
        roofline(operations, tile_traffic(*sizes, (rows, 128), element_size=2).total, card) for rows in (128, 256)
    )
    assert [each.bound for each in (naive, small, large)] == ["memory", "memory", "compute"]
    assert naive.seconds > 3 * small.seconds > 3 * large.seconds
