"""What a Transformer is stacked from: attention and a feed-forward network, each within a residual connection.

Shapes: ``B`` batch, ``T`` positions, ``S`` positions of the memory, ``H`` heads, ``Q`` queries, ``K`` keys, ``D`` head
width, ``E`` model width, ``F`` hidden width. Masks are boolean, True = may attend. Nothing is kept on a module between
two calls: what a later call needs of an earlier one is returned by the one and given to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from course_utils.attention import MultiHeadAttention
from course_utils.scores import scaled_dot_score

Norm = Literal["post", "pre"]
Activation = Literal["relu", "gelu"]
Score = Callable[[Tensor, Tensor], Tensor]
ACTIVATIONS = {"relu": nn.functional.relu, "gelu": nn.functional.gelu}


class Past(NamedTuple):
    """What every head of one attention looks at: all that has to be kept of the positions before.

    Attributes:
        key: ``[B, H, K, D]``.
        value: ``[B, H, K, D]``.
    """

    key: Tensor
    value: Tensor


class FeedForward(nn.Module):
    """Two linear layers and what bends between them, at each position alone: Vaswani et al. (2017), Equation 2.

    Args:
        width: E; the paper's d_model.
        hidden_width: F; the paper's d_ff.
        activation: ``relu`` as in the paper, or ``gelu`` as in most language models since.

    Raises:
        ValueError: the activation is neither, or a width is less than 1.
    """

    def __init__(self, width: int, hidden_width: int, *, activation: Activation = "relu") -> None:
        super().__init__()
        _require_choice("FeedForward", "activation", activation, get_args(Activation))
        if width < 1 or hidden_width < 1:
            raise ValueError(f"FeedForward: widths: expected at least 1, got {width} and {hidden_width}")
        self.activation = activation
        self.inner = nn.Linear(width, hidden_width)
        self.outer = nn.Linear(hidden_width, width)

    def forward(self, x: Tensor) -> Tensor:
        """From ``[..., E]`` to ``[..., E]``."""
        return self.outer(ACTIVATIONS[self.activation](self.inner(x)))


class Residual(nn.Module):
    """What stands around a sublayer: dropout of its output, the sum with its input, and layer normalisation.

    ``post`` is LayerNorm(x + Sublayer(x)), as printed by Vaswani et al. (2017), Sections 3.1 and 5.4; ``pre`` is
    x + Sublayer(LayerNorm(x)), as in Xiong et al. (2020), where nothing but sums lies between the first block's input
    and the last one's output: a stack of these ends with a LayerNorm of its own, :func:`final_norm`.

    Args:
        width: E.
        norm: see above.
        dropout: the share of the sublayer's output that is set to zero in training.

    Raises:
        ValueError: the norm is neither.
    """

    def __init__(self, width: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        _require_choice("Residual", "norm", norm, get_args(Norm))
        self.kind = norm
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        """What the sublayer is given."""
        return self.norm(x) if self.kind == "pre" else x

    def after(self, x: Tensor, change: Tensor) -> Tensor:
        """What goes on, from the sublayer's input x before :meth:`before`, and its output."""
        total = x + self.dropout(change)
        return total if self.kind == "pre" else self.norm(total)


class EncoderBlock(nn.Module):
    """Self-attention, then the feed-forward network: Vaswani et al. (2017), Section 3.1.

    With a causal mask it is the block of a decoder-only model too. Like the paper it drops sublayers' outputs only;
    torch's ``TransformerEncoderLayer`` drops attention weights and the hidden layer as well, and has attention biases.

    Args:
        width: E.
        n_heads: H.
        hidden_width: F; 0 for a block of attention alone.
        norm: see :class:`Residual`.
        dropout: see :class:`Residual`.
        activation: see :class:`FeedForward`.
        score: of the self-attention, as :class:`course_utils.attention.MultiHeadAttention` takes it.

    Raises:
        ValueError: H does not divide E, or norm or activation is unknown.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        hidden_width: int,
        *,
        norm: Norm = "post",
        dropout: float = 0.1,
        activation: Activation = "relu",
        score: Score = scaled_dot_score,
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, n_heads, score=score)
        self.around_attention = Residual(width, norm, dropout)
        self.feed_forward = FeedForward(width, hidden_width, activation=activation) if hidden_width else None
        self.around_feed_forward = Residual(width, norm, dropout) if hidden_width else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Let every position look at the others and then think alone.

        Args:
            x: ``[B, T, E]``.
            mask: boolean, ``[T, T]`` or ``[B, 1, T, T]`` or what broadcasts to it; padding is ``[B, 1, 1, T]``.

        Returns:
            ``(x, weights)``: ``[B, T, E]`` and ``[B, H, T, T]``.

        Raises:
            ValueError: shapes do not fit, or the mask is not boolean.
        """
        x, weights, _ = self.extend(x, mask=mask)
        return x, weights

    def extend(
        self, x: Tensor, past: Past | None = None, *, mask: Tensor | None = None, heads: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Past]:
        """The same for positions that come after others, of which keys and values are at hand.

        Args:
            x: ``[B, Q, E]``, the new positions.
            past: of the positions before, as an earlier call has returned it; None where there are none.
            mask: as in :meth:`forward`, for Q queries and all K keys, old and new.
            heads: ``[H]``, what each head's output is multiplied by: 0 switches it off.

        Returns:
            ``(x, weights, past)``: ``[B, Q, E]``, ``[B, H, Q, K]``, and the keys and values of all K positions. Weights
            are those of the softmax, also of a head that is switched off.

        Raises:
            ValueError: shapes do not fit, or the mask is not boolean.
        """
        _require_call("EncoderBlock", self.attention, x, past, mask)
        x, weights, present = self_attend(self.attention, self.around_attention, x, past, mask, heads)
        return think(self.feed_forward, self.around_feed_forward, x), weights, present


