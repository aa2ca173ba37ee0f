"""Repeated random tokens, what can be foreseen in them, and how much a head looks where it would have to."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from course_utils.induction import (
    foreseeable,
    heads_without,
    induction_loss,
    induction_scores,
    previous_scores,
    repeated_tokens,
)
from course_utils.language_model import LanguageModel
from course_utils.training import seeded


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def looking_back(batch: int, length: int, back: list[int], heads: int = 3, which: int = 1) -> Tensor:
    """Weights in which one head looks so many places back, and the others at the place itself."""
    weights = torch.eye(length).expand(batch, heads, length, length).clone()
    weights[:, which] = 0
    for row, places in enumerate(back):
        for query in range(length):
            weights[row, which, query, max(query - places, 0)] = 1
    return weights


# --- Tokens -----------------------------------------------------------------------------------------------------


def test_each_sequence_repeats_itself_after_its_own_period_and_not_before() -> None:
    tokens, period = repeated_tokens(301, 23, 1_000, (3, 7), generator())
    assert tokens.shape == (301, 23)
    assert set(period.tolist()) == {3, 4, 5, 6, 7}
    for row, places in zip(tokens.tolist(), period.tolist(), strict=True):
        assert row[places:] == row[:-places]
        assert len(set(row)) > 1
    assert (tokens >= 0).all()
    assert (tokens < 1_000).all()


def test_tokens_are_drawn_evenly_and_by_the_seed_alone() -> None:
    tokens, _ = repeated_tokens(2_000, 11, 5, (9, 10), generator())
    shares = torch.bincount(tokens.flatten(), minlength=5) / tokens.numel()
    assert (shares - 0.2).abs().max() < 0.02
    again, period = repeated_tokens(2_000, 11, 5, (9, 10), generator())
    assert torch.equal(tokens, again)
    other, _ = repeated_tokens(2_000, 11, 5, (9, 10), generator(4))
    assert not torch.equal(tokens, other)
    assert abs(period.double().mean().item() - 9.5) < 0.05


def test_what_can_be_foreseen_is_what_the_last_two_tokens_tell() -> None:
    tokens, period = repeated_tokens(7, 13, 10_000, (3, 5), generator())
    known = foreseeable(13, period)
    for row, places, mask in zip(tokens.tolist(), period.tolist(), known.tolist(), strict=True):
        # Without chance repetitions a token is known if the one before it occurred earlier.
        assert len(set(row[:places])) == places
        assert mask == [position > 0 and row[position - 1] in row[: position - 1] for position in range(13)]


@pytest.mark.parametrize(
    "arguments",
    [(0, 9, 5, (2, 3)), (3, 9, 0, (2, 3)), (3, 9, 5, (0, 3)), (3, 9, 5, (4, 3)), (3, 9, 5, (2, 9))],
)
def test_tokens_that_cannot_be_are_refused(arguments: tuple[int, int, int, tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="repeated_tokens: expected"):
        repeated_tokens(*arguments, generator())


# --- Scores -----------------------------------------------------------------------------------------------------


def test_a_head_that_looks_behind_the_last_time_scores_one() -> None:
    period = torch.tensor([3, 5])
    perfect = looking_back(2, 11, [2, 4])
    late = looking_back(2, 11, [3, 5])
    scores = induction_scores([perfect, late], period)
    assert scores.tolist() == [[0, 1, 0], [0, 0, 0]]


def test_queries_before_the_first_repetition_do_not_count_and_all_others_count_alike() -> None:
    period = torch.tensor([3, 5])
    weights = torch.zeros(2, 1, 11, 11)
    weights[0, 0, 2, 0] = weights[1, 0, 4, 0] = 1  # one step too early
    assert induction_scores([weights], period).tolist() == [[0]]
    weights[0, 0, 3, 1] = 0.5
    weights[1, 0, 10, 6] = 0.25
    queries = (11 - 3) + (11 - 5)
    assert induction_scores([weights], period).item() == pytest.approx(0.75 / queries)


def test_even_weights_score_one_part_in_all_they_see() -> None:
    length, period = 9, torch.tensor([4])
    weights = torch.ones(length, length).tril() / torch.arange(1, length + 1)[:, None]
    expected = sum(1 / (query + 1) for query in range(4, length)) / (length - 4)
    assert induction_scores([weights[None, None]], period).item() == pytest.approx(expected)


def test_a_head_that_looks_one_place_back_is_found() -> None:
    weights = looking_back(5, 7, [1] * 5, which=2)
    assert previous_scores([weights]).tolist() == [[0, 0, 1]]
    assert previous_scores([weights.mean(1, keepdim=True)]).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("weights", "period"),
    [
        (torch.zeros(2, 3, 7, 6), torch.tensor([2, 2])),
        (torch.zeros(3, 7, 7), torch.tensor([2, 2, 2])),
        (torch.zeros(2, 3, 7, 7), torch.tensor([2])),
        (torch.zeros(2, 3, 7, 7), torch.tensor([2.0, 2.0])),
        (torch.zeros(2, 3, 7, 7), torch.tensor([0, 2])),
        (torch.zeros(2, 3, 7, 7), torch.tensor([2, 6])),
    ],
)
def test_scores_of_what_does_not_fit_are_refused(weights: Tensor, period: Tensor) -> None:
    with pytest.raises(ValueError, match="induction"):
        induction_scores([weights], period)


# --- Loss, and heads switched off --------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [0, 1, 2])
def test_the_loss_is_of_all_tokens_that_can_be_foreseen_and_of_no_others(late: int) -> None:
    drawn, period = repeated_tokens(5, 11, 7, (3, 4), generator())

    def model(tokens: Tensor, *, heads: Tensor | None = None) -> Tensor:
        """Certain of a wrong token, and of the right one from a step on."""
        knows = torch.arange(1, 11) > (period + late)[:, None]
        answer = torch.where(knows, drawn[:, 1:], (drawn[:, 1:] + 1) % 7)
        return 100.0 * torch.nn.functional.one_hot(answer, 7).double()

    n_known = (10 - period).sum().item()
    assert induction_loss(model, drawn, period).item() == pytest.approx(100 * 5 * late / n_known)


def test_guessing_costs_the_logarithm_of_the_vocabulary_and_heads_reach_the_model() -> None:
    drawn, period = repeated_tokens(5, 11, 7, (3, 4), generator())
    seen = []

    def model(tokens: Tensor, *, heads: Tensor | None = None) -> Tensor:
        seen.append((tokens, heads))
        return torch.zeros(*tokens.shape, 7)

    heads = heads_without(2, 3, [(1, 2)])
    assert induction_loss(model, drawn, period, heads=heads).item() == pytest.approx(math.log(7))
    assert torch.equal(seen[0][0], drawn[:, :-1])
    assert seen[0][1] is heads


def test_heads_are_named_by_layer_and_head() -> None:
    assert heads_without(2, 3, []).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert heads_without(2, 3, [(1, 0), (0, 2)]).tolist() == [[1, 1, 0], [0, 1, 1]]
    for wrong in ((2, 0), (0, 3), (-1, 0)):
        with pytest.raises(ValueError, match="heads_without: removed"):
            heads_without(2, 3, [wrong])


def test_a_language_model_is_read_with_and_without_its_heads() -> None:
    with seeded(5):
        model = LanguageModel(7, width=12, n_heads=3, n_layers=2, hidden_width=0, positions="rotary")
    tokens, period = repeated_tokens(5, 11, 7, (3, 4), generator())
    whole = induction_loss(model, tokens, period)
    same = induction_loss(model, tokens, period, heads=heads_without(2, 3, []))
    less = induction_loss(model, tokens, period, heads=heads_without(2, 3, [(0, 1)]))
    assert whole.item() == pytest.approx(same.item())
    assert whole.item() != pytest.approx(less.item(), abs=1e-6)
    whole.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert induction_scores(model.weights(tokens), period).shape == (2, 3)


def test_a_loss_of_what_does_not_fit_is_refused() -> None:
    model = LanguageModel(7, width=4, n_heads=1, n_layers=1, hidden_width=0, positions="rotary")
    tokens, period = repeated_tokens(5, 11, 7, (3, 4), generator())
    with pytest.raises(ValueError, match="induction_loss: expected"):
        induction_loss(model, tokens, period[:3])
