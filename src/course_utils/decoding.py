"""Writing, one token after another: the best token, the best sentences, or a draw; and what each token costs.

Shapes: ``B`` batch, ``T`` positions, ``n`` prefixes, ``t`` tokens of each, ``N`` size of the vocabulary.

Greedy and beam search know a model only as a function that gives log-probabilities ``[n, N]`` of the next token after
each of the prefixes ``[n, t]``: :func:`translator` and :func:`writer` make one. Models compute as they stand: with
dropout, where they have any, unless they are told ``eval()``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_utils.data import EOS
from course_utils.language_model import Cache, LanguageModel
from course_utils.positional import RelativeScore
from course_utils.seq2seq import EncoderDecoder
from course_utils.transformer import Transformer

NextScores = Callable[[Tensor], Tensor]
# A sum of probabilities that is short of the nucleus by so little reaches it: 0.5 + 0.3 is 0.8.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Hypothesis:
    """A sentence that could be the answer.

    Attributes:
        tokens: what was written after the prompt; the end token is the last, unless there was no room for it.
        log_probability: sum of the tokens' log-probabilities, in nats.
        score: that, divided by the penalty of its length; hypotheses are compared by it.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float


# --- A model as a function of prefixes ----------------------------------------------------------------------------


def translator(model: Transformer | EncoderDecoder, source: Tensor, source_mask: Tensor) -> NextScores:
    """What a model holds likely to come next in the translation of one sentence.

    Each call scores the prefixes from their first token on, and reads the source anew.

    Args:
        model: anything that gives logits ``[n, t, N]`` for ``(source, source_mask, target)``.
        source: ``[1, S]``, token numbers.
        source_mask: ``[1, S]``.

    Returns:
        A function of prefixes ``[n, t]``, without BOS; t may be 0.

    Raises:
        ValueError: there is more than one sentence.
    """
    if source.ndim != 2 or len(source) != 1:
        raise ValueError(f"translator: source: expected one sentence [1, positions], got shape {list(source.shape)}")

    @torch.no_grad()
    def scores(prefixes: Tensor) -> Tensor:
        n = len(prefixes)
        # The last token of a target is scored and never read, so any number can stand there.
        target = torch.cat([prefixes, prefixes.new_full((n, 1), EOS)], 1)
        return model(source.expand(n, -1), source_mask.expand(n, -1), target)[:, -1].log_softmax(-1)

    return scores


def writer(model: LanguageModel) -> NextScores:
    """What a language model holds likely to come next after each of the prefixes ``[n, t]``, t ≥ 1."""

    @torch.no_grad()
    def scores(prefixes: Tensor) -> Tensor:
        return model(prefixes)[:, -1].log_softmax(-1)

    return scores


# --- Searching ----------------------------------------------------------------------------------------------------


def length_penalty(length: int, alpha: float) -> float:
    """``((5 + n) / 6)^α``: Wu et al. (2016), Equation 14; their ``|Y|`` is n, counted here with the end token.

    Args:
        length: n, tokens.
        alpha: 0 for none; Vaswani et al. (2017), Section 6.1, take 0.6.

    Raises:
        ValueError: a number is negative.
    """
    if length < 0 or alpha < 0:
        raise ValueError(f"length_penalty: length, alpha: expected at least 0, got {length} and {alpha}")
    return ((5 + length) / 6) ** alpha


def greedy(scores: NextScores, max_length: int, *, end: int = EOS, prompt: Sequence[int] = ()) -> Hypothesis:
    """Take the likeliest token, again and again, until the end token; of equals the one with the lowest number.

    Args:
        scores: see the top of this module.
        max_length: stop after so many tokens, the end token among them.
        end: number of the end token.
        prompt: what is given already.

    Returns:
        The sentence; its score is its log-probability.

    Raises:
        ValueError: ``max_length`` is not positive.
    """
    return beam_search(scores, max_length, beam=1, alpha=0.0, end=end, prompt=prompt)[0]


