"""Flash attention: exact attention that never holds the matrix of scores, in plain torch.

The scores are made tile by tile, a block of queries by a block of keys, and each tile is forgotten once it has been
added to a running result. Only the output and one number a query, the log-sum-exp of its scores, are kept for the
backward, which makes the tiles again. Dao et al. (2022), with the order of loops of Dao (2023).

It is written to be read. On a GPU a kernel does the same with its tiles in fast memory; here :class:`SlowMemory`
counts what would cross between the two.

Shapes: ``...`` batch dimensions, the same for queries, keys and values; ``Q`` queries, ``K`` keys, ``D`` width of a
query or key, ``V`` of a value. A block of queries has ``B_q`` rows, one of keys ``B_k``; the last may have fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from course_utils import _require
from course_utils.attention import attend
from course_utils.masks import causal_mask

# --- Softmax in one pass ----------------------------------------------------------------------------------------


class Partial(NamedTuple):
    """Attention to some of the keys, in a form that can be merged with attention to others.

    ``(m, l, o)`` of Dao et al. (2022), whose ``o`` is divided by ``l`` and ours is not (as in Dao (2023), Section 3.1).

    Attributes:
        maximum: ``[..., Q]``, the largest score; −inf where no key was seen.
        total: ``[..., Q]``, the sum of exp(score − maximum).
        mixed: ``[..., Q, V]``, the sum of exp(score − maximum) · value.
    """

    maximum: Tensor
    total: Tensor
    mixed: Tensor

    def output(self) -> Tensor:
        """``[..., Q, V]``: the values, weighted by the softmax over all keys seen; zeros where there was none."""
        return self.mixed / self.total.masked_fill(self.total == 0, 1)[..., None]

    def double(self) -> Partial:
        """The same in float64."""
        return Partial(*(each.double() for each in self))

    def logsumexp(self) -> Tensor:
        """``[..., Q]``: the logarithm of the sum of exp(score) over all keys seen; −inf where there was none."""
        return self.maximum + self.total.log()


def partial_softmax(scores: Tensor, value: Tensor) -> Partial:
    """Attend to one block of keys.

    Args:
        scores: ``[..., Q, K]``, at least one key; a score of −inf is a key that is not seen.
        value: ``[..., K, V]``.

    Raises:
        ValueError: there is no key, or the numbers of scores and values differ.
    """
    _require.one_value_per_key("partial_softmax", value, scores.shape[-1])
    if not scores.shape[-1]:
        raise ValueError("partial_softmax: scores: expected at least one key, got none")
    maximum = scores.amax(-1)
    powers = (scores - _finite(maximum)[..., None]).exp_()
    return Partial(maximum, powers.sum(-1), powers @ value)


def merge_softmax(first: Partial, second: Partial) -> Partial:
    """Attention to the keys of both: each part is scaled to the larger maximum, then they are added.

    Associative and commutative, so that parts may be merged in any order and any tree: Milakov & Gimelshein (2018),
    Equation 4, here with values.
    """
    maximum = torch.maximum(first.maximum, second.maximum)
    total, mixed = 0.0, 0.0
    for part in (first, second):
        scale = (part.maximum - _finite(maximum)).exp()
        total, mixed = total + part.total * scale, mixed + part.mixed * scale[..., None]
    return Partial(maximum, total, mixed)


def online_softmax(scores: Tensor, block_size: int = 1) -> Tensor:
    """Softmax over the last axis, its maximum and its sum found in one pass over blocks of scores.

    Milakov & Gimelshein (2018), Algorithm 3; theirs has blocks of one score.

    Args:
        scores: ``[..., K]``, at least one; a row of −inf gives zeros.
        block_size: scores that are looked at together, at least 1.

    Raises:
        ValueError: there is no score, or ``block_size`` is below 1.
    """
    _at_least_one("online_softmax", block_size=block_size, scores=scores.shape[-1] if scores.ndim else 0)
    maximum, total = scores.new_full(scores.shape[:-1], -torch.inf), scores.new_zeros(scores.shape[:-1])
    for block in scores.split(block_size, dim=-1):
        larger = torch.maximum(maximum, block.amax(-1))
        total = total * (maximum - _finite(larger)).exp() + (block - _finite(larger)[..., None]).exp().sum(-1)
        maximum = larger
    return (scores - _finite(maximum)[..., None]).exp() / total.masked_fill(total == 0, 1)[..., None]


def _finite(maximum: Tensor) -> Tensor:
    """Zero in the place of −inf: −inf minus −inf would be NaN, −inf minus zero is not."""
    return maximum.masked_fill(maximum.isneginf(), 0)


# --- Attention with and without the matrix ----------------------------------------------------------------------


def naive_attention(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False) -> Tensor:
    """The plain form, which holds all scores and all weights: what flash attention is compared with.

    Args:
        query: ``[..., Q, D]``.
        key: ``[..., K, D]``.
        value: ``[..., K, V]``.
        causal: query i may look at the keys 0 to i + K − Q only.

    Returns:
        ``[..., Q, V]``.

    Raises:
        ValueError: widths, lengths or batch dimensions do not fit.
    """
    _require_fit("naive_attention", query, key, value)
    scores = query * key.shape[-1] ** -0.5 @ key.transpose(-2, -1)
    if causal:
        return attend(scores, value, causal_mask(query.shape[-2], key.shape[-2]).to(query.device))[0]
    return scores.softmax(-1) @ value


class SlowMemory:
    """The large slow memory, seen from a kernel: blocks of rows are loaded from it and stored to it, and counted.

    Attributes:
        loaded: bytes loaded so far, over all batch dimensions.
        stored: bytes stored so far, likewise.
        tiles: tiles of scores that were made so far, of each batch entry.
    """

    def __init__(self) -> None:
        self.loaded = self.stored = self.tiles = 0

    def load(self, tensor: Tensor, rows: slice) -> Tensor:
        """Some rows of ``[..., T, W]``."""
        block = tensor[..., rows, :]
        self.loaded += block.numel() * block.element_size()
        return block

    def store(self, tensor: Tensor, rows: slice, block: Tensor) -> None:
        """Write rows of ``[..., T, W]``."""
        tensor[..., rows, :] = block
        self.stored += block.numel() * tensor.element_size()


def flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    causal: bool = False,
    blocks: tuple[int, int] = (256, 512),
    memory: SlowMemory | None = None,
) -> tuple[Tensor, Tensor]:
    """softmax(Q Kᵀ / √D) V without the matrix: Dao (2023), Algorithms 1 and 2.

    Half-precision inputs are computed with in float32, a tile at a time. What the backward subtracts from a number of
    nearly its size, the log-sum-exp and Δ, is kept in float64. Gradients of first order flow through both results.

    Args:
        query: ``[..., Q, D]``, floating point.
        key: ``[..., K, D]``.
        value: ``[..., K, V]``.
        causal: query i may look at the keys 0 to i + K − Q only (as in the FlashAttention package since version 2.1;
            torch's ``is_causal`` is different where Q and K differ). Tiles without such a key are not made.
        blocks: ``(B_q, B_k)``; the result depends on them by rounding only.
        memory: counts the traffic, of the backward too.

    Returns:
        The output ``[..., Q, V]``, and the log-sum-exp of each query's scaled scores, ``[..., Q]``. A query that may
        look at nothing has 0 and −inf.

    Raises:
        ValueError: widths, lengths, batch dimensions or types do not fit, or a block has no row.
    """
    _require_fit("flash_attention", query, key, value)
    _at_least_one("flash_attention", **dict(zip(("blocks[0]", "blocks[1]"), blocks, strict=True)))
    output, logsumexp = _FlashAttention.apply(query, key, value, causal, blocks, memory or SlowMemory())
    return output, logsumexp


def visited_tiles(n_queries: int, n_keys: int, blocks: tuple[int, int], *, causal: bool = False) -> int:
    """How many tiles :func:`flash_attention` makes, for each batch entry.

    All ⌈Q/B_q⌉ · ⌈K/B_k⌉; with a causal mask, for each block of queries those with a key that its last query sees.

    Raises:
        ValueError: a length is negative, or a block has no row.
    """
    if n_queries < 0 or n_keys < 0:
        raise ValueError(f"visited_tiles: expected lengths of at least 0, got {n_queries} queries and {n_keys} keys")
    _at_least_one("visited_tiles", **dict(zip(("blocks[0]", "blocks[1]"), blocks, strict=True)))
    grid = _Grid(n_queries, n_keys, blocks, causal)
    return sum(-(-grid.seen_by(rows) // blocks[1]) for rows in grid.rows)


class _Grid:
    """Which tiles there are, and what a causal mask leaves of them."""

    def __init__(self, n_queries: int, n_keys: int, blocks: tuple[int, int], causal: bool) -> None:
        self.n_keys, self.causal = n_keys, causal
        self.offset = n_keys - n_queries  # query i is aligned with key i + offset
        self.rows, self.columns = _blocks(n_queries, blocks[0]), _blocks(n_keys, blocks[1])

    def seen_by(self, rows: slice) -> int:
        """How many keys the last of some queries may look at; it sees the most."""
        return min(max(rows.stop + self.offset, 0), self.n_keys) if self.causal else self.n_keys

    def columns_for(self, rows: slice) -> Iterator[slice]:
        """The blocks of keys at which some of these queries look."""
        return (columns for columns in self.columns if columns.start < self.seen_by(rows))

    def rows_for(self, columns: slice) -> Iterator[slice]:
        """The blocks of queries of which some look at these keys."""
        return (rows for rows in self.rows if columns.start < self.seen_by(rows))

    def mask(self, scores: Tensor, rows: slice, columns: slice) -> Tensor:
        """Set what a query may not see to −inf, in a tile that the diagonal crosses."""
        first = rows.start + self.offset  # the last key that the first query sees
        if not self.causal or columns.stop <= first + 1:
            return scores
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril(first - columns.start)
        return scores.masked_fill(~seen, -torch.inf)


class _FlashAttention(torch.autograd.Function):
    """The forward keeps its inputs, the output and the log-sum-exp; the backward makes the weights again."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        causal: bool,
        blocks: tuple[int, int],
        memory: SlowMemory,
    ) -> tuple[Tensor, Tensor]:
        grid = _Grid(query.shape[-2], key.shape[-2], blocks, causal)
        precision = torch.promote_types(query.dtype, torch.float32)
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        logsumexp = query.new_empty(*query.shape[:-1], 1, dtype=torch.float64)
        for rows in grid.rows:
            q = memory.load(query, rows).to(precision) * query.shape[-1] ** -0.5
            state = _nothing_seen(q, value.shape[-1])
            for columns in grid.columns_for(rows):
                k, v = (memory.load(each, columns).to(precision) for each in (key, value))
                scores = grid.mask(q @ k.transpose(-2, -1), rows, columns)
                state = merge_softmax(state, partial_softmax(scores, v))
                memory.tiles += 1
            memory.store(output, rows, state.output())
            memory.store(logsumexp, rows, state.double().logsumexp()[..., None])
        ctx.save_for_backward(query, key, value, output, logsumexp)
        ctx.grid, ctx.memory = grid, memory
        ctx.set_materialize_grads(False)
        return output, logsumexp.squeeze(-1).to(precision)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor | None, d_logsumexp: Tensor | None) -> tuple[Tensor | None, ...]:
        query, key, value, output, logsumexp = ctx.saved_tensors
        grid, memory = ctx.grid, ctx.memory
        precision = torch.promote_types(query.dtype, torch.float32)
        scale = query.shape[-1] ** -0.5
        d_output = torch.zeros_like(output) if d_output is None else d_output
        delta = _delta(output, d_output, d_logsumexp, grid, memory)
        d_query = torch.zeros_like(query, dtype=precision)
        d_key, d_value = torch.empty_like(key), torch.empty_like(value)
        for columns in grid.columns:
            k, v = (memory.load(each, columns).to(precision) for each in (key, value))
            dk, dv = torch.zeros_like(k), torch.zeros_like(v)
            for rows in grid.rows_for(columns):
                q, do = (memory.load(each, rows).to(precision) for each in (query, d_output))
                q, lse, d = q * scale, memory.load(logsumexp, rows), memory.load(delta, rows)
                p = (grid.mask(q @ k.transpose(-2, -1), rows, columns) - _finite(lse)).exp().to(precision)
                ds = p * (do.double() @ v.double().transpose(-2, -1) - d).to(precision)
                dv += p.transpose(-2, -1) @ do
                dk += ds.transpose(-2, -1) @ q
                memory.store(d_query, rows, memory.load(d_query, rows) + ds @ k * scale)
                memory.tiles += 1
            memory.store(d_key, columns, dk)
            memory.store(d_value, columns, dv)
        return d_query.to(query.dtype), d_key, d_value, None, None, None


