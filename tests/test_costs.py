"""Costs: the formulas against what torch counts, what plain loops count, and the largest storage really made."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from course_utils.attention import MultiHeadAttention
from course_utils.costs import Cost, convolution_cost, gru_cost, measured_cost, self_attention_cost

SIZES = [(5, 12, 3), (7, 15, 1), (31, 10, 5), (3, 33, 11), (64, 8, 4)]  # length, width, heads: both sides of T = D


def test_self_attention_costs_what_torch_counts() -> None:
    for length, width, n_heads in SIZES:
        layer, x = MultiHeadAttention(width, n_heads), torch.randn(1, length, width)
        assert measured_cost(lambda: layer(x, x, x)) == self_attention_cost(length, width, n_heads)  # noqa: B023


def test_a_gru_costs_what_torch_counts() -> None:
    for length, width, _ in SIZES:
        layer, x = nn.GRU(width, width), torch.randn(length, 1, width)
        assert measured_cost(lambda: layer(x)) == gru_cost(length, width)  # noqa: B023


@pytest.mark.parametrize("window", [1, 3, 5])
def test_a_convolution_costs_what_torch_counts(window: int) -> None:
    for length, width, _ in SIZES:
        layer, x = nn.Conv1d(width, width, window, padding="same", bias=False), torch.randn(1, width, length)
        assert measured_cost(lambda: layer(x)) == convolution_cost(length, width, window)  # noqa: B023


def product(rows: int, inner: int, columns: int) -> int:
    """FLOPs of a matrix product, by a loop over what it does: a multiplication and an addition for each triple."""
    return sum(2 for _ in range(rows) for _ in range(inner) for _ in range(columns))


@pytest.mark.parametrize(("length", "width", "n_heads"), SIZES[:4])
def test_the_formulas_agree_with_loops(length: int, width: int, n_heads: int) -> None:
    head = width // n_heads
    maps = 4 * product(length, width, width)
    mixing = sum(product(length, head, length) + product(length, length, head) for _ in range(n_heads))
    assert self_attention_cost(length, width, n_heads).flops == maps + mixing
    assert gru_cost(length, width).flops == sum(6 * product(1, width, width) for _ in range(length))
    assert convolution_cost(length, width, 5).flops == sum(5 * product(1, width, width) for _ in range(length))


def test_attention_and_gru_cross_where_the_length_is_the_width() -> None:
    for width in (5, 12, 64):
        signs = [self_attention_cost(t, width).flops - gru_cost(t, width).flops for t in (width - 1, width, width + 1)]
        assert signs[0] < 0 == signs[1] < signs[2]


def test_the_weights_are_the_largest_tensor_from_the_width_of_a_head_on() -> None:
    assert self_attention_cost(7, 12, 2).largest == 2 * 49
    assert self_attention_cost(6, 12, 2).largest == self_attention_cost(6, 12, 1).largest == 72


def test_a_view_is_not_new_and_a_result_may_be_a_list() -> None:
    x = torch.randn(3, 50)
    assert measured_cost(lambda: x.T.flatten(0)) == Cost(0, 150)  # the copy, not the view
    assert measured_cost(lambda: x.T) == Cost(0, 0)
    assert measured_cost(lambda: torch.cat([x, x]).split(2)) == Cost(0, 300)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: self_attention_cost(0, 4), "length: expected at least 1, got 0"),
        (lambda: self_attention_cost(3, 10, 4), "n_heads: expected a divisor of the width 10, got 4"),
        (lambda: gru_cost(3, -1), "width: expected at least 1, got -1"),
        (lambda: convolution_cost(3, 4, 0), "window: expected at least 1, got 0"),
    ],
)
def test_impossible_sizes_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
