"""Five classic ways of wiring attention into a network, behind one interface, for targets as long as their sources.

They are the five columns of the table under *Variants* in Wikipedia's "Attention (machine learning)" (as of April
2026): encoder–decoder with plain dot products, encoder–decoder with queries, keys and values (QKV), encoder only with
dot products, encoder only with QKV, and the decoder of a well-known PyTorch tutorial (Robertson, "Translation with a
Sequence to Sequence Network and Attention"), where a linear layer over the last word's embedding and the state gives
the weights by position.

Shapes: ``B`` batch, ``S`` positions of the source, ``L`` = S + 1 with its end token, ``T`` of the target, ``E`` width,
``N`` size of the target's vocabulary, ``P`` positions that the tutorial's layer knows. Masks are boolean, True = a real
token; padding is on the right.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from course_utils.attention import attend, masked_softmax, scaled_dot_product_attention
from course_utils.data import EOS, PAD
from course_utils.decoders import AttentionDecoder, attention_weights, fit_positions
from course_utils.scores import dot_score
from course_utils.seq2seq import Encoder, EncoderDecoder, State, count_parameters

Setting = Literal["encoder-decoder dot", "encoder-decoder qkv", "encoder-only dot", "encoder-only qkv", "tutorial"]
#: The five wirings.
SETTINGS: tuple[Setting, ...] = get_args(Setting)


class Wiring(nn.Module):
    """One of the five, for pairs of which source and target are equally long.

    Every source is given an end token, so that it is as long as its target with one. With an encoder only there is no
    recurrent network at all: the embeddings attend to each other, the output at position i is read from the context at
    position i, and nothing says where a word stands. The others read with a GRU and write with one, word by word.

    Departs from the table: padding is masked in all five, and the tutorial's dropout is left out.

    Args:
        n_source: size of the source's vocabulary.
        n_target: N.
        width: E, of embeddings and states alike.
        setting: which of the five.
        n_positions: P.

    Raises:
        ValueError: the setting is none of the five.
    """

    def __init__(self, n_source: int, n_target: int, width: int, *, setting: Setting, n_positions: int = 64) -> None:
        super().__init__()
        if setting not in SETTINGS:
            raise ValueError(f"Wiring: setting: expected one of {', '.join(SETTINGS)}, got {setting!r}")
        maps = setting.endswith("qkv")
        self.model: EncoderOnly | EncoderDecoder
        if setting.startswith("encoder-only"):
            self.model = EncoderOnly(n_source, n_target, width, maps=maps)
        elif setting == "tutorial":
            decoder = TutorialDecoder(n_target, width, n_positions=n_positions)
            self.model = EncoderDecoder(Encoder(n_source, width, width), decoder)
        else:
            self.model = EncoderDecoder(Encoder(n_source, width, width), CrossDecoder(n_target, width, maps=maps))

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        """Score each token of a target; with a decoder, given the tokens before it.

        Args:
            source: ``[B, S]``, token numbers, without an end token.
            source_mask: ``[B, S]``.
            target: ``[B, T]``, token numbers with EOS at the end and no BOS, T = S + 1.

        Returns:
            ``[B, T, N]``, before the softmax.

        Raises:
            ValueError: the target is not as long as the source with its end token.
        """
        return self.model(*_ended(source, source_mask, target), target)

    def greedy_decode(self, source: Tensor, source_mask: Tensor, max_length: int = 100) -> Tensor:
        """Write with the tokens that score highest, as :meth:`course_utils.seq2seq.EncoderDecoder.greedy_decode`."""
        return self.model.greedy_decode(*_ended(source, source_mask), max_length)

    @torch.no_grad()
    def attention(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        """Weights ``[B, T, L]`` of the source and its end token; arguments and errors as in :meth:`forward`."""
        ended = _ended(source, source_mask, target)
        if isinstance(self.model, EncoderOnly):
            return self.model.look(*ended)[1]
        return attention_weights(self.model, *ended, target)


def width_for(setting: Setting, n_source: int, n_target: int, parameters: int, *, n_positions: int = 64) -> int:
    """The width at which a wiring learns as nearly as can be so many numbers; all arguments as in :class:`Wiring`."""

    def size(width: int) -> int:
        with torch.device("meta"):
            made = Wiring(n_source, n_target, width, setting=setting, n_positions=n_positions)
        return sum(count_parameters(made).values())

    width = 1
    while size(2 * width) <= parameters:
        width *= 2
    step = width
    while step > 1:
        step //= 2
        if size(width + step) <= parameters:
            width += step
    return min(width, width + 1, key=lambda near: abs(size(near) - parameters))


class Look(nn.Module):
    """Attention between two sets of vectors, by plain dot products or through maps to queries, keys and values.

    Args:
        width: E.
        maps: whether there are maps; then the products are divided by √E, else not.
    """

    def __init__(self, width: int, *, maps: bool) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(3 if maps else 0))

    def forward(self, asking: Tensor, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(context [B, Q, E], weights [B, Q, K])`` for ``[B, Q, E]``, ``[B, K, E]`` and ``[B, K]``."""
        allowed = memory_mask.unsqueeze(1)
        if not self.maps:
            return attend(dot_score(asking, memory), memory, allowed)
        query_map, key_map, value_map = self.maps
        return scaled_dot_product_attention(query_map(asking), key_map(memory), value_map(memory), allowed)