def _nothing_seen(q: Tensor, width: int) -> Partial:
    rows = q.shape[:-1]
    return Partial(q.new_full(rows, -torch.inf), q.new_zeros(rows), q.new_zeros(*rows, width))


def _delta(output: Tensor, d_output: Tensor, d_logsumexp: Tensor | None, grid: _Grid, memory: SlowMemory) -> Tensor:
    """Δ = rowsum(dO ∘ O), ``[..., Q, 1]``: what the gradient of each weight has subtracted.

    A log-sum-exp that was used itself gives each score its weight times that gradient, so it goes in here too.
    """
    delta = output.new_empty(*output.shape[:-1], 1, dtype=torch.float64)
    for rows in grid.rows:
        o, do = (memory.load(each, rows).double() for each in (output, d_output))
        block = (o * do).sum(-1, keepdim=True)
        if d_logsumexp is not None:
            block = block - memory.load(d_logsumexp[..., None], rows)
        memory.store(delta, rows, block)
    return delta


def _blocks(length: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _require_fit(name: str, query: Tensor, key: Tensor, value: Tensor) -> None:
    _require.same_width(name, query, key)
    _require.one_value_per_key(name, value, key.shape[-2])
    for argument, tensor in {"key": key, "value": value}.items():
        if tensor.shape[:-2] != query.shape[:-2]:
            raise ValueError(
                f"{name}: {argument}: expected batch dimensions {tuple(query.shape[:-2])} as the query, "
                f"got {tuple(tensor.shape[:-2])}"
            )
        if tensor.dtype != query.dtype or tensor.device != query.device:
            raise ValueError(
                f"{name}: {argument}: expected {query.dtype} on {query.device} as the query, "
                f"got {tensor.dtype} on {tensor.device}"
            )
    if not query.is_floating_point():
        raise ValueError(f"{name}: query: expected floating-point numbers, got {query.dtype}")


def _at_least_one(name: str, **sizes: int) -> None:
    for argument, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: {argument}: expected at least 1, got {size}")