def beam_search(
    scores: NextScores,
    max_length: int,
    *,
    beam: int,
    alpha: float = 0.6,
    end: int = EOS,
    prompt: Sequence[int] = (),
) -> list[Hypothesis]:
    """Keep several beginnings, extend each by every token, and keep the likeliest again.

    Of all extensions the ``beam`` with the highest log-probability are kept; those that end leave the beam and wait.
    The search is over when nothing is left, or when as many have ended and nothing that is left can score higher than
    they do: a log-probability only falls, and the highest penalty is that of ``max_length``, where sentences that have
    not ended count as they are. Of equals the first in the beam, then the lowest number, is kept. Wu et al. (2016)
    also prune by score and add a penalty for words of the source that were not looked at; that is left out.

    Args:
        scores: see the top of this module.
        max_length: as in :func:`greedy`.
        beam: how many are kept.
        alpha: of :func:`length_penalty`.
        end: as in :func:`greedy`.
        prompt: as in :func:`greedy`; it counts neither for the length nor for the probability.

    Returns:
        At most ``beam`` sentences, the one with the highest score first.

    Raises:
        ValueError: ``max_length`` or ``beam`` is not positive, or ``alpha`` is negative.
    """
    if max_length < 1 or beam < 1:
        raise ValueError(f"beam_search: max_length, beam: expected at least 1, got {max_length} and {beam}")
    optimistic = length_penalty(max_length, alpha)
    prefixes, totals = torch.tensor([list(prompt)], dtype=torch.int64), torch.zeros(1, dtype=torch.float64)
    done: list[Hypothesis] = []
    for length in range(1, max_length + 1):
        prefixes, totals = _best_extensions(prefixes, totals, scores(prefixes), beam)
        ended = (prefixes[:, -1] == end) | (length == max_length)
        penalty = length_penalty(length, alpha)
        for row, total in zip(prefixes[ended].tolist(), totals[ended].tolist(), strict=True):
            done.append(Hypothesis(tuple(row[len(prompt) :]), total, total / penalty))
        prefixes, totals = prefixes[~ended], totals[~ended]
        done = sorted(done, key=lambda each: -each.score)[:beam]
        if not len(totals) or (len(done) == beam and totals[0].item() / optimistic <= done[-1].score):
            break
    return done


