"""What attention must compute and move, in closed form, and how fast a card could do that at best.

The other half of :mod:`course_utils.benchmark`, which measures. Letters: ``Q`` queries, ``K`` keys, ``D`` width of a
query or key, ``V`` of a value, ``H`` heads (or batch entries times heads), ``B_q`` and ``B_k`` rows of a block. One
FLOP is one addition or multiplication; a byte is moved when it crosses between the large slow memory and the small
fast one.
"""

from __future__ import annotations

from dataclasses import dataclass

# --- Attention ----------------------------------------------------------------------------------------------------


def attention_flops(
    n_queries: int, n_keys: int, width: int, *, heads: int = 1, causal: bool = False, backward: bool = False
) -> int:
    """The operations of attention as the papers on flash attention count them: Dao (2023), Section 4.1.

    4·Q·K·D·H: two matrix products of 2·Q·K·D for each head. Half of it with a causal mask, which is a convention: what
    is really computed depends on the blocks. The backward has 2.5 times as many as the forward, five products for
    two, because it makes the scores again.

    Args:
        n_queries: Q.
        n_keys: K.
        width: D, which is V too.
        heads: H, times the size of the batch.
        causal: count half.
        backward: count the backward, without the forward.

    Raises:
        ValueError: a size is below 1.
    """
    _at_least_one("attention_flops", n_queries=n_queries, n_keys=n_keys, width=width, heads=heads)
    products = 5 if backward else 2
    return products * (1 if causal else 2) * n_queries * n_keys * width * heads


@dataclass(frozen=True)
class Traffic:
    """Bytes that cross between the slow memory and the fast one.

    Attributes:
        loaded: out of the slow memory.
        stored: into it.
    """

    loaded: int
    stored: int

    @property
    def total(self) -> int:
        """Both directions."""
        return self.loaded + self.stored


def tile_traffic(
    n_queries: int,
    n_keys: int,
    width: int,
    value_width: int,
    blocks: tuple[int, int],
    *,
    causal: bool = False,
    backward: bool = False,
    element_size: int = 4,
    heads: int = 1,
) -> Traffic:
    """What :func:`course_utils.flash.flash_attention` moves, to the byte.

    With e bytes a number, s = max(e, 4) where it is kept in float32 at least, and 8 of a log-sum-exp and of a Δ, for
    each head:

    - forward, for each block of queries all keys and values: loads e·(Q·D + ⌈Q/B_q⌉·K·(D + V)), stores e·Q·V, and the
      log-sum-exp, 8·Q;
    - backward, first Δ: loads e·2·Q·V, stores 8·Q. Then keys and values once, and for each block of keys all queries
      with their gradients and two numbers a row: loads e·K·(D + V) + ⌈K/B_k⌉·Q·(e·(D + V) + 2·8 + s·D), stores
      e·K·(D + V) + ⌈K/B_k⌉·Q·s·D.

    With a causal mask a block of queries meets, in the place of all K keys and ⌈K/B_k⌉ blocks, only the blocks up to
    the last key that its last query sees. The gradient is taken of the output; a log-sum-exp that has one of its own
    adds s·Q loaded.

    Args:
        n_queries: Q.
        n_keys: K.
        width: D.
        value_width: V.
        blocks: ``(B_q, B_k)``.
        causal: query i sees the keys 0 to i + K − Q.
        backward: what the backward moves, without the forward.
        element_size: e, bytes of a number of queries, keys, values and output.
        heads: H, times the size of the batch.

    Raises:
        ValueError: a size is below 1.
    """
    _require_sizes("tile_traffic", n_queries, n_keys, width, value_width, blocks, element_size, heads)
    e, s, row = element_size, max(element_size, 4), element_size * (width + value_width)
    keys, queries = _passing(n_queries, n_keys, blocks, causal)
    if backward:
        return Traffic(
            heads * (2 * e * n_queries * value_width + row * n_keys + queries * (row + 2 * 8 + s * width)),
            heads * (8 * n_queries + row * n_keys + queries * s * width),
        )
    return Traffic(heads * (e * n_queries * width + row * keys), heads * (e * n_queries * value_width + 8 * n_queries))