class DecoderBlock(nn.Module):
    """Self-attention, attention to the memory, the feed-forward network: Vaswani et al. (2017), Section 3.1.

    Args:
        width: as in :class:`EncoderBlock`, like the others.
        n_heads: H, of both attentions.
        hidden_width: F.
        norm: see :class:`Residual`.
        dropout: see :class:`Residual`.
        activation: see :class:`FeedForward`.
        score: of the self-attention; the attention to the memory, whose positions are another sentence's, has the
            scaled dot product.

    Raises:
        ValueError: H does not divide E, or norm or activation is unknown.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        hidden_width: int,
        *,
        norm: Norm = "post",
        dropout: float = 0.1,
        activation: Activation = "relu",
        score: Score = scaled_dot_score,
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, n_heads, score=score)
        self.around_attention = Residual(width, norm, dropout)
        self.cross_attention = MultiHeadAttention(width, n_heads)
        self.around_cross_attention = Residual(width, norm, dropout)
        self.feed_forward = FeedForward(width, hidden_width, activation=activation) if hidden_width else None
        self.around_feed_forward = Residual(width, norm, dropout) if hidden_width else None

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Let every position look at the others, then at the memory, and then think alone.

        Args:
            x: ``[B, T, E]``.
            memory: ``[B, S, E]``, what the encoder has returned.
            mask: of the self-attention, boolean, ``[T, T]`` or ``[B, 1, T, T]`` or what broadcasts to it.
            memory_mask: of the memory, boolean, ``[B, 1, 1, S]`` or what else broadcasts to ``[B, H, T, S]``.

        Returns:
            ``(x, own, cross)``: ``[B, T, E]``; the two attentions' weights, ``[B, H, T, T]`` and ``[B, H, T, S]``.

        Raises:
            ValueError: shapes do not fit, or a mask is not boolean.
        """
        x, own, cross, _ = self.extend(x, self.read(memory), mask=mask, memory_mask=memory_mask)
        return x, own, cross

    def read(self, memory: Tensor) -> Past:
        """Keys and values of the memory ``[B, S, E]``, which stay the same for all that is written."""
        return Past(*self.cross_attention.keys_and_values(memory, memory))

    def extend(
        self,
        x: Tensor,
        memory: Past,
        past: Past | None = None,
        *,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Past]:
        """The same for positions that come after others, of which keys and values are at hand.

        Args:
            x: ``[B, Q, E]``, the new positions.
            memory: of :meth:`read`.
            past: of the positions before, as an earlier call has returned it; None where there are none.
            mask: as in :meth:`forward`, for Q queries and all K keys, old and new.
            memory_mask: as in :meth:`forward`.

        Returns:
            ``(x, own, cross, past)``: as from :meth:`forward`, and the keys and values of all K positions.

        Raises:
            ValueError: shapes do not fit, or a mask is not boolean.
        """
        _require_call("DecoderBlock", self.attention, x, past, mask)
        _require_memory("DecoderBlock", self.attention, x, memory, memory_mask)
        x, own, present = self_attend(self.attention, self.around_attention, x, past, mask)
        query = self.around_cross_attention.before(x)
        change, cross = self.cross_attention.look(query, *memory, memory_mask)
        x = self.around_cross_attention.after(x, change)
        return think(self.feed_forward, self.around_feed_forward, x), own, cross, present


# --- Before and after the blocks ---------------------------------------------------------------------------------


