"""What a layer costs, counted: operations, and the largest tensor that it makes, against the length of a sequence.

Letters: ``T`` length of the sequence, ``E`` width of the model, ``H`` heads, ``D`` = E / H width of a head. One
sequence at a time: a batch multiplies everything. A FLOP is one addition or multiplication; a product of an
``[m, n]`` and an ``[n, p]`` matrix has 2·m·n·p of them. Matrix products and convolutions are counted and nothing else,
as torch's ``FlopCounterMode`` does: softmax, gates and biases are left out. A tensor is counted in numbers, not bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from course_utils.benchmark import LargestStorage


@dataclass(frozen=True)
class Cost:
    """The cost of one forward pass over one sequence.

    Attributes:
        flops: additions and multiplications in matrix products and convolutions.
        largest: numbers in the largest tensor that is newly made on the way, parameters not among them.
    """

    flops: int
    largest: int


def self_attention_cost(length: int, width: int, n_heads: int = 1) -> Cost:
    """Multi-head self-attention in the plain form, which holds all weights at once.

    Four maps of 2·T·E² each, the scores 2·T²·E and the mixing of the values 2·T²·E. The number of heads changes the
    size of the weights, H·T², and not the FLOPs. Vaswani et al. (2017), Table 1, give the quadratic part only, T²·E.

    Args:
        length: T.
        width: E.
        n_heads: H.

    Raises:
        ValueError: a size is below 1, or H does not divide E.
    """
    _at_least_one("self_attention_cost", length=length, width=width, n_heads=n_heads)
    if width % n_heads:
        raise ValueError(f"self_attention_cost: n_heads: expected a divisor of the width {width}, got {n_heads}")
    flops = 8 * length * width**2 + 4 * length**2 * width
    return Cost(flops, max(n_heads * length**2, length * width))


def gru_cost(length: int, width: int) -> Cost:
    """A layer of gated recurrent units whose input and state have the same width.

    At each step three matrices for the input and three for the state, 2·E² each. Those for the input need not wait:
    like torch's, this layer applies them to all positions at once, which makes the largest tensor, ``[T, 3·E]``.

    Args:
        length: T.
        width: E.

    Raises:
        ValueError: a size is below 1.
    """
    _at_least_one("gru_cost", length=length, width=width)
    return Cost(12 * length * width**2, 3 * length * width)


def convolution_cost(length: int, width: int, window: int = 3) -> Cost:
    """One convolution along the sequence that keeps its length and width.

    For each of T·E outputs the products with ``window`` · E numbers; those beyond an end are zeros, and counted.

    Args:
        length: T.
        width: E.
        window: positions that an output looks at.

    Raises:
        ValueError: a size is below 1.
    """
    _at_least_one("convolution_cost", length=length, width=width, window=window)
    return Cost(2 * window * length * width**2, length * width)


def measured_cost(call: Callable[[], Any]) -> Cost:
    """Run something and count what it really does.

    Args:
        call: a function without arguments; what it returns is thrown away.

    Returns:
        The FLOPs by torch's ``FlopCounterMode``, and the largest storage that was newly made, in numbers.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, LargestStorage() as largest:
        call()
    return Cost(counter.get_total_flops(), largest.numbers)


def _at_least_one(name: str, **sizes: int) -> None:
    for argument, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: {argument}: expected at least 1, got {size}")