def kernel_traffic(
    n_queries: int,
    n_keys: int,
    width: int,
    value_width: int,
    blocks: tuple[int, int],
    *,
    causal: bool = False,
    backward: bool = False,
    element_size: int = 2,
    heads: int = 1,
) -> Traffic:
    """What :func:`course_utils.flash_triton.flash_attention` moves, to the byte, when its tiles are given.

    As :func:`tile_traffic`, but 4 bytes a log-sum-exp and a Δ, and in the backward each tile is made twice, so that no
    gradient is loaded. With e bytes a number, for each head:

    - forward: loads e·(Q·D + ⌈Q/B_q⌉·K·(D + V)), stores e·Q·V + 4·Q;
    - backward, Δ: loads e·2·Q·V, stores 4·Q; keys and values: loads e·K·(D + V) + ⌈K/B_k⌉·Q·(e·(D + V) + 2·4), stores
      e·K·(D + V); queries: loads Q·(e·(D + V) + 2·4) + ⌈Q/B_q⌉·K·e·(D + V), stores e·Q·D.

    A causal mask leaves what it leaves there, and a log-sum-exp with a gradient of its own adds 4·Q loaded.

    Args:
        n_queries: Q.
        n_keys: K.
        width: D.
        value_width: V.
        blocks: ``(B_q, B_k)`` of the kernel, or of both that the backward has.
        causal: query i sees the keys 0 to i + K − Q.
        backward: what the backward moves, without the forward.
        element_size: e, bytes of a number of queries, keys, values and output.
        heads: H, times the size of the batch.

    Raises:
        ValueError: a size is below 1.
    """
    _require_sizes("kernel_traffic", n_queries, n_keys, width, value_width, blocks, element_size, heads)
    e, row = element_size, element_size * (width + value_width)
    keys, queries = _passing(n_queries, n_keys, blocks, causal)
    if not backward:
        loaded, stored = e * n_queries * width + row * keys, e * n_queries * value_width + 4 * n_queries
        return Traffic(heads * loaded, heads * stored)
    loaded = 2 * e * n_queries * value_width
    loaded += row * n_keys + (row + 2 * 4) * queries
    loaded += (row + 2 * 4) * n_queries + row * keys
    return Traffic(heads * loaded, heads * (4 * n_queries + row * n_keys + e * n_queries * width))