class EncoderOnly(nn.Module):
    """Embeddings that attend to each other; a linear layer reads each output from the context at its position.

    Args:
        n_source: size of the source's vocabulary.
        n_target: N.
        width: E.
        maps: see :class:`Look`.
    """

    def __init__(self, n_source: int, n_target: int, width: int, *, maps: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_source, width)
        self.attention = Look(width, maps=maps)
        self.readout = nn.Linear(width, n_target)

    def look(self, source: Tensor, source_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(context [B, L, E], weights [B, L, L])``."""
        embedded = self.embedding(source)
        return self.attention(embedded, embedded, source_mask)

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        """Score a token for each position, ``[B, L, N]``; the target is not looked at."""
        return self.readout(self.look(source, source_mask)[0])

    @torch.no_grad()
    def greedy_decode(self, source: Tensor, source_mask: Tensor, max_length: int) -> Tensor:
        """Write all positions at once; PAD after the first EOS and where the source has ended."""
        written = self.readout(self.look(source, source_mask)[0]).argmax(-1)
        after_end = (written == EOS).cumsum(1) - (written == EOS).long() > 0
        return written.masked_fill(after_end | ~source_mask, PAD)[:, :max_length]


class CrossDecoder(AttentionDecoder):
    """The decoder of the two encoder–decoder settings: a GRU steps, its state asks, context and state give the word.

    Carried: ``(s [B, E], weights [B, L])``.

    Args:
        n_tokens: N.
        width: E.
        maps: see :class:`Look`.
    """

    def __init__(self, n_tokens: int, width: int, *, maps: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, width)
        self.cell = nn.GRU(width, width, batch_first=True)
        self.attention = Look(width, maps=maps)
        self.readout = nn.Linear(2 * width, n_tokens)

    def start(self, last: Tensor) -> State:
        """The encoder's last state is the first; no weights yet."""
        return last, last.new_zeros(len(last), 0)

    def step(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Write one token, as :meth:`course_utils.seq2seq.Decoder.step` says."""
        logits, state = self(previous.unsqueeze(1), state, memory, memory_mask)
        return logits.squeeze(1), state

    def forward(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Take all steps at once, as none hears of what was looked at before."""
        states, after = self.cell(self.embedding(previous), state[0].unsqueeze(0))
        context, weights = self.attention(states, memory, memory_mask)
        return self.readout(torch.cat([context, states], -1)), (after.squeeze(0), weights[:, -1])


class TutorialDecoder(AttentionDecoder):
    """The tutorial's: a linear layer over the last word's embedding and the state gives a score for each position.

    The states of the encoder are mixed, but never looked at to find out which to mix: the location-based score of
    Luong, Pham & Manning (2015), Equation 8, with the word beside the state. Positions from P on are never looked at.

    Carried: ``(s [B, E], weights [B, L])``.

    Args:
        n_tokens: N.
        width: E.
        n_positions: P, the tutorial's ``max_length``.
    """

    def __init__(self, n_tokens: int, width: int, *, n_positions: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, width)
        self.positions = nn.Linear(2 * width, n_positions)
        self.combine = nn.Linear(2 * width, width)
        self.cell = nn.GRU(width, width, batch_first=True)
        self.readout = nn.Linear(width, n_tokens)

    def start(self, last: Tensor) -> State:
        """The encoder's last state is the first; no weights yet."""
        return last, last.new_zeros(len(last), 0)

    def step(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Write one token, as :meth:`course_utils.seq2seq.Decoder.step` says."""
        embedded, before = self.embedding(previous), state[0]
        scores = fit_positions(self.positions(torch.cat([embedded, before], -1)), memory.shape[1])
        weights = masked_softmax(scores, memory_mask)
        context = (weights.unsqueeze(1) @ memory).squeeze(1)
        mixed = torch.relu(self.combine(torch.cat([embedded, context], -1)))
        after = self.cell(mixed.unsqueeze(1), before.unsqueeze(0))[1].squeeze(0)
        return self.readout(after), (after, weights)


def _ended(source: Tensor, mask: Tensor, target: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The source with EOS behind its last token, ``[B, L]``, and its mask."""
    if target is not None and (target.ndim != 2 or target.shape[1] != source.shape[1] + 1):
        expected = f"{source.shape[1] + 1} positions, as many as the source with its end token"
        raise ValueError(f"Wiring: target: expected {expected}, got {list(target.shape)}")
    longer = nn.functional.pad(source, (0, 1), value=PAD).scatter(1, mask.sum(1, keepdim=True), EOS)
    return longer, nn.functional.pad(mask, (1, 0), value=True)
