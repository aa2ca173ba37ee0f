"""Flash attention as kernels for a GPU, in Triton: what :mod:`course_utils.flash` does, one program a block.

A kernel is a function that runs many times side by side. Each run, a *program*, asks for its number and takes one block
by it: the forward and the gradient of the queries a block of queries, the gradients of keys and values a block of keys.
What a program holds in variables is in the fast memory; ``tl.load`` and ``tl.store`` are the only way to the slow one,
where all tensors are. Programs cannot see each other's variables, so no gradient is added to by two of them: the tiles
are made twice in the backward, and the result is the same on every run.

Shapes, in the kernels: ``q, dq`` [B_q, D]; ``k, dk`` [B_k, D]; ``v, dv`` [B_k, V]; ``o, do`` [B_q, V]; ``m, l, lse,
delta`` [B_q]; ``scores, p, ds`` [B_q, B_k], and [B_k, B_q] in the kernel for keys. In the slow memory [N, Q, D] and so
on, where N counts the batch entries and heads. A tile's sides must be powers of two in Triton; ``PADDED_D`` and
``PADDED_V`` are the next such widths, with zeros in the columns that are too many.

Needs Triton, which there is for Linux only: install the course's wheel with its extra, as
``attention_course-….whl[triton]``; the page *Running it yourself* has the command. Needs a GPU too, or Triton's
interpreter on a CPU: the environment variable ``TRITON_INTERPRET=1`` before the first import of Triton.
"""

# mypy: allow-untyped-defs, allow-untyped-decorators
from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from course_utils.flash import _require_fit

# A GPU has an instruction for 2^x, and none for e^x: e^x = 2^(x · log2(e)).
LOG2_E = tl.constexpr(math.log2(math.e))

# --- What the kernels share ---------------------------------------------------------------------------------------


@triton.jit
def _load(matrix, rows, n_rows, WIDTH: tl.constexpr, PADDED: tl.constexpr, CHECKED: tl.constexpr = True):
    """Rows of a [n_rows, WIDTH] matrix as [rows, PADDED]; zeros beyond its width and, if checked, beyond its end."""
    columns = tl.arange(0, PADDED)
    places = matrix + rows[:, None] * WIDTH + columns[None, :]
    if CHECKED:
        return tl.load(places, mask=(rows[:, None] < n_rows) & (columns[None, :] < WIDTH), other=0.0)
    elif WIDTH < PADDED:
        return tl.load(places, mask=columns[None, :] < WIDTH, other=0.0)
    else:
        return tl.load(places)


@triton.jit
def _store(matrix, block, rows, n_rows, WIDTH: tl.constexpr, PADDED: tl.constexpr):
    """Write a block to rows of a [n_rows, WIDTH] matrix, in its type, but for what lies beyond its end or width."""
    columns = tl.arange(0, PADDED)
    inside = (rows[:, None] < n_rows) & (columns[None, :] < WIDTH)
    tl.store(matrix + rows[:, None] * WIDTH + columns[None, :], block.to(matrix.dtype.element_ty), mask=inside)


@triton.jit
def _n_seen(query, n_queries, n_keys, CAUSAL: tl.constexpr):
    """How many keys a query sees: the first so many. The last query sees all."""
    if CAUSAL:
        return tl.maximum(tl.minimum(query, n_queries - 1) + 1 + n_keys - n_queries, 0)
    else:
        return n_keys


@triton.jit
def _mask(scores, queries, keys, n_queries, n_keys, CAUSAL: tl.constexpr):
    """−inf where a query does not see a key; ``queries`` and ``keys`` are numbers along the two sides of the tile."""
    seen = keys < n_keys
    if CAUSAL:
        seen = seen & (keys <= queries + n_keys - n_queries)
    return tl.where(seen, scores, float("-inf"))


@triton.jit
def _finite(m):
    """Zero in the place of −inf: −inf minus −inf would be NaN, −inf minus zero is not."""
    return tl.where(m == float("-inf"), 0.0, m)


# --- Forward ------------------------------------------------------------------------------------------------------