def _passing(n_queries: int, n_keys: int, blocks: tuple[int, int], causal: bool) -> tuple[int, int]:
    """How many keys pass by the blocks of queries, and how many queries by the blocks of keys, over all blocks."""
    ends = [min(start + blocks[0], n_queries) for start in range(0, n_queries, blocks[0])]
    seen = [min(max(end + n_keys - n_queries, 0), n_keys) if causal else n_keys for end in ends]
    starts = [0, *ends[:-1]]
    met = [(end - start, -(-keys // blocks[1])) for start, end, keys in zip(starts, ends, seen, strict=True)]
    return sum(min(tiles * blocks[1], n_keys) for _, tiles in met), sum(rows * tiles for rows, tiles in met)


def _require_sizes(
    name: str,
    n_queries: int,
    n_keys: int,
    width: int,
    value_width: int,
    blocks: tuple[int, int],
    element_size: int,
    heads: int,
) -> None:
    _at_least_one(name, n_queries=n_queries, n_keys=n_keys, width=width, value_width=value_width)
    _at_least_one(name, **dict(zip(("blocks[0]", "blocks[1]"), blocks, strict=True)))
    _at_least_one(name, element_size=element_size, heads=heads)


def naive_traffic(
    n_queries: int, n_keys: int, width: int, value_width: int, *, element_size: int = 4, heads: int = 1
) -> Traffic:
    """What the plain form moves, in three passes that each read from and write to the slow memory.

    Dao et al. (2022), Algorithm 0. With e bytes a number, for each head: the scores, loads e·(Q + K)·D, stores e·Q·K;
    the softmax, loads and stores e·Q·K; the output, loads e·(Q·K + K·V), stores e·Q·V. The scale and a mask are taken
    to be part of the softmax.

    Args:
        n_queries: Q.
        n_keys: K.
        width: D.
        value_width: V.
        element_size: e.
        heads: H, times the size of the batch.

    Raises:
        ValueError: a size is below 1.
    """
    _at_least_one("naive_traffic", n_queries=n_queries, n_keys=n_keys, width=width, value_width=value_width)
    _at_least_one("naive_traffic", element_size=element_size, heads=heads)
    weights = n_queries * n_keys
    loaded = (n_queries + n_keys) * width + 2 * weights + n_keys * value_width
    return Traffic(heads * element_size * loaded, heads * element_size * (2 * weights + n_queries * value_width))


# --- Cards --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """A GPU, by what its maker says of it. Nobody reaches a peak; nobody exceeds it either.

    Attributes:
        name: of the card; cards of one chip differ by form.
        bandwidth: of the large memory, bytes per second.
        peak: FLOP/s by the type that the inputs of a matrix product have, dense (data sheets of cards since the A100
            like to print twice that, "with sparsity"). ``tfloat32`` is float32 rounded to TF32 for the tensor cores;
            ``float32`` is full precision, without them.
        fast_memory: bytes of shared memory in each multiprocessor, as large as it can be set.
        source: where the numbers are from.
    """

    name: str
    bandwidth: float
    peak: dict[str, float]
    fast_memory: int
    source: str


_KB = 1024
_SHARED = "Shared memory: NVIDIA, CUDA C++ Programming Guide, table of compute capabilities"
_SPARSE = "the sheet's rates for tensor cores are with sparsity, and halved here"

# The sheets could not be opened where this was written (November 2026): the numbers are as others print them from the
# sheets that are named, most of them compared in two places, without a difference but for the one that is told.
#: Cards by name, with what their data sheets say.
CARDS: dict[str, Card] = {
    card.name: card
    for card in (
        Card(
            "V100 SXM2",
            900e9,
            {"float16": 125e12, "float32": 15.7e12},
            96 * _KB,
            f"NVIDIA V100 data sheet 1165301; it has no bfloat16. {_SHARED}, 7.0.",
        ),
        Card(
            "T4",
            320e9,
            {"float16": 65e12, "float32": 8.1e12},
            64 * _KB,
            "NVIDIA T4 data sheet 951643; it has no bfloat16. Bandwidth: the sheet says 300 GB/s, the card's own clock "
            f"and bus, 2 × 5001 MHz × 256 bits, make 320. {_SHARED}, 7.5.",
        ),
        Card(
            "A100 SXM 80GB",
            2039e9,
            {"bfloat16": 312e12, "float16": 312e12, "tfloat32": 156e12, "float32": 19.5e12},
            164 * _KB,
            f"NVIDIA A100 data sheet 2188504 (May 2022), without sparsity. {_SHARED}, 8.0.",
        ),
        Card(
            "L4",
            300e9,
            {"bfloat16": 121e12, "float16": 121e12, "tfloat32": 60e12, "float32": 30.3e12},
            100 * _KB,
            f"NVIDIA L4 data sheet; {_SPARSE}. {_SHARED}, 8.9.",
        ),
        Card(
            "H100 SXM",
            3.35e12,
            {"bfloat16": 989.5e12, "float16": 989.5e12, "tfloat32": 494.5e12, "float32": 67e12},
            228 * _KB,
            f"NVIDIA H100 data sheet; {_SPARSE}. {_SHARED}, 9.0.",
        ),
        Card(
            "H200 SXM",
            4.8e12,
            {"bfloat16": 989.5e12, "float16": 989.5e12, "tfloat32": 494.5e12, "float32": 67e12},
            228 * _KB,
            f"NVIDIA H200 data sheet 3367400 (July 2024); {_SPARSE}. {_SHARED}, 9.0.",
        ),
    )
}


@dataclass(frozen=True)
class Roof:
    """What a card allows at best for some operations and some traffic.

    Attributes:
        intensity: operations for each byte that crosses, FLOP/byte.
        attainable: FLOP/s at best: the card's peak, or what the bandwidth can feed.
        seconds: at least; a shorter time is a mistake in the measuring, or in the counting.
        bound: "compute" where the peak is the limit, "memory" where the bandwidth is.
    """

    intensity: float
    attainable: float
    seconds: float
    bound: str


def roofline(flops: float, traffic: float, card: Card, dtype: str = "bfloat16") -> Roof:
    """The roofline of Williams, Waterman & Patterson (2009): computing and moving overlap, and the slower one decides.

    Args:
        flops: operations in matrix products.
        traffic: bytes that cross.
        card: such as ``CARDS["H200 SXM"]``.
        dtype: name of the inputs' type, one of ``card.peak``.

    Raises:
        ValueError: flops or traffic are not positive, or the card has no rate for the type.
    """
    for argument, number in (("flops", flops), ("traffic", traffic)):
        if not number > 0:
            raise ValueError(f"roofline: {argument}: expected more than 0, got {number}")
    if dtype not in card.peak:
        raise ValueError(f"roofline: dtype: expected one of {', '.join(card.peak)} for {card.name}, got {dtype}")
    computing, moving = flops / card.peak[dtype], traffic / card.bandwidth
    seconds = max(computing, moving)
    return Roof(flops / traffic, flops / seconds, seconds, "compute" if computing >= moving else "memory")


def _at_least_one(name: str, **sizes: int) -> None:
    for argument, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: {argument}: expected at least 1, got {size}")
