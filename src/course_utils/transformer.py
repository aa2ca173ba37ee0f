"""The Transformer that translates: an encoder that reads, a decoder that writes.

Shapes: ``B`` batch, ``S`` positions of the source, ``T`` positions of the target, ``Q`` new ones among them, ``H``
heads, ``D`` head width, ``E`` model width, ``N`` size of the target's vocabulary, ``L`` layers. Masks are boolean, True
= a real token.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course_utils.attention import MultiHeadAttention
from course_utils.blocks import (
    DecoderBlock,
    EncoderBlock,
    Norm,
    Past,
    embedding,
    final_norm,
    require_ids,
    scaled_embedding,
)
from course_utils.data import BOS, EOS, PAD
from course_utils.masks import causal_mask
from course_utils.positional import sinusoidal_encoding
from course_utils.seq2seq import shift_right


class AttentionMaps(NamedTuple):
    """All weights of one pass, a tensor a layer, the layer nearest to the embeddings first.

    Attributes:
        encoder: ``[B, H, S, S]`` each, of the source's positions for each other.
        decoder: ``[B, H, T, T]`` each, of the target's positions for those up to them.
        cross: ``[B, H, T, S]`` each, of the target's positions for the source's.
    """

    encoder: list[Tensor]
    decoder: list[Tensor]
    cross: list[Tensor]


class Transformer(nn.Module):
    """Encoder and decoder of Vaswani et al. (2017), Figure 1.

    Embeddings are multiplied by √E, and the target's embedding is the output map as well (Section 3.4); sinusoids are
    added (3.5); dropout acts on the sums and on every sublayer's output (5.4). The output map has no bias. Embeddings
    start with variance 1 / E, so that what enters the first block has variance 1. Called as
    :class:`course_utils.seq2seq.EncoderDecoder`, so that :func:`course_utils.training.train` takes either.

    Args:
        n_source: size of the source's vocabulary.
        n_target: N.
        width: E, even; 512 in the paper's base model.
        n_heads: H; 8 there.
        hidden_width: F; 2048 there.
        n_layers: L, of the encoder and of the decoder; 6 there.
        norm: ``post`` as printed, or ``pre``, with a LayerNorm at the end of each stack (:class:`.blocks.Residual`).
        dropout: 0.1 there.
        shared: whether source and target have one vocabulary and one embedding, as in the paper.

    Raises:
        ValueError: the width is odd or not a multiple of H, there is no layer, the norm is unknown, or the embedding is
            to be shared by vocabularies of two sizes.
    """

    def __init__(
        self,
        n_source: int,
        n_target: int,
        *,
        width: int,
        n_heads: int,
        hidden_width: int,
        n_layers: int,
        norm: Norm = "post",
        dropout: float = 0.1,
        shared: bool = False,
    ) -> None:
        super().__init__()
        if width % 2 or n_layers < 1:
            got = f"{width} and {n_layers}"
            raise ValueError(f"Transformer: width, n_layers: expected an even width and at least 1 layer, got {got}")
        if shared and n_source != n_target:
            raise ValueError(f"Transformer: shared: expected vocabularies of one size, got {n_source} and {n_target}")
        options: dict[str, Any] = {"norm": norm, "dropout": dropout}
        self.target_embedding = embedding(n_target, width)
        self.source_embedding = self.target_embedding if shared else embedding(n_source, width)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.ModuleList(EncoderBlock(width, n_heads, hidden_width, **options) for _ in range(n_layers))
        self.encoder_norm = final_norm(width, norm)
        self.decoder = nn.ModuleList(DecoderBlock(width, n_heads, hidden_width, **options) for _ in range(n_layers))
        self.decoder_norm = final_norm(width, norm)

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        """Score each token of a target, given the tokens before it: all at once.

        Args:
            source: ``[B, S]``, token numbers.
            source_mask: ``[B, S]``.
            target: ``[B, T]``, token numbers with EOS at the end and no BOS.

        Returns:
            ``[B, T, N]``: at position t the scores for ``target[:, t]``, before the softmax.

        Raises:
            ValueError: an argument is of another type or shape.
        """
        return self._translate(source, source_mask, target)[0]

    def weights(self, source: Tensor, source_mask: Tensor, target: Tensor) -> AttentionMaps:
        """The weights of every head with which each token of a target is scored; arguments as of :meth:`forward`.

        Row t of ``decoder`` and ``cross`` is of the position that scores ``target[:, t]``; it is given the token before
        it, so column j of ``decoder`` is BOS for j = 0, else ``target[:, j − 1]``.
        """
        return self._translate(source, source_mask, target)[1]

    def encode(self, source: Tensor, mask: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Read a batch of sentences.

        Args:
            source: ``[B, S]``, token numbers.
            mask: ``[B, S]``.

        Returns:
            ``(memory, weights)``: ``[B, S, E]``, meaningless where there is padding; and ``[B, H, S, S]`` a layer.

        Raises:
            ValueError: ids or mask are of another type or shape.
        """
        require_ids("Transformer", "source", source)
        if mask.shape != source.shape or mask.dtype != torch.bool:
            expected = f"{list(source.shape)} of torch.bool (True = a token)"
            raise ValueError(f"Transformer: source_mask: expected {expected}, got {list(mask.shape)} of {mask.dtype}")
        x, rows = self._embed(self.source_embedding, source), []
        for block in self.encoder:
            x, weights = block(x, mask[:, None, None])
            rows.append(weights)
        return self.encoder_norm(x), rows

    @torch.no_grad()
    def greedy_decode(self, source: Tensor, source_mask: Tensor, max_length: int = 100) -> Tensor:
        """Write with the token that scores highest, again and again, until the end token.

        Keys and values of what was written are kept from step to step, so that each step computes one position.

        Args:
            source: ``[B, S]``, token numbers.
            source_mask: ``[B, S]``.
            max_length: stop after so many tokens, the end token among them.

        Returns:
            ``[B, T]``, token numbers; EOS where a sentence has ended and PAD after it; T ≤ ``max_length``.

        Raises:
            ValueError: an argument is of another type or shape, or ``max_length`` is not positive.
        """
        if max_length < 1:
            raise ValueError(f"greedy_decode: max_length: expected at least 1, got {max_length}")
        read = self._read(self.encode(source, source_mask)[0])
        past: Sequence[Past | None] = [None] * len(self.decoder)
        token = torch.full_like(source[:, 0], BOS)
        ended = torch.zeros_like(token, dtype=torch.bool)
        written: list[Tensor] = []
        while len(written) < max_length and not ended.all():
            logits, _, _, past = self._write(token[:, None], read, source_mask, past)
            token = logits[:, 0].argmax(-1).masked_fill(ended, PAD)
            ended = ended | (token == EOS)
            written.append(token)
        return torch.stack(written, 1)

    def _translate(self, source: Tensor, source_mask: Tensor, target: Tensor) -> tuple[Tensor, AttentionMaps]:
        require_ids("Transformer", "target", target)
        if len(target) != len(source):
            raise ValueError(f"Transformer: target: expected {len(source)} sentences as in source, got {len(target)}")
        memory, encoder = self.encode(source, source_mask)
        nothing: list[None] = [None] * len(self.decoder)
        logits, own, cross, _ = self._write(shift_right(target), self._read(memory), source_mask, nothing)
        return logits, AttentionMaps(encoder, own, cross)

    def _read(self, memory: Tensor) -> list[Past]:
        """The memory as each block of the decoder looks at it."""
        return [block.read(memory) for block in self.decoder]

    def _write(
        self, previous: Tensor, read: Sequence[Past], source_mask: Tensor, past: Sequence[Past | None]
    ) -> tuple[Tensor, list[Tensor], list[Tensor], list[Past]]:
        """Logits ``[B, Q, N]`` for what follows Q new tokens, both kinds of weights, and the past to carry on."""
        start = 0 if past[0] is None else past[0].key.shape[-2]
        x = self._embed(self.target_embedding, previous, start)
        mask = causal_mask(previous.shape[1], start + previous.shape[1]).to(x.device)
        own, cross, kept = [], [], []
        for block, looked_at, before in zip(self.decoder, read, past, strict=True):
            x, own_weights, cross_weights, present = block.extend(
                x, looked_at, before, mask=mask, memory_mask=source_mask[:, None, None]
            )
            own.append(own_weights)
            cross.append(cross_weights)
            kept.append(present)
        return nn.functional.linear(self.decoder_norm(x), self.target_embedding.weight), own, cross, kept

    def _embed(self, table: nn.Embedding, tokens: Tensor, start: int = 0) -> Tensor:
        """What enters the first block, ``[B, Q, E]``, for tokens that stand at ``start`` and after."""
        vectors = scaled_embedding(table, tokens)
        positions = sinusoidal_encoding(start + tokens.shape[1], table.embedding_dim, dtype=vectors.dtype)
        return self.dropout(vectors + positions[start:].to(vectors.device))


def with_heads(model: Transformer, heads: Tensor) -> Transformer:
    """A copy in which every head's output is multiplied by a number: 0 switches the head off.

    Args:
        model: stays as it is.
        heads: ``[3, L, H]``: of the encoder's self-attention, the decoder's self-attention, and the attention of the
            decoder to the source.

    Returns:
        A model like the first; the numbers have gone into the maps that make its values.

    Raises:
        ValueError: there are other numbers of layers or heads.
    """
    changed = copy.deepcopy(model)
    kinds: list[list[MultiHeadAttention]] = [
        [block.attention for block in changed.encoder],
        [block.attention for block in changed.decoder],
        [block.cross_attention for block in changed.decoder],
    ]
    n_heads = kinds[0][0].n_heads
    if heads.shape != (3, len(kinds[0]), n_heads):
        raise ValueError(f"with_heads: heads: expected [3, {len(kinds[0])}, {n_heads}], got {list(heads.shape)}")
    with torch.no_grad():
        for kind, rows in zip(kinds, heads, strict=True):
            for attention, numbers in zip(kind, rows, strict=True):
                by_head = attention.value_map.weight.unflatten(0, (n_heads, -1))
                by_head.mul_(numbers[:, None, None].to(by_head))
    return changed