def embedding(n_tokens: int, width: int) -> nn.Embedding:
    """A table whose vectors have a length of about 1, for :func:`scaled_embedding` and as an output map."""
    table = nn.Embedding(n_tokens, width)
    nn.init.normal_(table.weight, std=width**-0.5)
    return table


def scaled_embedding(table: nn.Embedding, tokens: Tensor) -> Tensor:
    """The tokens' vectors times √E: Vaswani et al. (2017), Section 3.4."""
    return table(tokens) * table.embedding_dim**0.5


def final_norm(width: int, norm: Norm) -> nn.Module:
    """What a stack of blocks ends with: a LayerNorm after ``pre``, nothing after ``post``."""
    return nn.LayerNorm(width) if norm == "pre" else nn.Identity()


# --- Below ------------------------------------------------------------------------------------------------------


def self_attend(
    attention: MultiHeadAttention,
    around: Residual,
    x: Tensor,
    past: Past | None,
    mask: Tensor | None,
    heads: Tensor | None = None,
) -> tuple[Tensor, Tensor, Past]:
    """The sublayer of self-attention: new positions look at the old ones and at each other."""
    normed = around.before(x)
    present = Past(*attention.keys_and_values(normed, normed))
    if past is not None:
        present = Past(*(torch.cat(pair, -2) for pair in zip(past, present, strict=True)))
    # A number times a head's output is that number times its values.
    value = present.value if heads is None else present.value * heads[:, None, None].to(x)
    change, weights = attention.look(normed, present.key, value, mask)
    return around.after(x, change), weights, present


def think(feed_forward: FeedForward | None, around: Residual | None, x: Tensor) -> Tensor:
    """The sublayer of the feed-forward network, if there is one."""
    if feed_forward is None or around is None:
        return x
    return around.after(x, feed_forward(around.before(x)))


def require_ids(name: str, argument: str, ids: Tensor) -> None:
    """Raise ValueError unless these are token numbers ``[B, T]`` with at least one column."""
    if ids.ndim != 2 or ids.shape[1] == 0 or ids.dtype != torch.int64:
        got = f"{list(ids.shape)} of {ids.dtype}"
        raise ValueError(f"{name}: {argument}: expected shape [batch, positions] of torch.int64, got {got}")


def _require_choice(name: str, argument: str, got: str, choices: tuple[str, ...]) -> None:
    if got not in choices:
        raise ValueError(f"{name}: {argument}: expected {' or '.join(map(repr, choices))}, got {got!r}")


def _require_call(name: str, attention: MultiHeadAttention, x: Tensor, past: Past | None, mask: Tensor | None) -> None:
    width, n_heads = attention.query_map.in_features, attention.n_heads
    if x.ndim != 3 or x.shape[-1] != width:
        raise ValueError(f"{name}: x: expected shape [batch, positions, {width}], got {list(x.shape)}")
    batch, n_queries = x.shape[:2]
    if past is not None and tuple(past.key.shape[:2]) != (batch, n_heads):
        expected = f"[{batch}, {n_heads}, positions, {width // n_heads}]"
        raise ValueError(f"{name}: past: expected keys of shape {expected}, got {list(past.key.shape)}")
    n_keys = n_queries + (0 if past is None else past.key.shape[-2])
    _require_mask(name, "mask", mask, (batch, n_heads, n_queries, n_keys))


def _require_memory(
    name: str, attention: MultiHeadAttention, x: Tensor, memory: Past, memory_mask: Tensor | None
) -> None:
    batch, n_heads = len(x), attention.n_heads
    if tuple(memory.key.shape[:2]) != (batch, n_heads):
        raise ValueError(f"{name}: memory: expected {batch} sentences as in x, got {len(memory.key)}")
    _require_mask(name, "memory_mask", memory_mask, (batch, n_heads, x.shape[1], memory.key.shape[-2]))


def _require_mask(name: str, argument: str, mask: Tensor | None, shape: tuple[int, int, int, int]) -> None:
    """Three axes are refused: with as many sentences as heads, each sentence's mask would go to a head."""
    if mask is None:
        return
    batch, n_heads, n_queries, n_keys = shape
    fits = mask.ndim in (1, 2, 4) and all(
        own in (1, size) for own, size in zip(mask.shape[::-1], shape[::-1], strict=False)
    )
    if mask.dtype != torch.bool or not fits:
        expected = f"[{n_queries}, {n_keys}] or [{batch}, 1 or {n_heads}, {n_queries}, {n_keys}] of torch.bool"
        raise ValueError(f"{name}: {argument}: expected {expected}, got {list(mask.shape)} of {mask.dtype}")