def _best_extensions(prefixes: Tensor, totals: Tensor, scores: Tensor, beam: int) -> tuple[Tensor, Tensor]:
    """The likeliest of all prefixes with one token more, the best first; a tie goes to what comes first."""
    candidates = (totals[:, None] + scores.double()).flatten()
    values, order = candidates.sort(descending=True, stable=True)
    order = order[:beam]
    token = order % scores.shape[-1]
    return torch.cat([prefixes[order // scores.shape[-1]], token[:, None]], 1), values[:beam]


# --- Drawing ------------------------------------------------------------------------------------------------------


def next_token_distribution(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Probabilities from which the next token is drawn: first the temperature, then the best k, then the nucleus.

    Args:
        logits: ``[..., N]``, before the softmax.
        temperature: what logits are divided by; at 0, the limit, all is on the highest logit.
        top_k: only the k likeliest tokens can be drawn, as in Fan, Lewis & Dauphin (2018).
        top_p: only the smallest set of likeliest tokens whose probabilities reach this sum: the nucleus of Holtzman et
            al. (2020). It has at least one token. Of equals the one with the lowest number comes first, in
            all three.

    Returns:
        ``[..., N]``; each row sums to 1.

    Raises:
        ValueError: logits are not floating point, or a number is out of its range.
    """
    _require_choice_of(logits, temperature, top_k, top_p)
    ranked, order = logits.double().sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(logits.shape[-1], device=logits.device)
    if temperature:
        # Differences, so that a small temperature cannot overflow.
        ranked = (ranked - ranked[..., :1]) / temperature
    allowed = rank < (1 if temperature == 0 else top_k or len(rank))
    ranked = ranked.masked_fill(~allowed, -math.inf)
    if top_p is not None and top_p < 1:
        before = ranked.softmax(-1).cumsum(-1).roll(1, -1)
        ranked = ranked.masked_fill((before >= top_p - ROUNDING) & (rank > 0), -math.inf)
    return torch.empty_like(logits).scatter(-1, order, ranked.softmax(-1).to(logits))


@torch.no_grad()
def sample(
    model: LanguageModel,
    prompt: Tensor,
    n_tokens: int,
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    cached: bool = True,
) -> Tensor:
    """Continue sequences by tokens drawn from a model's own predictions.

    Args:
        model: see :class:`course_utils.language_model.LanguageModel`.
        prompt: ``[B, T]``, token numbers; T ≥ 1.
        n_tokens: how many to draw for each.
        generator: of the draws.
        temperature: see :func:`next_token_distribution`, like the next two; 0 takes the likeliest.
        top_k: see there.
        top_p: see there.
        cached: whether keys and values are kept from token to token, or the whole sequence is read each time. The
            tokens are the same, but for ties that rounding decides.

    Returns:
        ``[B, T + n_tokens]``, the prompts and what was drawn.

    Raises:
        ValueError: an argument is of another type or shape, or out of its range.
    """
    if n_tokens < 0:
        raise ValueError(f"sample: n_tokens: expected at least 0, got {n_tokens}")
    tokens, new = prompt, prompt
    cache: Cache = ()
    for _ in range(n_tokens):
        if cached:
            logits, cache = model.step(new, cache)
        else:
            logits = model(tokens)
        likely = next_token_distribution(logits[:, -1], temperature=temperature, top_k=top_k, top_p=top_p)
        new = torch.multinomial(likely, 1, generator=generator)
        tokens = torch.cat([tokens, new], 1)
    return tokens


def _require_choice_of(logits: Tensor, temperature: float, top_k: int | None, top_p: float | None) -> None:
    name = "next_token_distribution"
    if not logits.is_floating_point() or logits.ndim < 1:
        raise ValueError(f"{name}: logits: expected floating point, shape [..., N], got {logits.dtype}")
    if not 0 <= temperature < math.inf:
        raise ValueError(f"{name}: temperature: expected a number of at least 0, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"{name}: top_k: expected at least 1, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"{name}: top_p: expected a share in (0, 1], got {top_p}")


# --- What a token costs -------------------------------------------------------------------------------------------


def multiplied_parameters(model: LanguageModel) -> int:
    """P′: the parameters that one token is multiplied by, those of all matrices.

    Looking up an embedding multiplies nothing, so that the table counts once, as the output map. Biases, LayerNorms and
    tables of positions are added or multiply one by one, as are T5's; a table of relative positions is multiplied by
    every head's query and counts once a head.
    """
    matrices = sum(part.weight.numel() for part in model.modules() if isinstance(part, nn.Linear))
    n_heads = model.blocks[0].attention.n_heads
    relative = sum(part.table.numel() * n_heads for part in model.modules() if isinstance(part, RelativeScore))
    return matrices + relative + model.embedding.weight.numel()


def flops_per_token(model: LanguageModel, position: int, *, cached: bool = True) -> int:
    """Additions and multiplications in the matrix products that make the logits after one token.

    With a cache 2·P′ + 4·L·E·t: every parameter that multiplies does so once, and in each of the L layers t keys are
    scored and t values mixed, 2·E·t each. Without, all t tokens go through the model again: 2·P′·t + 4·L·E·t².
    Counted as in :mod:`course_utils.costs`.

    Args:
        model: see :class:`course_utils.language_model.LanguageModel`.
        position: t, that of the token, counted from 1: how many keys it looks at.
        cached: whether keys and values of the tokens before are at hand.

    Raises:
        ValueError: the position is not positive.
    """
    if position < 1:
        raise ValueError(f"flops_per_token: position: expected at least 1, counted from 1, got {position}")
    parameters, looks = multiplied_parameters(model), len(model.blocks) * model.embedding.embedding_dim
    if cached:
        return 2 * parameters + 4 * looks * position
    return 2 * parameters * position + 4 * looks * position**2
