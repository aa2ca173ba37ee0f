"""Telling where: what is added to vectors, done to queries and keys, or added to scores, so that order counts.

Shapes: ``...`` any batch dimensions, ``T`` positions, ``Q`` queries, ``K`` keys, ``H`` heads, ``D`` head width,
``E`` model width. Keys stand at 0 … K − 1 and queries at K − Q … K − 1: the last query stands at the last key, as in
:func:`course_utils.masks.causal_mask`. So a query alone scores as it does among those before it, and a key–value
cache needs nothing more. Angles and tables are computed in float64 and rounded once.

The scores are modules that map queries ``[..., H, Q, D]`` and keys ``[..., H, K, D]`` to ``[..., H, Q, K]``, for
``MultiHeadAttention(..., score=...)``. All but :class:`PositionScore` start from the scaled dot product.
"""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from course_utils import _require
from course_utils.scores import scaled_dot_score

Pairing = Literal["interleaved", "halves"]
#: What the wave lengths of the sinusoidal encoding, and of rotary angles, are powers of.
BASE = 10_000.0


# --- Added to the vectors -----------------------------------------------------------------------------------------


def sinusoidal_encoding(length: int, width: int, *, base: float = BASE, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sines and cosines of the position at E / 2 speeds: Vaswani et al. (2017), Section 3.5.

    Columns 2i and 2i + 1 are sin(ω_i t) and cos(ω_i t) with ω_i = base^(−2i / E), radians a position; Vaswani et al.
    write pos for t and d_model for E.

    Args:
        length: T.
        width: E, even.
        base: ratio of the longest wavelength, which is never reached, to the shortest, 2π positions.
        dtype: of the result.

    Returns:
        ``[T, E]``, between −1 and 1; the squares of a row add up to E / 2.

    Raises:
        ValueError: if the length is negative, the width odd or not positive, or the base not positive.
    """
    name = "sinusoidal_encoding"
    _at_least(name, 0, length=length)
    angles = _angles(name, torch.arange(length), width, base)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2).to(dtype)


def sinusoidal_shift(offset: float, width: int, *, base: float = BASE, dtype: torch.dtype = torch.float32) -> Tensor:
    """The matrix M_k that moves every sinusoidal encoding by k positions: PE(t + k) = M_k PE(t), for all t.

    Vaswani et al. (2017), Section 3.5, say that there is one. On the columns 2i and 2i + 1, a sine above a cosine, it
    is the rotation [[cos kω_i, sin kω_i], [−sin kω_i, cos kω_i]]. With encodings as rows: ``encoding @ shift.T``.

    Args:
        offset: k, positions; may be negative.
        width: E, even.
        base: as in :func:`sinusoidal_encoding`.
        dtype: of the result.

    Returns:
        ``[E, E]``, orthogonal, zero outside of E / 2 blocks.

    Raises:
        ValueError: if the width is odd or not positive, or the base not positive.
    """
    angles = offset * _frequencies("sinusoidal_shift", width, base)
    sine, cosine = angles.sin(), angles.cos()
    blocks = torch.stack((cosine, sine, -sine, cosine), dim=-1).unflatten(-1, (2, 2))
    return torch.block_diag(*blocks).to(dtype)


class LearnedPositions(nn.Module):
    """A learned vector for every position: Gehring et al. (2017), Section 3.1; Vaswani et al. (2017), Table 3 (E).

    They start as large as sinusoids: numbers of variance ½.

    Args:
        length: positions that there are vectors for.
        width: E.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        _at_least("LearnedPositions", 1, length=length, width=width)
        self.table = nn.Parameter(torch.randn(length, width) / 2**0.5)

    def forward(self, n: int) -> Tensor:
        """The vectors of the first ``n`` positions, ``[n, E]``.

        Raises:
            ValueError: if there are fewer, or n is negative.
        """
        _at_least("LearnedPositions", 0, n=n)
        _within("LearnedPositions", n, len(self.table))
        return self.table[:n]


# --- Done to queries and keys -------------------------------------------------------------------------------------


def rotary_angles(positions: Tensor, width: int, *, base: float = BASE) -> Tensor:
    """How far each pair of dimensions is turned at each position: Su et al. (2021), Equation 15.

    Args:
        positions: ``[T]``, any numbers.
        width: D, even.
        base: as in :func:`sinusoidal_encoding`.

    Returns:
        Radians ``positions[t] · base^(−2i / D)``, ``[T, D / 2]``, float64.

    Raises:
        ValueError: if positions are not one-dimensional, the width is odd or not positive, or the base not positive.
    """
    if positions.ndim != 1:
        raise ValueError(f"rotary_angles: positions: expected shape [T], got {tuple(positions.shape)}")
    return _angles("rotary_angles", positions, width, base)


def apply_rotary(x: Tensor, positions: Tensor, *, pairing: Pairing = "interleaved", base: float = BASE) -> Tensor:
    """Turn queries or keys by angles that grow with their position: Su et al. (2021), Equations 15 and 34.

    The dot product of two vectors so turned depends on where they stand only by the difference of their positions.
    Libraries disagree on which two dimensions make a pair. ``"interleaved"`` takes 2i and 2i + 1, as the paper and
    GPT-J do, ``"halves"`` takes i and i + D / 2, as GPT-NeoX and the LLaMA of Hugging Face do. The two are the same up
    to an order of the dimensions, so either can be learned, and weights learned with one are wrong with the other.

    Args:
        x: ``[..., T, D]``, D even.
        positions: ``[T]``, any numbers.
        pairing: ``"interleaved"`` or ``"halves"``.
        base: as in :func:`sinusoidal_encoding`.

    Returns:
        Shape and type of ``x``; every vector keeps its length.

    Raises:
        ValueError: if shapes do not fit, D is odd, ``x`` is not floating point, or the pairing is unknown.
    """
    _require.matrices("apply_rotary", x=x)
    _require.shape("apply_rotary", "positions", positions, (x.shape[-2],))
    _known_pairing("apply_rotary", pairing)
    if not x.is_floating_point():
        raise ValueError(f"apply_rotary: x: expected a floating-point type, got {x.dtype}")
    angles = _angles("apply_rotary", positions, x.shape[-1], base)
    cosine, sine = angles.cos().to(x), angles.sin().to(x)
    first, second = (x[..., 0::2], x[..., 1::2]) if pairing == "interleaved" else x.chunk(2, dim=-1)
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return torch.stack(turned, dim=-1).flatten(-2) if pairing == "interleaved" else torch.cat(turned, dim=-1)


class RotaryScore(nn.Module):
    """Scaled dot product of queries and keys that :func:`apply_rotary` has turned: Su et al. (2021), Equation 16.

    Args:
        pairing: as in :func:`apply_rotary`.
        base: as in :func:`apply_rotary`.
    """

    def __init__(self, pairing: Pairing = "interleaved", base: float = BASE) -> None:
        super().__init__()
        _known_pairing("RotaryScore", pairing)
        _in_pairs("RotaryScore", 2, base)
        self.pairing = pairing
        self.base = base

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Scores ``[..., Q, K]`` for queries ``[..., Q, D]`` and keys ``[..., K, D]``; D is even."""
        _require.same_width("RotaryScore", query, key)
        _in_pairs("RotaryScore", query.shape[-1], self.base)
        n_queries, n_keys = query.shape[-2], key.shape[-2]
        return scaled_dot_score(
            apply_rotary(query, torch.arange(n_keys - n_queries, n_keys), pairing=self.pairing, base=self.base),
            apply_rotary(key, torch.arange(n_keys), pairing=self.pairing, base=self.base),
        )


# --- Offsets, and what is numbered by them ------------------------------------------------------------------------


def relative_positions(n_queries: int, n_keys: int) -> Tensor:
    """Position of key j less that of query i, ``[Q, K]``, integers: 0 on a query's own place, negative in its past.

    Args:
        n_queries: Q; the last query stands at the last key.
        n_keys: K.

    Raises:
        ValueError: if a length is negative.
    """
    return _offsets("relative_positions", n_queries, n_keys)


def clipped_positions(n_queries: int, n_keys: int, clip: int) -> Tensor:
    """Number of the offset of every query and key, those beyond a distance counted as at it: Shaw et al. (2018), Eq. 4.

    Args:
        n_queries: Q.
        n_keys: K.
        clip: largest distance that is told apart; the paper's k.

    Returns:
        Integers ``max(−clip, min(clip, j − i)) + clip``, between 0 and 2 · clip, ``[Q, K]``.

    Raises:
        ValueError: if a length or ``clip`` is negative.
    """
    _at_least("clipped_positions", 0, clip=clip)
    return _offsets("clipped_positions", n_queries, n_keys).clamp(-clip, clip) + clip


class RelativeScore(nn.Module):
    """A learned vector for every clipped offset joins the key: q · (k + a) / √D, Shaw et al. (2018), Equation 4.

    The vectors are the same in all heads, as in their Section 3.3. They also add vectors to the values (Equation 3);
    a score has no values, so that part is left out.

    Args:
        head_width: D.
        clip: largest distance that is told apart.
    """

    def __init__(self, head_width: int, clip: int) -> None:
        super().__init__()
        _at_least("RelativeScore", 1, head_width=head_width)
        _at_least("RelativeScore", 0, clip=clip)
        self.clip = clip
        self.table = nn.Parameter(torch.randn(2 * clip + 1, head_width) / head_width**0.5)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Scores ``[..., Q, K]`` for queries ``[..., Q, D]`` and keys ``[..., K, D]``."""
        _require.same_width("RelativeScore", query, key)
        if query.shape[-1] != self.table.shape[1]:
            raise ValueError(
                f"RelativeScore: query width {query.shape[-1]} differs from head width {self.table.shape[1]}"
            )
        content = scaled_dot_score(query, key)
        # One product for each offset, then looked up: no tensor [..., Q, K, D] of keys with their vectors is made.
        by_offset = scaled_dot_score(query, self.table)
        index = clipped_positions(query.shape[-2], key.shape[-2], self.clip).to(query.device)
        return content + by_offset.gather(-1, index.expand(*by_offset.shape[:-1], -1))


def t5_buckets(
    n_queries: int, n_keys: int, *, n_buckets: int = 32, max_distance: int = 128, causal: bool = False
) -> Tensor:
    """Number of the bucket of every offset: exact for near keys, wider and wider for far ones.

    Raffel et al. (2020), Section 2.1, and ``_relative_position_bucket`` of their Mesh TensorFlow code. Half of the
    buckets hold one distance each; the other half share the distances up to ``max_distance`` evenly by logarithm, and
    the last takes all beyond. Not causal, keys behind the query have the first half of all buckets, keys after it the
    second. A distance on the very edge of a bucket opens it; their logarithm in float32 may miss that by a bit.

    Args:
        n_queries: Q.
        n_keys: K.
        n_buckets: even, and at least 4, unless causal; then at least 2.
        max_distance: positions; more than there are exact buckets on one side.
        causal: give all buckets to the past; keys after the query share bucket 0 with its own place.

    Returns:
        Integers between 0 and ``n_buckets`` − 1, ``[Q, K]``.

    Raises:
        ValueError: if a length is negative, or the buckets cannot be shared out.
    """
    n_side, n_exact = _shares("t5_buckets", n_buckets, max_distance, causal)
    offset = _offsets("t5_buckets", n_queries, n_keys)
    distance = (-offset).clamp(min=0) if causal else offset.abs()
    ratio = torch.log(distance.clamp(min=n_exact).double() / n_exact) / math.log(max_distance / n_exact)
    # The last bits of a logarithm must not decide about a distance that lies on an edge.
    far = n_exact + (ratio * (n_side - n_exact) + 1e-9).long()
    bucket = torch.where(distance < n_exact, distance, far.clamp(max=n_side - 1))
    return bucket if causal else bucket + n_side * (offset > 0)


class BucketScore(nn.Module):
    """Scaled dot product plus a learned number for every head and bucket of offsets: Raffel et al. (2020), Section 2.1.

    T5 does not divide by √D, which its initial weights make up for, and all layers share the numbers: give every layer
    the same module for that.

    Args:
        n_heads: H.
        n_buckets: as in :func:`t5_buckets`.
        max_distance: as in :func:`t5_buckets`.
        causal: as in :func:`t5_buckets`, but true unless said.
    """

    def __init__(self, n_heads: int, n_buckets: int = 32, max_distance: int = 128, causal: bool = True) -> None:
        super().__init__()
        _at_least("BucketScore", 1, n_heads=n_heads)
        _shares("BucketScore", n_buckets, max_distance, causal)
        self.max_distance = max_distance
        self.causal = causal
        self.table = nn.Parameter(torch.randn(n_buckets, n_heads) * 0.02)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Scores ``[..., H, Q, K]`` for queries ``[..., H, Q, D]`` and keys ``[..., H, K, D]``."""
        _one_per_head("BucketScore", query, key, self.table.shape[1])
        n_queries, n_keys = query.shape[-2], key.shape[-2]
        buckets = t5_buckets(
            n_queries, n_keys, n_buckets=len(self.table), max_distance=self.max_distance, causal=self.causal
        )
        return scaled_dot_score(query, key) + self.table[buckets.to(query.device)].permute(2, 0, 1)


# --- A penalty for distance ---------------------------------------------------------------------------------------


def alibi_slopes(n_heads: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """What a head takes off a score for every position of distance: Press, Smith & Lewis (2022), Section 3.

    For a power of two the slopes are 2^(−8 / H), 2^(−16 / H), …, 2^(−8). For other H, as in the authors' code
    (``get_slopes``): those of the largest power of two below, then every second one of twice as many heads.

    Args:
        n_heads: H.
        dtype: of the result.

    Returns:
        ``[H]``, between 0 and 1.

    Raises:
        ValueError: if there is no head.
    """
    _at_least("alibi_slopes", 1, n_heads=n_heads)
    below = 2 ** (n_heads.bit_length() - 1)
    first = [-8 * h / below for h in range(1, below + 1)]
    rest = [-4 * h / below for h in range(1, 2 * (n_heads - below), 2)]
    return torch.tensor([2.0**exponent for exponent in first + rest], dtype=torch.float64).to(dtype)


def alibi_bias(n_heads: int, n_queries: int, n_keys: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """A penalty that grows in a straight line with distance: Press, Smith & Lewis (2022), Section 3.

    The paper's models are causal; here keys after the query are penalised like those before it.

    Args:
        n_heads: H.
        n_queries: Q.
        n_keys: K.
        dtype: of the result.

    Returns:
        ``−slope_h · |j − i|``, ``[H, Q, K]``, to be added to scores.

    Raises:
        ValueError: if there is no head, or a length is negative.
    """
    _at_least("alibi_bias", 1, n_heads=n_heads)
    distance = _offsets("alibi_bias", n_queries, n_keys).abs()
    return (-alibi_slopes(n_heads, dtype=torch.float64)[:, None, None] * distance).to(dtype)


class AlibiScore(nn.Module):
    """Scaled dot product plus :func:`alibi_bias`: nothing is learned. Press, Smith & Lewis (2022).

    Args:
        n_heads: H.
    """

    def __init__(self, n_heads: int) -> None:
        super().__init__()
        _at_least("AlibiScore", 1, n_heads=n_heads)
        self.n_heads = n_heads

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Scores ``[..., H, Q, K]`` for queries ``[..., H, Q, D]`` and keys ``[..., H, K, D]``."""
        _one_per_head("AlibiScore", query, key, self.n_heads)
        bias = alibi_bias(self.n_heads, query.shape[-2], key.shape[-2], dtype=query.dtype)
        return scaled_dot_score(query, key) + bias.to(query.device)


# --- Nothing but the places ---------------------------------------------------------------------------------------


class PositionScore(nn.Module):
    """A learned number for every query's place and key's place, whatever stands there: positional attention.

    Tay et al. (2021) call it the *random synthesizer*, and its form of low rank *factorized*. Queries and
    keys are read for their number and place only, so the maps that made them get no gradient.

    Args:
        n_heads: H.
        length: places, T.
        rank: R; the T × T numbers of a head are then U Vᵀ with U and V ``[T, R]``. Without it they are free.
    """

    def __init__(self, n_heads: int, length: int, rank: int | None = None) -> None:
        super().__init__()
        _at_least("PositionScore", 1, n_heads=n_heads, length=length, **({} if rank is None else {"rank": rank}))
        self.n_heads = n_heads
        self.length = length
        if rank is None:
            self.table = nn.Parameter(torch.randn(n_heads, length, length) * 0.02)
        else:
            self.query_places = nn.Parameter(torch.randn(n_heads, length, rank) / rank**0.5)
            self.key_places = nn.Parameter(torch.randn(n_heads, length, rank) / rank**0.5)
        self.rank = rank

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Scores ``[..., H, Q, K]`` for queries ``[..., H, Q, D]`` and keys ``[..., H, K, D]``.

        Raises:
            ValueError: if there are more keys than places, more queries than keys, or another number of heads.
        """
        _one_per_head("PositionScore", query, key, self.n_heads)
        n_queries, n_keys = query.shape[-2], key.shape[-2]
        _within("PositionScore", n_keys, self.length)
        if n_queries > n_keys:
            raise ValueError(f"PositionScore: query: expected at most {n_keys} queries, one a key, got {n_queries}")
        rows = slice(n_keys - n_queries, n_keys)
        if self.rank is None:
            scores = self.table[:, rows, :n_keys]
        else:
            scores = self.query_places[:, rows] @ self.key_places[:, :n_keys].transpose(-2, -1)
        return scores.expand(*torch.broadcast_shapes(query.shape[:-2], key.shape[:-2]), -1, -1)


# --- What they ask of their arguments -----------------------------------------------------------------------------


def _frequencies(name: str, width: int, base: float) -> Tensor:
    """base^(−2i / width), radians a position, ``[width / 2]`` in float64."""
    _in_pairs(name, width, base)
    return base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)


def _angles(name: str, positions: Tensor, width: int, base: float) -> Tensor:
    """Every position times every frequency, ``[T, width / 2]`` in float64."""
    return positions.double()[:, None] * _frequencies(name, width, base).to(positions.device)


def _offsets(name: str, n_queries: int, n_keys: int) -> Tensor:
    """Position of key j less that of query i, ``[Q, K]``; the last query stands at the last key."""
    _at_least(name, 0, n_queries=n_queries, n_keys=n_keys)
    return torch.arange(n_keys) - torch.arange(n_keys - n_queries, n_keys)[:, None]


def _in_pairs(name: str, width: int, base: float) -> None:
    if width < 2 or width % 2:
        raise ValueError(f"{name}: width: expected an even number, since dimensions go in pairs, got {width}")
    if base <= 0:
        raise ValueError(f"{name}: base: expected a positive number, got {base}")


def _shares(name: str, n_buckets: int, max_distance: int, causal: bool) -> tuple[int, int]:
    """How many buckets one side has, and how many of them hold one distance."""
    if n_buckets < (2 if causal else 4) or (not causal and n_buckets % 2):
        wanted = "at least 2" if causal else "an even number, at least 4, for two sides"
        raise ValueError(f"{name}: n_buckets: expected {wanted}, got {n_buckets}")
    n_side = n_buckets if causal else n_buckets // 2
    if max_distance <= n_side // 2:
        raise ValueError(f"{name}: max_distance: expected more than {n_side // 2} exact buckets, got {max_distance}")
    return n_side, n_side // 2


def _one_per_head(name: str, query: Tensor, key: Tensor, n_heads: int) -> None:
    _require.same_width(name, query, key)
    for argument, tensor in (("query", query), ("key", key)):
        if tensor.ndim < 3 or tensor.shape[-3] != n_heads:
            raise ValueError(
                f"{name}: {argument}: expected {n_heads} heads [..., {n_heads}, length, width], got shape "
                f"{tuple(tensor.shape)}"
            )


def _known_pairing(name: str, pairing: str) -> None:
    if pairing not in get_args(Pairing):
        raise ValueError(f"{name}: pairing: expected one of {', '.join(get_args(Pairing))}, got {pairing!r}")


def _within(name: str, n: int, length: int) -> None:
    if n > length:
        raise ValueError(f"{name}: expected at most {length} positions, which is what was learned, got {n}")


def _at_least(name: str, least: int, **numbers: int) -> None:
    for argument, number in numbers.items():
        if number < least:
            raise ValueError(f"{name}: {argument}: expected at least {least}, got {number}")
