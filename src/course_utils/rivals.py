"""Attention as several programs compute it, and whether what they compute is right (:mod:`course_utils.bench`).

Shapes are ``[batch, heads, N, D]``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from course_utils.flash import flash_attention, naive_attention
from course_utils.measuring import BACKENDS
from course_utils.plausibility import BYTES

ALLOWED = {"float32": 1e-5}  # error that is let pass beyond twice that of the plain form in the same dtype
MOST_HELD = 2e9  # bytes: on a CPU, where too much memory ends the process, a form that would hold more is not run
BLOCK = 2**25  # scores that the check makes at once

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Shape:
    """One problem, which all implementations are given."""

    device: str
    dtype: str
    width: int
    causal: bool
    length: int
    batch: int
    heads: int

    @property
    def matrix_bytes(self) -> int:
        """Of all scores, were they held."""
        return self.batch * self.heads * self.length**2 * BYTES[self.dtype]


# --- Implementations --------------------------------------------------------------------------------------------


class LeftOutError(Exception):
    """An implementation is not run on a shape; the message says why."""


class WrongError(LeftOutError):
    """Its results are wrong, and so it is not timed."""


def _naive(shape: Shape) -> Attention:
    """The plain form, as a clock on a GPU should see it: `flash.naive_attention` makes its mask anew on the CPU."""
    _require_room(shape)
    n = shape.length if shape.causal else 0
    hidden = torch.ones(n, n, dtype=torch.bool, device=shape.device).triu(1)

    def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query * key.shape[-1] ** -0.5 @ key.transpose(-2, -1)
        return (scores.masked_fill(hidden, -torch.inf) if shape.causal else scores).softmax(-1) @ value

    return attention


def _torch(backend: SDPBackend, shape: Shape) -> Attention:
    if backend is SDPBackend.MATH:
        _require_room(shape)

    def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(query, key, value, is_causal=shape.causal)

    return attention


def _require_room(shape: Shape) -> None:
    """Forward and backward together hold three such matrices or a little more at once."""
    if shape.device == "cpu" and 4 * shape.matrix_bytes > MOST_HELD:
        held = f"{4 * shape.matrix_bytes / 1e9:.1f} GB"
        raise LeftOutError(f"it would hold up to {held} of scores and weights, and {MOST_HELD / 1e9:.0f} GB is allowed")


def _tiled(shape: Shape) -> Attention:
    return lambda query, key, value: flash_attention(query, key, value, causal=shape.causal)[0]


def _triton(shape: Shape) -> Attention:
    if shape.device == "cpu":
        raise LeftOutError("it needs a GPU: Triton's interpreter computes with it on a CPU, but its time says nothing")
    if os.environ.get("TRITON_INTERPRET", "0") not in ("", "0"):
        raise LeftOutError("TRITON_INTERPRET is set: what is interpreted is not timed")
    from course_utils import flash_triton

    return lambda query, key, value: flash_triton.flash_attention(query, key, value, causal=shape.causal)[0]


def _flex(shape: Shape) -> Attention:
    """Compiled for this shape alone, with its own mask of blocks; neither is timed."""
    if shape.device == "cpu":
        raise LeftOutError("on a CPU it has no backward, and not compiled it is the plain form, which holds all scores")
    from torch._functorch import config
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    torch.compiler.reset()  # after eight shapes it would no longer be compiled
    compiled, n = torch.compile(flex_attention, dynamic=False), shape.length
    mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, n, n, shape.device) if shape.causal else None

    def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        with config.patch(donated_buffer=False):  # else the backward could run only once
            return compiled(query, key, value, block_mask=mask)

    return attention


# What makes each: those that hold no scores first, so that a naive form that finds no more room takes none from them.
MAKERS: dict[str, Callable[[Shape], Attention]] = {
    **{name: partial(_torch, backend) for name, backend in BACKENDS.items() if name != "sdpa_math"},
    "triton": _triton,
    "flex": _flex,
    "tiled": _tiled,
    "naive": _naive,
    "sdpa_math": partial(_torch, SDPBackend.MATH),
}


# --- Right or wrong ---------------------------------------------------------------------------------------------

RESULTS = {"forward": ("output",), "backward": ("dQ", "dK", "dV")}
Results = dict[str, list[Tensor]]


def inputs(shape: Shape, seed: int) -> list[Tensor]:
    """Queries, keys, values and the gradient of the output: random, as zeros are computed with faster."""
    generator = torch.Generator(shape.device).manual_seed(seed + shape.length)
    size = (shape.batch, shape.heads, shape.length, shape.width)
    drawn = (torch.randn(size, generator=generator, device=shape.device) for _ in range(4))
    return [each.to(getattr(torch, shape.dtype)) for each in drawn]


def by_blocks(inputs: list[Tensor], causal: bool, dtype: torch.dtype) -> Results:
    """The plain form in a dtype, a block of queries at a time, so that it fits always; in float64 the reference."""
    query, key, value, d_output = (each.flatten(0, 1).to(dtype) for each in inputs)
    found: list[list[Tensor]] = [[], []]
    d_key, d_value = (torch.zeros_like(each, dtype=torch.float64) for each in (key, value))
    rows, length = max(1, BLOCK // (len(query) * key.shape[1])), key.shape[1]
    for start in range(0, length, rows):
        stop = min(start + rows, length)
        seen = stop if causal else length
        parts = [each.detach().requires_grad_() for each in (query[:, start:stop], key[:, :seen], value[:, :seen])]
        output = naive_attention(*parts, causal=causal)
        d_query, dk, dv = torch.autograd.grad(output, parts, d_output[:, start:stop])
        found[0].append(output.detach().double())
        found[1].append(d_query.double())
        d_key[:, :seen] += dk
        d_value[:, :seen] += dv
    d_key, d_value = (each.to(dtype).double() for each in (d_key, d_value))  # rounded as a result is
    return {"forward": [torch.cat(found[0], 1)], "backward": [torch.cat(found[1], 1), d_key, d_value]}


def errors(results: list[Tensor], expected: list[Tensor]) -> list[float]:
    """The largest error of each result."""
    return [float((a.detach().flatten(0, -3).double() - b).abs().max()) for a, b in zip(results, expected, strict=True)]


def require_right(direction: str, errors: list[float], plain: list[float], dtype: str) -> None:
    """At most twice the error of the plain form in the same dtype, and what is let pass beyond that.

    Raises:
        WrongError: it is more, or no number.
    """
    for name, error, limit in zip(RESULTS[direction], errors, plain, strict=True):
        if not error <= 2 * limit + ALLOWED.get(dtype, 0.0):  # so that NaN is wrong
            raise WrongError(f"wrong, and so not timed: error of {name} {error:.2g}, of the plain form {limit:.2g}")
