"""Decoders that look back: at each step the encoder's states are weighed anew, and their mix is the context.

Shapes: ``B`` batch, ``S`` positions of the source, ``T`` positions of the target, ``Q`` queries (steps), ``E`` width of
the states, ``W`` width of the embeddings, ``N`` size of the target's vocabulary, ``P`` positions that a table knows,
``A`` width of a hidden layer. Masks are boolean, True = a real token; padding is on the right.

What is carried from step to step ends with the step's weights ``[B, S]``: nothing is kept on the module.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from course_utils.alignment import gaussian_window, local_window_mask, predicted_center
from course_utils.attention import masked_softmax
from course_utils.scores import additive_score, concat_score, dot_score, general_score
from course_utils.seq2seq import Decoder, EncoderDecoder, State, shift_right

Score = Literal["additive", "dot", "general", "concat", "location", "fixed"]
Reach = Literal["global", "local-m", "local-p"]
Change = Callable[[Tensor, Tensor], Tensor]


class AlignmentModel(nn.Module):
    """Weights of the encoder's states for a state of the decoder: a score, a range, a softmax.

    Scores: ``additive`` vᵀ tanh(W s + U h) of Bahdanau, Cho & Bengio (2014), Appendix A.1.2; ``dot`` sᵀ h, ``general``
    sᵀ W h, ``concat`` vᵀ tanh(W [s; h]) and ``location`` W s (Equation 8: a number a position, h is not looked at) of
    Luong, Pham & Manning (2015), Section 3.1; ``fixed``, for comparison, is a learned table, a row for each step:
    weights that no sentence changes. The last two know P positions; what comes after them is never looked at (their
    footnote 6), and steps past the table's end use its last row.

    Ranges, of Luong, Pham & Manning (2015), Section 3.2: ``global`` is the whole source; ``local-m`` the positions at
    most D from that of the step itself; ``local-p`` those at most D from a predicted one, times a Gaussian around it,
    so that the weights sum to less than one. A window wholly outside the sentence gives zeros.

    Args:
        query_width: width of a state of the decoder.
        key_width: width of a state of the encoder; A where there is a hidden layer.
        score: see above.
        reach: see above.
        window: D.
        n_positions: P.

    Raises:
        ValueError: score or reach is none of these, the widths differ for ``dot``, or a number is less than 1.
    """

    def __init__(
        self,
        query_width: int,
        key_width: int,
        *,
        score: Score,
        reach: Reach = "global",
        window: int = 10,
        n_positions: int = 64,
    ) -> None:
        super().__init__()
        _require_choice("score", score, get_args(Score))
        _require_choice("reach", reach, get_args(Reach))
        if score == "dot" and query_width != key_width:
            raise ValueError(f"AlignmentModel: dot: expected states of one width, got {query_width} and {key_width}")
        if window < 1 or n_positions < 1:
            raise ValueError(
                f"AlignmentModel: window, n_positions: expected at least 1, got {window} and {n_positions}"
            )
        self.score, self.reach, self.window = score, reach, window
        hidden = key_width
        shapes: dict[str, dict[str, tuple[int, ...]]] = {
            "additive": {"w_query": (hidden, query_width), "w_key": (hidden, key_width), "v": (hidden,)},
            "dot": {},
            "general": {"weight": (query_width, key_width)},
            "concat": {"weight": (hidden, query_width + key_width), "v": (hidden,)},
            "location": {"weight": (n_positions, query_width)},
            "fixed": {"table": (n_positions, n_positions)},
        }
        self.learned = _uniform(shapes[score])
        self.center = _uniform({"weight": (hidden, query_width), "v": (hidden,)} if reach == "local-p" else {})

    def forward(self, query: Tensor, memory: Tensor, memory_mask: Tensor, position: Tensor) -> Tensor:
        """Weigh the encoder's states for some steps at once.

        Args:
            query: ``[B, Q, Eq]``, states of the decoder.
            memory: ``[B, S, Ek]``, states of the encoder.
            memory_mask: ``[B, S]``.
            position: ``[B, Q]``, the number of each step, from 0.

        Returns:
            ``[B, Q, S]``, not negative, zero on padding.

        Raises:
            ValueError: shapes do not fit, or the mask is not boolean.
        """
        _require_steps(query, memory, memory_mask, position)
        scores, allowed = self._scores(query, memory, position), memory_mask.unsqueeze(1)
        if self.reach == "global":
            return masked_softmax(scores, allowed)
        if self.reach == "local-m":
            return masked_softmax(scores, allowed & local_window_mask(position, memory.shape[1], self.window))
        length = memory_mask.sum(1, keepdim=True)
        center = predicted_center(query, self.center["weight"], self.center["v"], length)
        near = local_window_mask(center, memory.shape[1], self.window)
        return masked_softmax(scores, allowed & near) * gaussian_window(center, memory.shape[1], self.window)

    def _scores(self, query: Tensor, memory: Tensor, position: Tensor) -> Tensor:
        learned = self.learned
        match self.score:
            case "additive":
                return additive_score(query, memory, learned["w_query"], learned["w_key"], learned["v"])
            case "dot":
                return dot_score(query, memory)
            case "general":
                return general_score(query, memory, learned["weight"])
            case "concat":
                return concat_score(query, memory, learned["weight"], learned["v"])
            case "location":
                return fit_positions(query @ learned["weight"].T, memory.shape[1])
            case _:
                last_row = len(learned["table"]) - 1
                return fit_positions(learned["table"][position.clamp(max=last_row)], memory.shape[1])


class AttentionDecoder(Decoder):
    """A decoder whose state ends with the weights of its last step, ``[B, S]``; with ``[B, 0]`` before the first."""


class BahdanauDecoder(AttentionDecoder):
    """Look, then step: Bahdanau, Cho & Bengio (2014), Section 3.1 and Appendix A.2.2.

    The state *before* the step, s_{i−1}, asks; the context c_i enters the recurrent cell beside the last word, and the
    next word is chosen from s_i, c_i and y_{i−1} (Equation 4): s_{i−1} → α_i → c_i → s_i.

    Departs from the paper: the first state is the encoder's last, without a layer of its own; the choice is one linear
    layer in place of maxout, of s_i as in Equation 4, where the appendix has s_{i−1}; see also
    :class:`course_utils.seq2seq.Encoder`.

    Carried: ``(s [B, E], position [B], weights [B, S])``.

    Args:
        n_tokens: N.
        embedding_width: W.
        width: E, that of the encoder.
        score: see :class:`AlignmentModel`, as for the others.
        reach: global in the paper.
        window: D.
        n_positions: P.
    """

    def __init__(
        self,
        n_tokens: int,
        embedding_width: int,
        width: int,
        *,
        score: Score = "additive",
        reach: Reach = "global",
        window: int = 10,
        n_positions: int = 64,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, embedding_width)
        self.cell = nn.GRU(embedding_width + width, width, batch_first=True)
        self.align = AlignmentModel(width, width, score=score, reach=reach, window=window, n_positions=n_positions)
        self.readout = nn.Linear(2 * width + embedding_width, n_tokens)

    def start(self, last: Tensor) -> State:
        """The encoder's last state is the first; step 0; no weights yet."""
        return last, _step_zero(last), last.new_zeros(len(last), 0)

    def step(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Write one token, as :meth:`course_utils.seq2seq.Decoder.step` says."""
        before, position, _ = state
        weights = self.align(before.unsqueeze(1), memory, memory_mask, position.unsqueeze(1))
        context = (weights @ memory).squeeze(1)
        embedded = self.embedding(previous)
        given = torch.cat([embedded, context], -1)
        after = self.cell(given.unsqueeze(1), before.unsqueeze(0))[1].squeeze(0)
        logits = self.readout(torch.cat([after, context, embedded], -1))
        return logits, (after, position + 1, weights.squeeze(1))


class LuongDecoder(AttentionDecoder):
    """Step, then look: Luong, Pham & Manning (2015), Section 3.

    The cell steps first and its *current* state h_t asks; context and state make the attentional state
    h̃_t = tanh(W_c [c_t; h_t]) (Equation 5), from which the word is chosen (Equation 6): h_t → a_t → c_t → h̃_t. With
    input feeding (Section 3.3) h̃ of the step before enters the cell beside the last word; else no step hears of what
    was looked at before, and all steps are taken at once where the words are given.

    Departs from the paper: one GRU, not LSTMs in four layers; no dropout; W_c has a bias.

    Carried: ``(h [B, E], h̃ [B, E], position [B], weights [B, S])``.

    Args:
        n_tokens: N.
        embedding_width: W.
        width: E, that of the encoder.
        score: see :class:`AlignmentModel`, as for the next three.
        reach: range of positions.
        window: D; 10 in the paper.
        n_positions: P.
        input_feeding: see above.
    """

    def __init__(
        self,
        n_tokens: int,
        embedding_width: int,
        width: int,
        *,
        score: Score = "general",
        reach: Reach = "global",
        window: int = 10,
        n_positions: int = 64,
        input_feeding: bool = False,
    ) -> None:
        super().__init__()
        self.input_feeding = input_feeding
        self.embedding = nn.Embedding(n_tokens, embedding_width)
        self.cell = nn.GRU(embedding_width + width * input_feeding, width, batch_first=True)
        self.align = AlignmentModel(width, width, score=score, reach=reach, window=window, n_positions=n_positions)
        self.attentional = nn.Linear(2 * width, width)
        self.readout = nn.Linear(width, n_tokens)

    def start(self, last: Tensor) -> State:
        """The encoder's last state is the first; h̃ is zero; step 0; no weights yet."""
        return last, torch.zeros_like(last), _step_zero(last), last.new_zeros(len(last), 0)

    def step(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Write one token, as :meth:`course_utils.seq2seq.Decoder.step` says."""
        logits, state = self._steps(previous.unsqueeze(1), state, memory, memory_mask)
        return logits.squeeze(1), state

    def forward(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Take T steps with tokens that are given; at once, unless h̃ is fed back."""
        take = super().forward if self.input_feeding else self._steps
        return take(previous, state, memory, memory_mask)

    def _steps(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        """Steps that share one h̃: any number without input feeding, else a single one."""
        before, fed, position, _ = state
        shown = [fed.unsqueeze(1)] if self.input_feeding else []
        states, after = self.cell(torch.cat([self.embedding(previous), *shown], -1), before.unsqueeze(0))
        n_steps = previous.shape[1]
        positions = position.unsqueeze(1) + torch.arange(n_steps, device=position.device)
        weights = self.align(states, memory, memory_mask, positions)
        attentional = torch.tanh(self.attentional(torch.cat([weights @ memory, states], -1)))
        carried = after.squeeze(0), attentional[:, -1], position + n_steps, weights[:, -1]
        return self.readout(attentional), carried


# --- Reading the weights, and changing them ---------------------------------------------------------------------


@torch.no_grad()
def attention_weights(model: EncoderDecoder, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
    """Weights with which each token of a target is written, the tokens before it given.

    For a translation of the model's own, ``target`` is what its ``greedy_decode`` returned.

    Args:
        model: its decoder is an :class:`AttentionDecoder`.
        source: ``[B, S]``, token numbers.
        source_mask: ``[B, S]``.
        target: ``[B, T]``, token numbers with EOS at the end and no BOS.

    Returns:
        ``[B, T, S]``; rows after the end of a target mean nothing.

    Raises:
        ValueError: the decoder does not look back, or the target is of another type or shape.
    """
    if not isinstance(model.decoder, AttentionDecoder):
        got = type(model.decoder).__name__
        raise ValueError(f"attention_weights: model: expected a decoder that looks back, got {got}")
    if target.ndim != 2 or len(target) != len(source) or target.dtype != torch.int64:
        got = f"{list(target.shape)} of {target.dtype}"
        raise ValueError(
            f"attention_weights: target: expected shape [{len(source)}, positions] of torch.int64, got {got}"
        )
    memory, last = model.encoder(source, source_mask)
    state, rows = model.decoder.start(last), []
    for token in shift_right(target).unbind(1):
        _, state = model.decoder.step(token, state, memory, source_mask)
        rows.append(state[-1])
    return torch.stack(rows, 1)


def with_changed_weights(model: EncoderDecoder, change: Change) -> EncoderDecoder:
    """A copy of a model in which every row of weights is changed before the context is made of it.

    Args:
        model: its decoder is a :class:`BahdanauDecoder` or a :class:`LuongDecoder`; it stays as it is.
        change: from weights ``[B, Q, S]`` and a mask ``[B, 1, S]`` to weights, such as :func:`harden`.

    Raises:
        ValueError: the decoder is another.
    """
    if not isinstance(model.decoder, BahdanauDecoder | LuongDecoder):
        got = type(model.decoder).__name__
        raise ValueError(f"with_changed_weights: model: expected a Bahdanau or Luong decoder, got {got}")
    changed = copy.deepcopy(model)
    changed.decoder.align = _Changed(changed.decoder.align, change)
    return changed


def harden(weights: Tensor, mask: Tensor) -> Tensor:
    """All on the position with the highest weight; a row of zeros stays so."""
    highest = nn.functional.one_hot(weights.argmax(-1), weights.shape[-1]).to(weights.dtype)
    return highest * (weights.amax(-1, keepdim=True) > 0)


def level(weights: Tensor, mask: Tensor) -> Tensor:
    """The same on every word of the source."""
    return (mask.to(weights.dtype) / mask.sum(-1, keepdim=True)).expand_as(weights)


def shuffle(generator: torch.Generator) -> Change:
    """A change that deals each row's weights out anew, at random, over the words of the source.

    As Jain & Wallace (2019) permute weights: the numbers stay, where they lie does not.
    """

    def change(weights: Tensor, mask: Tensor) -> Tensor:
        order = torch.rand(weights.shape, generator=generator).masked_fill(~mask, torch.inf).argsort(-1)
        return weights.gather(-1, order)

    return change


class _Changed(nn.Module):
    """An alignment model with something behind it."""

    def __init__(self, align: nn.Module, change: Change) -> None:
        super().__init__()
        self.align = align
        self.change = change

    def forward(self, query: Tensor, memory: Tensor, memory_mask: Tensor, position: Tensor) -> Tensor:
        return self.change(self.align(query, memory, memory_mask, position), memory_mask.unsqueeze(1))


# --- Below ------------------------------------------------------------------------------------------------------


def fit_positions(scores: Tensor, n_keys: int) -> Tensor:
    """Scores by position, ``[..., P]``, for a source of ``n_keys`` positions: cut off, or −inf where none is known."""
    missing = n_keys - scores.shape[-1]
    return nn.functional.pad(scores, (0, missing), value=-torch.inf) if missing > 0 else scores[..., :n_keys]


def _uniform(shapes: dict[str, tuple[int, ...]]) -> nn.ParameterDict:
    """Parameters drawn as those of torch's linear layers: within ± 1/√(numbers that a sum runs over)."""
    drawn = {}
    for name, shape in shapes.items():
        bound = shape[-1] ** -0.5
        drawn[name] = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
    return nn.ParameterDict(drawn)


def _step_zero(last: Tensor) -> Tensor:
    return torch.zeros(len(last), dtype=torch.int64, device=last.device)


def _require_choice(argument: str, got: str, choices: tuple[str, ...]) -> None:
    if got not in choices:
        raise ValueError(f"AlignmentModel: {argument}: expected one of {', '.join(choices)}, got {got!r}")


def _require_steps(query: Tensor, memory: Tensor, mask: Tensor, position: Tensor) -> None:
    if query.ndim != 3 or memory.ndim != 3 or len(query) != len(memory):
        got = f"{list(query.shape)} and {list(memory.shape)}"
        raise ValueError(f"AlignmentModel: query, memory: expected [B, Q, E] and [B, S, E] of one batch, got {got}")
    if mask.shape != memory.shape[:2] or mask.dtype != torch.bool:
        got = f"{list(mask.shape)} of {mask.dtype}"
        raise ValueError(
            f"AlignmentModel: memory_mask: expected {list(memory.shape[:2])} of torch.bool (True = a token), got {got}"
        )
    if position.shape != query.shape[:2]:
        raise ValueError(
            f"AlignmentModel: position: expected {list(query.shape[:2])}, a number a step, got {list(position.shape)}"
        )
