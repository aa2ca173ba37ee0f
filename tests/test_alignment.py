"""Links, their error rate by hand and by another formula, and windows against loops, at the edges above all."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch import Tensor

from course_utils.alignment import (
    alignment_error,
    alignment_error_rate,
    gaussian_window,
    gold_links,
    hard_alignment,
    local_window_mask,
    predicted_center,
)
from course_utils.data import Corpus, dates_corpus, grammar_corpus

# "I love you" → "je t' aime": the often printed matrix, a row a target word.
JE_T_AIME = torch.tensor([[0.94, 0.02, 0.04], [0.11, 0.01, 0.88], [0.03, 0.95, 0.02]])
SMALL = {"train_size": 60, "test_per_size": 3}


# --- Links ------------------------------------------------------------------------------------------------------


def test_each_target_is_linked_to_its_highest_weight() -> None:
    assert hard_alignment(JE_T_AIME) == {(0, 0), (2, 1), (1, 2)}


def test_the_first_of_equal_weights_counts_and_a_row_of_zeros_links_nothing() -> None:
    weights = torch.tensor([[0.2, 0.4, 0.4, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert hard_alignment(weights) == {(1, 0)}


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (3, 0)])
def test_only_one_sentence_is_aligned(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"hard_alignment: weights: expected shape \[T, S\]"):
        hard_alignment(torch.zeros(shape))


def test_a_target_with_several_sources_has_no_sure_link() -> None:
    alignment = ((0, 2), (1, 0), (2, 0), (3, 1), (3, 3))
    sure, possible = gold_links(alignment)
    assert possible == set(alignment)
    assert sure == {(0, 2), (3, 1), (3, 3)}, "one source of two targets is sure for both"
    with pytest.raises(ValueError, match="got None"):
        gold_links(None)


# --- The error rate ---------------------------------------------------------------------------------------------


def test_error_rate_by_hand() -> None:
    # A has three links, S two, P three. Of A one is sure, two are possible: 1 − (1 + 2) / (3 + 2).
    assert alignment_error_rate({(0, 0), (1, 1), (2, 2)}, {(0, 0), (3, 3)}, {(0, 0), (1, 1), (3, 3)}) == pytest.approx(
        0.4
    )
    # NLTK's documentation has this one: one of three links right.
    assert alignment_error_rate({(0, 0), (1, 2), (2, 1)}, {(0, 0), (1, 1), (2, 2)}) == pytest.approx(2 / 3)


def test_error_rate_at_its_ends() -> None:
    sure, possible = {(0, 0)}, {(0, 0), (1, 0), (1, 1)}
    assert alignment_error_rate(sure, sure, possible) == 0
    assert alignment_error_rate({(0, 0), (1, 1)}, sure, possible) == 0, "a possible link costs nothing, nor its lack"
    assert alignment_error_rate({(2, 2)}, sure, possible) == 1
    assert alignment_error_rate(set(), sure, possible) == 1
    assert alignment_error_rate({(1, 0)}, set(), possible) == 0


def test_with_sure_links_only_it_is_one_less_the_f_measure() -> None:
    chance = random.Random(3)
    for _ in range(20):
        links, sure = ({(chance.randrange(5), chance.randrange(5)) for _ in range(7)} for _ in range(2))
        hits = len(links & sure)
        precision, recall = hits / len(links), hits / len(sure)
        measure = 2 * precision * recall / (precision + recall) if hits else 0
        assert alignment_error_rate(links, sure) == pytest.approx(1 - measure)


def test_links_that_make_no_rate_are_refused() -> None:
    with pytest.raises(ValueError, match="expected all sure links in it, not so 1"):
        alignment_error_rate({(0, 0)}, {(0, 0), (1, 1)}, {(0, 0)})
    with pytest.raises(ValueError, match="got neither"):
        alignment_error_rate([], [])


def test_error_of_a_batch_by_hand() -> None:
    weights = torch.zeros(2, 4, 3)
    for sentence, rows in enumerate(([0, 2, 1, 0], [0, 0, 1, 1])):
        for target, source in enumerate(rows):
            weights[sentence, target, source] = 0.7
    # First: three sure links, two of them found; its fourth row is an end token. Second, of two words: target 0 has
    # two possible sources and is on one; target 1 has one and is on the other; the rest is padding.
    alignments = (((0, 0), (1, 1), (1, 2)), ((0, 0), (1, 0), (1, 1)))
    # A: 3 + 2, S: 3 + 1, A in S: 2 + 0, A in P: 2 + 1.
    assert alignment_error(weights, alignments) == pytest.approx(1 - (2 + 3) / (5 + 4))


@pytest.mark.parametrize("corpus", [grammar_corpus(**SMALL), dates_corpus("ko", **SMALL)], ids=["grammar", "dates"])
def test_gold_as_weights_has_no_error_and_gold_shifted_has(corpus: Corpus) -> None:
    pairs = corpus.test
    longest = max(len(side) for pair in pairs for side in pair[:2]) + 1
    weights = torch.zeros(len(pairs), longest, longest)
    for number, pair in enumerate(pairs):
        for source, target in pair.alignment:
            weights[number, target, source] = 1.0
    alignments = [pair.alignment for pair in pairs]
    assert alignment_error(weights, alignments) == 0
    assert alignment_error(weights.roll(1, -1), alignments) > 0.7


def test_weights_that_do_not_fit_are_refused() -> None:
    weights = torch.rand(2, 3, 3)
    with pytest.raises(ValueError, match="for 1 alignments"):
        alignment_error(weights, [((0, 0),)])
    with pytest.raises(ValueError, match=r"\[T, S\]|\[B, T, S\]"):
        alignment_error(weights[0], [((0, 0),)] * 3)
    for beyond in ((3, 0), (0, 3)):
        with pytest.raises(ValueError, match="alignment 1 reaches beyond"):
            alignment_error(weights, [((0, 0),), ((0, 0), beyond)])
    with pytest.raises(ValueError, match="got None"):
        alignment_error(weights, [((0, 0),), None])


# --- Windows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 5])
def test_windows_equal_loops_at_integers_and_between(window: int) -> None:
    centers = torch.tensor([[0.0, 1.0, 2.5], [6.0, 6.99, -3.0]], dtype=torch.float64)
    mask, bell = local_window_mask(centers, 7, window), gaussian_window(centers, 7, window)
    assert mask.dtype == torch.bool
    for row in range(2):
        for column in range(3):
            p = centers[row, column].item()
            for j in range(7):
                assert mask[row, column, j].item() == (p - window <= j <= p + window)
                expected = math.exp(-((j - p) ** 2) / (2 * (window / 2) ** 2))
                assert bell[row, column, j].item() == pytest.approx(expected, rel=1e-12)


def test_the_window_is_cut_at_the_sentence_and_may_be_empty() -> None:
    mask = local_window_mask(torch.tensor([0, 3, 6, 9]), 7, 2)
    assert mask.int().tolist() == [
        [1, 1, 1, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ]


def test_the_bell_is_one_at_the_centre_and_e_to_minus_two_at_the_edge() -> None:
    bell = gaussian_window(torch.tensor(3.0), 7, 3)
    assert bell[3] == 1
    assert bell[0].item() == pytest.approx(math.exp(-2))
    torch.testing.assert_close(bell, bell.flip(0))


@pytest.mark.parametrize("call", [local_window_mask, gaussian_window])
@pytest.mark.parametrize(("n_keys", "window"), [(7, 0), (0, 3)])
def test_a_window_that_holds_nothing_is_refused(call, n_keys: int, window: int) -> None:
    with pytest.raises(ValueError, match=f"{call.__name__}: expected a window .* of at least 1"):
        call(torch.tensor(1.0), n_keys, window)


def test_the_predicted_centre_equals_a_loop_and_scales_with_the_true_length() -> None:
    generator = torch.Generator().manual_seed(1)

    def randn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    state, weight, v = randn(2, 3, 5), randn(7, 5), randn(7)
    length = torch.tensor([[11], [4]])
    center = predicted_center(state, weight, v, length)
    for b in range(2):
        for q in range(3):
            hidden = [math.tanh(sum(weight[a, e] * state[b, q, e] for e in range(5))) for a in range(7)]
            share = 1 / (1 + math.exp(-sum(v[a].item() * hidden[a] for a in range(7))))
            assert center[b, q].item() == pytest.approx(length[b, 0].item() * share, rel=1e-12)
    assert torch.autograd.gradcheck(lambda s: predicted_center(s, weight, v, length), state.requires_grad_())


def test_the_centre_learns_through_the_bell() -> None:
    # The mask's edge passes no gradient; the bell does: more weight on key 5 pulls a centre at 3 to the right.
    center = torch.tensor(3.0, requires_grad=True)
    gaussian_window(center, 7, 4)[5].backward()
    assert center.grad > 0


def test_parameters_that_do_not_fit_are_refused() -> None:
    state, weight, v = torch.zeros(2, 5), torch.zeros(7, 5), torch.zeros(7)
    with pytest.raises(ValueError, match=r"predicted_center: v needs shape \(7,\), got \(5,\)"):
        predicted_center(state, weight, torch.zeros(5), torch.tensor([3, 4]))
    with pytest.raises(ValueError, match=r"predicted_center: weight needs shape \(7, 3\), got \(7, 5\)"):
        predicted_center(state[:, :3], weight, v, torch.tensor([3, 4]))
