"""From one sequence to another: an encoder that reads, a decoder that writes, and what joins them.

Shapes: ``B`` batch, ``S`` positions of the source, ``T`` positions of the target, ``E`` width of the states, ``W``
width of the embeddings, ``N`` size of the target's vocabulary. Masks are boolean, True = a real token; padding is on
the right.

What a decoder carries from step to step is a tuple of tensors, of which the first is the state of its recurrent cell,
``[B, E]``; what else is in it is the decoder's own matter.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from course_utils.data import BOS, EOS, PAD

State = tuple[Tensor, ...]
Context = Literal["initial", "every-step"]


class Encoder(nn.Module):
    """A GRU that reads a sentence: Cho et al. (2014), Sections 2.2 and 2.3.

    Departs from the paper: in torch's cell the reset gate acts on U h, after the matrix, not on h before it.

    Padding changes nothing: no state is computed for it, and the last state is that after the last real token.

    Args:
        n_tokens: size of the source's vocabulary.
        embedding_width: W.
        width: E, width of a state.
        bidirectional: whether a second GRU reads from the end, as in Bahdanau, Cho & Bengio (2014), Section 3.2. Each
            of the two is then E / 2 wide, so that shapes stay what they are.

    Raises:
        ValueError: both directions are asked for and E is odd.
    """

    def __init__(self, n_tokens: int, embedding_width: int, width: int, *, bidirectional: bool = False) -> None:
        super().__init__()
        if bidirectional and width % 2:
            raise ValueError(f"Encoder: width: expected an even number for two directions, got {width}")
        self.embedding = nn.Embedding(n_tokens, embedding_width)
        each = width // 2 if bidirectional else width
        self.gru = nn.GRU(embedding_width, each, batch_first=True, bidirectional=bidirectional)

    def forward(self, source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Read a batch of sentences.

        Args:
            source: ``[B, S]``, token numbers.
            mask: ``[B, S]``.

        Returns:
            ``(states, last)``: ``[B, S, E]``, zeros where there is padding; and ``[B, E]``, the state after the last
            token. In two directions the halves are of the GRU that goes forward and of that which goes backward; the
            backward half of ``last`` is its state after the *first* token, where it ends.

        Raises:
            ValueError: ids or mask are of another type or shape, or the mask is not of sentences padded on the right.
        """
        _require_ids("Encoder", "source", source)
        _require_mask("Encoder", mask, tuple(source.shape))
        return self.read(self.embedding(source), mask)

    def read(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Read vectors ``[B, S, W]`` in place of token numbers; else as :meth:`forward`."""
        _require_mask("Encoder.read", mask, tuple(vectors.shape[:2]))
        packed = pack_padded_sequence(vectors, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        states, last = self.gru(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=mask.shape[1])
        return states, last.transpose(0, 1).flatten(1)


class Decoder(nn.Module):
    """What every decoder offers; a subclass says what a step is.

    A step gets the encoder's states, ``memory``, and their mask, whether it looks at them or not.
    """

    def start(self, last: Tensor) -> State:
        """What is carried into the first step, from the encoder's last state ``[B, E]``."""
        return (last,)

    def step(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Write one token.

        Args:
            previous: ``[B]``, numbers of the tokens before; BOS in the first step.
            state: what the step before has returned, or :meth:`start`.
            memory: ``[B, S, E]``, the encoder's states.
            memory_mask: ``[B, S]``.

        Returns:
            ``(logits, state)``: ``[B, N]``, a score before the softmax for every token; and what to carry on.
        """
        raise NotImplementedError

    def forward(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Take T steps with tokens that are given: teacher forcing.

        Args:
            previous: ``[B, T]``: the target moved by one place, with BOS in front.
            state: as in :meth:`step`.
            memory: as in :meth:`step`.
            memory_mask: as in :meth:`step`.

        Returns:
            ``(logits, state)``: ``[B, T, N]``, and what the last step has returned.
        """
        rows = []
        for token in previous.unbind(1):
            logits, state = self.step(token, state, memory, memory_mask)
            rows.append(logits)
        return torch.stack(rows, 1), state


class FixedContextDecoder(Decoder):
    """A GRU that writes with one vector c for the whole source, whatever that vector's width: the encoder's last state.

    With ``"initial"`` c is the state to begin with and is never shown again: Sutskever, Vinyals & Le (2014), Section 2.
    With ``"every-step"`` each step and each choice of a word is given c too: Cho et al. (2014), Section 2.2,
    h_t = f(h_{t−1}, y_{t−1}, c) and P(y_t | …) = g(h_t, c). Departs from both: Sutskever's cells are LSTMs in four
    layers; Cho's first state is tanh(V c), and their g, a layer of maxout, sees y_{t−1} as well.

    Args:
        n_tokens: N.
        embedding_width: W.
        width: E, that of the encoder.
        context: when c is given.

    Raises:
        ValueError: the context is neither.
    """

    def __init__(self, n_tokens: int, embedding_width: int, width: int, *, context: Context = "initial") -> None:
        super().__init__()
        if context not in ("initial", "every-step"):
            raise ValueError(f"FixedContextDecoder: context: expected 'initial' or 'every-step', got {context!r}")
        self.context = context
        shown = width if context == "every-step" else 0
        self.embedding = nn.Embedding(n_tokens, embedding_width)
        self.gru = nn.GRU(embedding_width + shown, width, batch_first=True)
        self.readout = nn.Linear(width + shown, n_tokens)

    def start(self, last: Tensor) -> State:
        """The first state is c itself; c stays beside it where every step is given it."""
        return (last, last) if self.context == "every-step" else (last,)

    def step(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Write one token, as :meth:`Decoder.step` says; the memory is not looked at."""
        logits, state = self(previous.unsqueeze(1), state, memory, memory_mask)
        return logits.squeeze(1), state

    def forward(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Take all steps in one call of torch's GRU, since none waits for a choice: see :meth:`Decoder.forward`."""
        hidden, *context = state
        shown = [c.unsqueeze(1).expand(-1, previous.shape[1], -1) for c in context]
        states, hidden = self.gru(torch.cat([self.embedding(previous), *shown], -1), hidden.unsqueeze(0))
        return self.readout(torch.cat([states, *shown], -1)), (hidden.squeeze(0), *context)


class EncoderDecoder(nn.Module):
    """Reads a source, then writes a target one token after another.

    Args:
        encoder: see :class:`Encoder`.
        decoder: see :class:`Decoder`.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(
        self,
        source: Tensor,
        source_mask: Tensor,
        target: Tensor,
        *,
        teacher_forcing: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Score each token of a target, given the tokens before it.

        Args:
            source: ``[B, S]``, token numbers.
            source_mask: ``[B, S]``.
            target: ``[B, T]``, token numbers with EOS at the end and no BOS.
            teacher_forcing: how often the token before is the target's, else the one that scored highest; a coin is
                tossed for each token, as in Bengio et al. (2015).
            generator: of the coins; needed unless the ratio is 0 or 1.

        Returns:
            ``[B, T, N]``: at position t the scores for ``target[:, t]``, before the softmax.

        Raises:
            ValueError: an argument is of another type or shape, the ratio is not in [0, 1], or no generator is given.
        """
        name = "EncoderDecoder"
        _require_ids(name, "target", target)
        if target.shape[0] != source.shape[0]:
            raise ValueError(
                f"{name}: target: expected {source.shape[0]} sentences as in source, got {target.shape[0]}"
            )
        told = _coins(name, tuple(target.shape), teacher_forcing, generator)
        memory, last = self.encoder(source, source_mask)
        state = self.decoder.start(last)
        previous = shift_right(target)
        if teacher_forcing == 1:
            return self.decoder(previous, state, memory, source_mask)[0]
        rows, own = [], previous[:, 0]
        for t in range(target.shape[1]):
            token = torch.where(told[:, t], previous[:, t], own)
            logits, state = self.decoder.step(token, state, memory, source_mask)
            own = logits.argmax(-1)
            rows.append(logits)
        return torch.stack(rows, 1)

    @torch.no_grad()
    def greedy_decode(self, source: Tensor, source_mask: Tensor, max_length: int = 100) -> Tensor:
        """Write with the token that scores highest, again and again, until the end token.

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
        memory, last = self.encoder(source, source_mask)
        state = self.decoder.start(last)
        token = torch.full_like(source[:, 0], BOS)
        ended = torch.zeros_like(token, dtype=torch.bool)
        written: list[Tensor] = []
        while len(written) < max_length and not ended.all():
            logits, state = self.decoder.step(token, state, memory, source_mask)
            token = logits.argmax(-1).masked_fill(ended, PAD)
            ended = ended | (token == EOS)
            written.append(token)
        return torch.stack(written, 1)


def shift_right(target: Tensor) -> Tensor:
    """Move a target ``[B, T]`` by one place: BOS in front, the last token dropped. What the decoder is given."""
    return torch.cat([torch.full_like(target[:, :1], BOS), target[:, :-1]], 1)


def count_parameters(model: nn.Module) -> dict[str, int]:
    """How many numbers each part of a model learns, by the part's name; their sum is the whole.

    A part is a module with parameters of its own, such as ``decoder.readout``. To count a model without making room for
    it, build it within ``torch.device("meta")``.
    """
    counts = {name: sum(p.numel() for p in part.parameters(recurse=False)) for name, part in model.named_modules()}
    return {name: count for name, count in counts.items() if count}


# --- Below ------------------------------------------------------------------------------------------------------


def _coins(name: str, shape: tuple[int, ...], ratio: float, generator: torch.Generator | None) -> Tensor:
    """True as often as the ratio says."""
    if not 0 <= ratio <= 1:
        raise ValueError(f"{name}: teacher_forcing: expected a ratio in [0, 1], got {ratio}")
    if ratio in (0, 1):
        return torch.full(shape, bool(ratio))
    if generator is None:
        raise ValueError(f"{name}: generator: expected a torch.Generator for a teacher_forcing of {ratio}, got None")
    return torch.rand(shape, generator=generator) < ratio


def _require_ids(name: str, argument: str, ids: Any) -> None:
    """Raise ValueError unless these are token numbers ``[B, T]`` with at least one column."""
    if ids.ndim != 2 or ids.shape[1] == 0 or ids.dtype != torch.int64:
        shape = f"{list(ids.shape)} of {ids.dtype}"
        raise ValueError(f"{name}: {argument}: expected shape [batch, positions] of torch.int64, got {shape}")


def _require_mask(name: str, mask: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the mask is of sentences of at least one token that are padded on the right."""
    if tuple(mask.shape) != shape or mask.dtype != torch.bool:
        got = f"{list(mask.shape)} of {mask.dtype}"
        raise ValueError(f"{name}: mask: expected shape {list(shape)} of torch.bool (True = a token), got {got}")
    wrong = ~mask[:, 0] | (mask[:, 1:] & ~mask[:, :-1]).any(1)
    if wrong.any():
        row = mask[wrong][0].int().tolist()
        raise ValueError(f"{name}: mask: expected rows that begin with a token and are padded on the right, got {row}")
