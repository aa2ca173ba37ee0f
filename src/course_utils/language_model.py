"""The decoder alone: a model that says what comes next, and the cache with which it writes.

Shapes: ``B`` batch, ``T`` positions, ``Q`` new ones among them, ``K`` all up to now, ``H`` heads, ``D`` head width,
``E`` model width, ``N`` size of the vocabulary, ``L`` layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor, nn

from course_utils.blocks import (
    Activation,
    EncoderBlock,
    Norm,
    Past,
    Score,
    embedding,
    final_norm,
    require_ids,
    scaled_embedding,
)
from course_utils.masks import causal_mask
from course_utils.positional import (
    AlibiScore,
    BucketScore,
    LearnedPositions,
    RelativeScore,
    RotaryScore,
    sinusoidal_encoding,
)
from course_utils.scores import scaled_dot_score

Positions = Literal["sinusoidal", "learned", "rotary", "alibi", "relative", "buckets", "none"]
Cache = tuple[Past, ...]


class LanguageModel(nn.Module):
    """Blocks of causal self-attention over one sequence: Liu et al. (2018), Radford et al. (2018).

    Embeddings are scaled and tied as in :class:`course_utils.transformer.Transformer`. There is no token for padding:
    all sequences of a batch have one length.

    How it tells positions: ``sinusoidal`` and ``learned`` vectors are added to the embeddings; ``rotary``, ``alibi``,
    ``relative`` (a table a layer) and ``buckets`` (one for all layers) change the scores, see
    :mod:`course_utils.positional`; with ``none`` there is only the causal mask.

    Args:
        n_tokens: N.
        width: E.
        n_heads: H.
        n_layers: L.
        hidden_width: F; 4 · E unless said; 0 for a model of attention alone.
        positions: see above.
        norm: ``pre``, with a LayerNorm at the end, or ``post`` (:class:`course_utils.blocks.Residual`).
        dropout: on embeddings and on sublayers' outputs.
        activation: of the feed-forward networks.
        length: how many positions can be learned; needed for ``learned`` and not looked at else.
        reach: the distance from which on ``relative`` (its clip) and ``buckets`` (its maximal distance) tell no more.

    Raises:
        ValueError: a choice is unknown, H does not divide E, there is no layer, sinusoids or rotations would have odd
            width, or ``learned`` has no length.
    """

    def __init__(
        self,
        n_tokens: int,
        *,
        width: int,
        n_heads: int,
        n_layers: int,
        hidden_width: int | None = None,
        positions: Positions = "sinusoidal",
        norm: Norm = "pre",
        dropout: float = 0.0,
        activation: Activation = "relu",
        length: int | None = None,
        reach: int = 64,
    ) -> None:
        super().__init__()
        _require_positions(positions, width, n_heads, n_layers, length)
        self.positions = positions
        self.embedding = embedding(n_tokens, width)
        self.learned = LearnedPositions(length, width) if positions == "learned" and length else None
        self.dropout = nn.Dropout(dropout)
        hidden = 4 * width if hidden_width is None else hidden_width
        self.blocks = nn.ModuleList(
            EncoderBlock(width, n_heads, hidden, norm=norm, dropout=dropout, activation=activation, score=score)
            for score in _scores(positions, n_layers, n_heads, width // n_heads, reach)
        )
        self.norm = final_norm(width, norm)

    def forward(self, tokens: Tensor, *, heads: Tensor | None = None) -> Tensor:
        """Score every token as the next one, after each position.

        Args:
            tokens: ``[B, T]``, token numbers.
            heads: ``[L, H]``, booleans or numbers that the heads' outputs are multiplied by; 0 switches a head off.

        Returns:
            ``[B, T, N]``: at position t the scores, before the softmax, of what follows ``tokens[:, t]``.

        Raises:
            ValueError: an argument is of another type or shape, or there are more positions than were learned.
        """
        return self.step(tokens, heads=heads)[0]

    def step(self, tokens: Tensor, cache: Cache = (), *, heads: Tensor | None = None) -> tuple[Tensor, Cache]:
        """The same for tokens that follow others, of which keys and values are in a cache.

        Args:
            tokens: ``[B, Q]``, the new ones.
            cache: what the step before has returned; ``()`` at the beginning. It is not changed.
            heads: as in :meth:`forward`; the same in all steps, since later layers' keys depend on it.

        Returns:
            ``(logits, cache)``: ``[B, Q, N]``; keys and values ``[B, H, K, D]`` of all tokens up to now, by layer.

        Raises:
            ValueError: as in :meth:`forward`, or the cache is of another number of layers or sequences.
        """
        logits, _, cache = self._run(tokens, cache, heads)
        return logits, cache

    def weights(self, tokens: Tensor, *, heads: Tensor | None = None) -> list[Tensor]:
        """The weights of all heads, ``[B, H, T, T]`` a layer; arguments as of :meth:`forward`."""
        return self._run(tokens, (), heads)[1]

    def _run(self, tokens: Tensor, cache: Cache, heads: Tensor | None) -> tuple[Tensor, list[Tensor], Cache]:
        self._require_call(tokens, cache, heads)
        past: Sequence[Past | None] = cache or [None] * len(self.blocks)
        gates: Sequence[Tensor | None] = [None] * len(self.blocks) if heads is None else list(heads)
        start = cache[0].key.shape[-2] if cache else 0
        x = self._embed(tokens, start)
        mask = causal_mask(tokens.shape[1], start + tokens.shape[1]).to(x.device)
        rows, kept = [], []
        for block, before, gate in zip(self.blocks, past, gates, strict=True):
            x, weights, present = block.extend(x, before, mask=mask, heads=gate)
            rows.append(weights)
            kept.append(present)
        return nn.functional.linear(self.norm(x), self.embedding.weight), rows, tuple(kept)

    def _embed(self, tokens: Tensor, start: int) -> Tensor:
        """What enters the first block, ``[B, Q, E]``, for tokens that stand at ``start`` and after."""
        x, end = scaled_embedding(self.embedding, tokens), start + tokens.shape[1]
        if self.learned is not None:
            x = x + self.learned(end)[start:]
        elif self.positions == "sinusoidal":
            x = x + sinusoidal_encoding(end, x.shape[-1], dtype=x.dtype)[start:].to(x.device)
        return self.dropout(x)

    def _require_call(self, tokens: Tensor, cache: Cache, heads: Tensor | None) -> None:
        require_ids("LanguageModel", "tokens", tokens)
        n_layers, n_heads = len(self.blocks), self.blocks[0].attention.n_heads
        if cache and (len(cache) != n_layers or len(cache[0].key) != len(tokens)):
            expected = f"{n_layers} layers of {len(tokens)} sequences"
            raise ValueError(f"LanguageModel: cache: expected {expected}, got {len(cache)} of {len(cache[0].key)}")
        if heads is not None and heads.shape != (n_layers, n_heads):
            raise ValueError(f"LanguageModel: heads: expected [{n_layers}, {n_heads}], got {list(heads.shape)}")


# --- Below ------------------------------------------------------------------------------------------------------


def _scores(positions: Positions, n_layers: int, n_heads: int, head_width: int, reach: int) -> list[Score]:
    """What each layer scores with."""
    match positions:
        case "rotary":
            return [RotaryScore() for _ in range(n_layers)]
        case "alibi":
            return [AlibiScore(n_heads) for _ in range(n_layers)]
        case "relative":
            return [RelativeScore(head_width, reach) for _ in range(n_layers)]
        case "buckets":
            return [BucketScore(n_heads, max_distance=reach)] * n_layers
        case _:
            return [scaled_dot_score] * n_layers


def _require_positions(positions: str, width: int, n_heads: int, n_layers: int, length: int | None) -> None:
    name = "LanguageModel"
    if positions not in get_args(Positions):
        expected = ", ".join(get_args(Positions))
        raise ValueError(f"{name}: positions: expected one of {expected}, got {positions!r}")
    if n_layers < 1:
        raise ValueError(f"{name}: n_layers: expected at least 1, got {n_layers}")
    if positions == "learned" and (length is None or length < 1):
        raise ValueError(f"{name}: length: expected how many positions are to be learned, got {length}")
    if positions == "sinusoidal" and width % 2:
        raise ValueError(f"{name}: width: expected an even number for sinusoids, got {width}")
    if positions == "rotary" and width % (2 * n_heads):
        raise ValueError(f"{name}: width: expected heads of even width for rotations, got {width} for {n_heads} heads")
