"""Induction: a head that looks for what came after the last time, and how it is found and taken away.

Random tokens are drawn and then repeated. What has not been repeated yet cannot be foreseen by anyone; from the second
time on each token follows from the one before it, for whoever finds where that one stood before and reads what came
after it: Elhage et al. (2021), *Induction heads*, and Olsson et al. (2022), who measure the weight on that place as the
*prefix matching score*.

Shapes: ``B`` batch, ``T`` positions, ``L`` layers, ``H`` heads, ``N`` size of the vocabulary; ``P`` is a sequence's
period.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


class Scorer(Protocol):
    """What gives scores ``[B, T, N]`` for the next token, with heads ``[L, H]`` switched off where these are 0."""

    def __call__(self, tokens: Tensor, *, heads: Tensor | None = None) -> Tensor:
        """Such as :class:`course_utils.language_model.LanguageModel`."""


def repeated_tokens(
    batch_size: int, length: int, n_tokens: int, periods: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw sequences of random tokens that repeat themselves, each after a period of its own.

    With one period for all a head could look a fixed number of places back, and need not look for anything.

    Args:
        batch_size: B.
        length: T.
        n_tokens: N; tokens are drawn evenly and may occur more than once in a period.
        periods: the shortest and the longest, equally frequent as those between.
        generator: of all draws.

    Returns:
        ``(tokens, period)``: ``[B, T]`` and ``[B]``, token numbers from 0; ``tokens[b, t] = tokens[b, t − P]`` from
        position P on.

    Raises:
        ValueError: a number is below 1, the periods are in the wrong order, or none is repeated within the length.
    """
    shortest, longest = periods
    if min(batch_size, n_tokens, shortest) < 1 or not shortest <= longest < length:
        got = f"{batch_size}, {n_tokens}, {periods} and length {length}"
        raise ValueError(f"repeated_tokens: expected 1 ≤ batch_size, n_tokens and 1 ≤ periods < length, got {got}")
    drawn = torch.randint(n_tokens, (batch_size, longest), generator=generator)
    period = torch.randint(shortest, longest + 1, (batch_size,), generator=generator)
    return drawn.gather(1, torch.arange(length) % period[:, None]), period


def foreseeable(length: int, period: Tensor) -> Tensor:
    """Which tokens follow from what came before: those whose predecessor has been seen before, with its successor.

    Args:
        length: T.
        period: ``[B]``.

    Returns:
        Boolean ``[B, T]``, True at the positions after P, counted from 0: token P itself is a repetition too, but
        only the next one can be known, since its predecessor is the first to have occurred before.
    """
    return torch.arange(length) > period[:, None]


def induction_loss(model: Scorer, tokens: Tensor, period: Tensor, *, heads: Tensor | None = None) -> Tensor:
    """Mean of −ln p(token) over the tokens that can be foreseen.

    Args:
        model: see :class:`Scorer`.
        tokens: ``[B, T]``, from :func:`repeated_tokens`.
        period: ``[B]``.
        heads: ``[L, H]``, given to the model.

    Returns:
        A number, in nats; guessing gives ln N.

    Raises:
        ValueError: the shapes do not fit.
    """
    _require_periods("induction_loss", tokens, period)
    logits = model(tokens[:, :-1], heads=heads)
    known = foreseeable(tokens.shape[1], period)[:, 1:]
    return cross_entropy(logits[known], tokens[:, 1:][known])


def induction_scores(weights: Sequence[Tensor], period: Tensor) -> Tensor:
    """How much each head looks at what came after the last time.

    Args:
        weights: ``[B, H, T, T]`` for each layer.
        period: ``[B]``.

    Returns:
        ``[L, H]``: the mean weight that queries t ≥ P give to the key at t − P + 1, between 0 and 1. Other places
        where the same token happened to stand are not counted.

    Raises:
        ValueError: the shapes do not fit.
    """
    return torch.stack([_mean_on(layer, period[:, None] - 1, period) for layer in weights])


def previous_scores(weights: Sequence[Tensor]) -> Tensor:
    """How much each head looks at the place just before, ``[L, H]``: the mean over all queries but the first.

    Args:
        weights: ``[B, H, T, T]`` for each layer.

    Raises:
        ValueError: the shapes do not fit.
    """
    return torch.stack([_mean_on(layer, layer.new_ones(len(layer), 1).long(), None) for layer in weights])


def heads_without(n_layers: int, n_heads: int, removed: Iterable[tuple[int, int]]) -> Tensor:
    """Ones ``[L, H]``, with zeros for the heads that are to be switched off, each named (layer, head) from 0.

    Raises:
        ValueError: there is no such head.
    """
    heads = torch.ones(n_layers, n_heads)
    for layer, head in removed:
        if not (0 <= layer < n_layers and 0 <= head < n_heads):
            raise ValueError(f"heads_without: removed: expected a head of {n_layers} × {n_heads}, got {(layer, head)}")
        heads[layer, head] = 0
    return heads


# --- Below ------------------------------------------------------------------------------------------------------


def _mean_on(weights: Tensor, back: Tensor, period: Tensor | None) -> Tensor:
    """Mean weight ``[H]`` on the key so many places back ``[B, 1]``, for queries from P on, or from the second on."""
    if weights.ndim != 4 or weights.shape[2] != weights.shape[3]:
        raise ValueError(f"induction: weights: expected [B, H, T, T] for each layer, got {list(weights.shape)}")
    if period is not None:
        _require_periods("induction_scores", weights[:, 0, 0], period)
    query = torch.arange(weights.shape[2])
    counted = query >= (back if period is None else period[:, None])
    key = (query - back).clamp(min=0)[:, None, :, None].expand(-1, weights.shape[1], -1, 1)
    found = weights.gather(-1, key).squeeze(-1) * counted[:, None]
    return found.sum((0, 2)) / counted.sum()


def _require_periods(name: str, tokens: Tensor, period: Tensor) -> None:
    if tokens.ndim != 2 or period.shape != tokens.shape[:1] or period.is_floating_point():
        got = f"{list(tokens.shape)} and {list(period.shape)} of {period.dtype}"
        raise ValueError(f"{name}: expected [B, T] and whole numbers [B] for period, got {got}")
    if period.min() < 1 or period.max() > tokens.shape[1] - 2:
        raise ValueError(f"{name}: period: expected 1 to {tokens.shape[1] - 2}, got {period.tolist()}")