@triton.jit
def _forward(
    q_all,
    k_all,
    v_all,
    o_all,
    lse_all,
    n_queries,
    n_keys,
    scale,
    D: tl.constexpr,
    V: tl.constexpr,
    PADDED_D: tl.constexpr,
    PADDED_V: tl.constexpr,
    B_q: tl.constexpr,
    B_k: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    """Output and log-sum-exp of one block of queries: Dao (2023), Algorithm 1."""
    # Which block of queries of which batch entry. With a causal mask the last block of an entry has most to do, and
    # starts first; the programs of an entry follow each other, so that its keys stay in the card's second-level cache.
    n_blocks = tl.cdiv(n_queries, B_q)
    entry = (tl.program_id(0) // n_blocks).to(tl.int64)  # times a matrix's size it may exceed 32 bits
    first = (n_blocks - 1 - tl.program_id(0) % n_blocks) * B_q
    queries = first + tl.arange(0, B_q)
    k_all += entry * n_keys * D
    v_all += entry * n_keys * V

    # In fast memory from here to the end: the queries, and the state (m, l, o) of the softmax in one pass.
    q = _load(q_all + entry * n_queries * D, queries, n_queries, D, PADDED_D)
    m = tl.full([B_q], float("-inf"), tl.float32)
    l = tl.zeros([B_q], tl.float32)
    o = tl.zeros([B_q, PADDED_V], tl.float32)

    # Two loops, made from one when Triton compiles: over the tiles that all these queries see whole, without a mask;
    # then over those that the diagonal or the end of the keys cuts. Tiles that none of them sees are never reached.
    whole = _n_seen(first, n_queries, n_keys, CAUSAL) // B_k * B_k
    seen = _n_seen(first + B_q - 1, n_queries, n_keys, CAUSAL)
    for cut in tl.static_range(2):
        for start in range(whole if cut else 0, seen if cut else whole, B_k):
            keys = start + tl.arange(0, B_k)
            k = _load(k_all, keys, n_keys, D, PADDED_D, CHECKED=cut)
            v = _load(v_all, keys, n_keys, V, PADDED_V, CHECKED=cut)
            scores = tl.dot(q, tl.trans(k), input_precision="ieee")
            if cut:
                scores = _mask(scores, queries[:, None], keys[None, :], n_queries, n_keys, CAUSAL)
            larger = tl.maximum(m, tl.max(scores, 1) * (scale * LOG2_E))
            p = tl.exp2(scores * (scale * LOG2_E) - _finite(larger)[:, None])
            kept = tl.exp2(m - _finite(larger))
            l = l * kept + tl.sum(p, 1)
            o = tl.dot(p.to(v.dtype), v, o * kept[:, None], input_precision="ieee")
            m = larger

    # One division at the end, not one a tile. A query that saw nothing has l = 0 and m = −inf.
    l = tl.where(l == 0.0, 1.0, l)
    _store(o_all + entry * n_queries * V, o / l[:, None], queries, n_queries, V, PADDED_V)
    lse = (m + tl.log2(l)) / LOG2_E
    tl.store(lse_all + entry * n_queries + queries, lse, mask=queries < n_queries)


# --- Backward -----------------------------------------------------------------------------------------------------


@triton.jit
def _backward_delta(
    o_all,
    do_all,
    dlse_all,
    delta_all,
    n_rows,
    V: tl.constexpr,
    PADDED_V: tl.constexpr,
    B_q: tl.constexpr,
):
    """Δ = rowsum(dO ∘ O), less the gradient of the log-sum-exp, of a block of queries, over all batch entries."""
    rows = tl.program_id(0).to(tl.int64) * B_q + tl.arange(0, B_q)
    o = _load(o_all, rows, n_rows, V, PADDED_V).to(tl.float32)
    do = _load(do_all, rows, n_rows, V, PADDED_V).to(tl.float32)
    delta = tl.sum(o * do, 1)
    if dlse_all is not None:
        delta -= tl.load(dlse_all + rows, mask=rows < n_rows, other=0.0)
    tl.store(delta_all + rows, delta, mask=rows < n_rows)


@triton.jit
def _backward_keys(
    q_all,
    k_all,
    v_all,
    do_all,
    lse_all,
    delta_all,
    dk_all,
    dv_all,
    n_queries,
    n_keys,
    scale,
    D: tl.constexpr,
    V: tl.constexpr,
    PADDED_D: tl.constexpr,
    PADDED_V: tl.constexpr,
    B_q: tl.constexpr,
    B_k: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    """Gradients of one block of keys and values: the outer loop of Dao (2023), Algorithm 2.

    Tiles are made lying on their side, keys by queries: both gradients need them so.
    """
    n_blocks = tl.cdiv(n_keys, B_k)
    entry = (tl.program_id(0) // n_blocks).to(tl.int64)
    first = tl.program_id(0) % n_blocks * B_k
    keys = first + tl.arange(0, B_k)
    q_all += entry * n_queries * D
    do_all += entry * n_queries * V
    lse_all += entry * n_queries
    delta_all += entry * n_queries

    k = _load(k_all + entry * n_keys * D, keys, n_keys, D, PADDED_D)
    v = _load(v_all + entry * n_keys * V, keys, n_keys, V, PADDED_V)
    dk = tl.zeros([B_k, PADDED_D], tl.float32)
    dv = tl.zeros([B_k, PADDED_V], tl.float32)

    # From the first query that sees the first of these keys; whole from the first that sees the last of them.
    seen, whole = 0, 0
    if CAUSAL:
        seen = tl.maximum(first + n_queries - n_keys, 0) // B_q * B_q
        whole = tl.cdiv(tl.maximum(first + B_k - 1 + n_queries - n_keys, 0), B_q) * B_q
    whole = tl.where(first + B_k > n_keys, n_queries, tl.minimum(whole, n_queries))  # a ragged block is never whole
    for uncut in tl.static_range(2):
        for start in range(whole if uncut else seen, n_queries if uncut else whole, B_q):
            queries = start + tl.arange(0, B_q)
            q = _load(q_all, queries, n_queries, D, PADDED_D)
            do = _load(do_all, queries, n_queries, V, PADDED_V)
            lse = tl.load(lse_all + queries, mask=queries < n_queries, other=0.0)
            delta = tl.load(delta_all + queries, mask=queries < n_queries, other=0.0)
            scores = tl.dot(k, tl.trans(q), input_precision="ieee")
            if not uncut:
                scores = _mask(scores, queries[None, :], keys[:, None], n_queries, n_keys, CAUSAL)
            p = tl.exp2(scores * (scale * LOG2_E) - (_finite(lse) * LOG2_E)[None, :])
            dv = tl.dot(p.to(do.dtype), do, dv, input_precision="ieee")
            dp = tl.dot(v, tl.trans(do), input_precision="ieee")
            ds = p * (dp - delta[None, :])
            dk = tl.dot(ds.to(q.dtype), q, dk, input_precision="ieee")

    _store(dk_all + entry * n_keys * D, dk * scale, keys, n_keys, D, PADDED_D)
    _store(dv_all + entry * n_keys * V, dv, keys, n_keys, V, PADDED_V)


@triton.jit
def _backward_queries(
    q_all,
    k_all,
    v_all,
    do_all,
    lse_all,
    delta_all,
    dq_all,
    n_queries,
    n_keys,
    scale,
    D: tl.constexpr,
    V: tl.constexpr,
    PADDED_D: tl.constexpr,
    PADDED_V: tl.constexpr,
    B_q: tl.constexpr,
    B_k: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    """Gradient of one block of queries: the loops of the forward, with the weights made again from the log-sum-exp."""
    n_blocks = tl.cdiv(n_queries, B_q)
    entry = (tl.program_id(0) // n_blocks).to(tl.int64)
    first = (n_blocks - 1 - tl.program_id(0) % n_blocks) * B_q
    queries = first + tl.arange(0, B_q)
    k_all += entry * n_keys * D
    v_all += entry * n_keys * V

    q = _load(q_all + entry * n_queries * D, queries, n_queries, D, PADDED_D)
    do = _load(do_all + entry * n_queries * V, queries, n_queries, V, PADDED_V)
    lse = tl.load(lse_all + entry * n_queries + queries, mask=queries < n_queries, other=0.0)
    delta = tl.load(delta_all + entry * n_queries + queries, mask=queries < n_queries, other=0.0)
    dq = tl.zeros([B_q, PADDED_D], tl.float32)

    whole = _n_seen(first, n_queries, n_keys, CAUSAL) // B_k * B_k
    seen = _n_seen(first + B_q - 1, n_queries, n_keys, CAUSAL)
    for cut in tl.static_range(2):
        for start in range(whole if cut else 0, seen if cut else whole, B_k):
            keys = start + tl.arange(0, B_k)
            k = _load(k_all, keys, n_keys, D, PADDED_D, CHECKED=cut)
            v = _load(v_all, keys, n_keys, V, PADDED_V, CHECKED=cut)
            scores = tl.dot(q, tl.trans(k), input_precision="ieee")
            if cut:
                scores = _mask(scores, queries[:, None], keys[None, :], n_queries, n_keys, CAUSAL)
            p = tl.exp2(scores * (scale * LOG2_E) - (_finite(lse) * LOG2_E)[:, None])
            dp = tl.dot(do, tl.trans(v), input_precision="ieee")
            ds = p * (dp - delta[:, None])
            dq = tl.dot(ds.to(k.dtype), k, dq, input_precision="ieee")

    _store(dq_all + entry * n_queries * D, dq * scale, queries, n_queries, D, PADDED_D)


# --- How the kernels are called -----------------------------------------------------------------------------------


class Tiling(NamedTuple):
    """How a kernel cuts its work.

    Attributes:
        queries: B_q, a power of two, at least 16.
        keys: B_k, the same.
        warps: groups of 32 threads that share the work of a program, a power of two.
        stages: for how many turns of the loop blocks are held or on their way at a time.
    """

    queries: int
    keys: int
    warps: int
    stages: int


# For forward, gradients of keys, gradients of queries; by bytes of a number and the larger padded width, at most. The
# block that stays is large, those that pass by are small.
_TILINGS = {
    (2, 64): (Tiling(128, 64, 8, 3), Tiling(64, 128, 8, 2), Tiling(128, 64, 8, 3)),
    (2, 128): (Tiling(128, 64, 8, 3), Tiling(64, 64, 8, 2), Tiling(128, 32, 8, 3)),
    (4, 64): (Tiling(64, 32, 8, 2), Tiling(16, 64, 8, 2), Tiling(64, 32, 8, 2)),
    (4, 128): (Tiling(32, 16, 8, 2), Tiling(16, 32, 8, 2), Tiling(32, 16, 8, 2)),
}
_KERNELS = {each.__name__: each for each in (_forward, _backward_delta, _backward_keys, _backward_queries)}
_TYPES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32"}


class Kernel(NamedTuple):
    """A kernel with all that is known of it before it meets its tensors.

    Attributes:
        kernel: its name in this module.
        signature: the types of those arguments that it gets when it is called; ``"*fp16"`` is a tensor of float16.
        constants: those that are compiled into it.
        warps: see :class:`Tiling`.
        stages: see :class:`Tiling`.
    """

    kernel: str
    signature: dict[str, str]
    constants: dict[str, Any]
    warps: int
    stages: int

    def run(self, programs: int, *arguments: Any) -> None:
        """Start so many programs of it, numbered from 0."""
        _KERNELS[self.kernel][(programs,)](*arguments, **self.constants, num_warps=self.warps, num_stages=self.stages)


def kernels(
    dtype: torch.dtype, width: int, value_width: int, *, causal: bool = False, tiling: Tiling | None = None
) -> list[Kernel]:
    """What :func:`flash_attention` runs: the forward; Δ; the gradients of keys and values; those of queries.

    Args:
        dtype: float16, bfloat16 or float32.
        width: D, from 16 to 128.
        value_width: V, the same.
        causal: with a causal mask.
        tiling: of all four; by default each has its own.
    """
    padded = {"PADDED_D": triton.next_power_of_2(width), "PADDED_V": triton.next_power_of_2(value_width)}
    tilings = (tiling,) * 3 if tiling else _TILINGS[dtype.itemsize, max(64, *padded.values())]
    found = []
    for (name, kernel), tile in zip(_KERNELS.items(), (tilings[0], *tilings), strict=True):
        known = {"D": width, "V": value_width, **padded, "B_q": tile.queries, "B_k": tile.keys, "CAUSAL": causal}
        constants = {argument: known[argument] for argument in kernel.arg_names if argument in known}
        signature = {argument: _type(argument, dtype) for argument in kernel.arg_names if argument not in known}
        found.append(Kernel(name, signature, constants, tile.warps, tile.stages))
    return found


def _type(argument: str, dtype: torch.dtype) -> str:
    if argument.endswith("_all"):
        return "*fp32" if argument in ("lse_all", "dlse_all", "delta_all") else f"*{_TYPES[dtype]}"
    return "fp32" if argument == "scale" else "i32"


def flash_attention(
    query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False, tiling: Tiling | None = None
) -> tuple[Tensor, Tensor]:
    """softmax(Q Kᵀ / √D) V without the matrix: Dao (2023), Algorithms 1 and 2, by the kernels above.

    Gradients of first order flow through both results, and are the same on every run. Tensors that are not contiguous
    are copied.

    Args:
        query: ``[..., Q, D]``, float16, bfloat16 or float32, D from 16 to 128. Products of float32 are exact ones, not
            TF32.
        key: ``[..., K, D]``.
        value: ``[..., K, V]``, V from 16 to 128.
        causal: query i may look at the keys 0 to i + K − Q only, as in :func:`course_utils.flash.flash_attention`.
        tiling: of all kernels; by default each has its own. The result depends on it by rounding only.

    Returns:
        The output ``[..., Q, V]``, and the log-sum-exp of each query's scaled scores, ``[..., Q]``, float32. A query
        that may look at nothing has 0 and −inf.

    Raises:
        ValueError: widths, lengths, batch dimensions or types do not fit, the tiling is none, or the tensors are where
            no kernel can run.
    """
    _require_fit("flash_attention", query, key, value)
    _require_possible(query, value, tiling)
    flat = (each.reshape(math.prod(each.shape[:-2]), *each.shape[-2:]).contiguous() for each in (query, key, value))
    output, logsumexp = _FlashAttention.apply(*flat, causal, tiling)
    return output.reshape(*query.shape[:-1], value.shape[-1]), logsumexp.reshape(query.shape[:-1])


class _FlashAttention(torch.autograd.Function):
    """Of contiguous [N, Q, D], [N, K, D] and [N, K, V]: makes room for the results and runs the kernels."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool, tiling: Tiling | None
    ) -> tuple[Tensor, Tensor]:
        (n, n_queries, width), (_, n_keys, value_width) = q.shape, v.shape
        forward, *ctx.kernels = kernels(q.dtype, width, value_width, causal=causal, tiling=tiling)
        o, lse = q.new_empty(n, n_queries, value_width), q.new_empty(n, n_queries, dtype=torch.float32)
        with torch.cuda.device_of(q):
            programs = n * triton.cdiv(n_queries, forward.constants["B_q"])
            forward.run(programs, q, k, v, o, lse, n_queries, n_keys, width**-0.5)
        ctx.save_for_backward(q, k, v, o, lse)
        ctx.set_materialize_grads(False)
        return o, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor | None, dlse: Tensor | None) -> tuple[Tensor | None, ...]:
        q, k, v, o, lse = ctx.saved_tensors
        do = torch.zeros_like(o) if do is None else do.contiguous()
        dlse = None if dlse is None else dlse.contiguous()
        dq, dk, dv, delta = (torch.empty_like(each) for each in (q, k, v, lse))
        (n, n_queries, width), n_keys = q.shape, k.shape[1]
        of_delta, of_keys, of_queries = ctx.kernels
        sizes = (n_queries, n_keys, width**-0.5)
        with torch.cuda.device_of(q):
            of_delta.run(triton.cdiv(n * n_queries, of_delta.constants["B_q"]), o, do, dlse, delta, n * n_queries)
            programs = n * triton.cdiv(n_keys, of_keys.constants["B_k"])
            of_keys.run(programs, q, k, v, do, lse, delta, dk, dv, *sizes)
            programs = n * triton.cdiv(n_queries, of_queries.constants["B_q"])
            of_queries.run(programs, q, k, v, do, lse, delta, dq, *sizes)
        return dq, dk, dv, None, None


# --- What cannot work ---------------------------------------------------------------------------------------------


def _require_possible(query: Tensor, value: Tensor, tiling: Tiling | None) -> None:
    """One line that says what no kernel could compute, or not here."""
    interpreted = not isinstance(_forward, triton.JITFunction)
    if query.dtype not in _TYPES:
        raise ValueError(f"flash_attention: query: expected float16, bfloat16 or float32, got {query.dtype}")
    for argument, width in (("query", query.shape[-1]), ("value", value.shape[-1])):
        if not 16 <= width <= 128:
            raise ValueError(f"flash_attention: {argument}: expected a width from 16 to 128, got {width}")
    for side, size in tiling._asdict().items() if tiling else ():
        least = 16 if side in ("queries", "keys") else 1
        if size < least or (side != "stages" and size != triton.next_power_of_2(size)):
            kind = "a number" if side == "stages" else "a power of two"
            raise ValueError(f"flash_attention: tiling.{side}: expected {kind} of at least {least}, got {size}")
    if interpreted and query.dtype == torch.bfloat16:
        raise ValueError(
            "flash_attention: query: Triton's interpreter computes wrongly with bfloat16; use float32 in it"
        )
    if not interpreted and not query.is_cuda:
        raise ValueError(
            f"flash_attention: query: expected a tensor on a GPU, got one on {query.device}; without a GPU set "
            "TRITON_INTERPRET=1 before Triton is imported"
        )
