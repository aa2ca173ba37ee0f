"""The five wirings against loops, and what each of them can depend on."""

from __future__ import annotations

import math

import pytest
import torch
from test_seq2seq import LENGTHS, N_SOURCE, B, N, S, filled, generator, gru_step, read_by_hand, source_and_mask
from torch import Tensor

from course_utils.data import BOS, EOS, PAD, copying_corpus
from course_utils.seq2seq import count_parameters
from course_utils.training import TrainingConfig, evaluate, seeded, train
from course_utils.wirings import SETTINGS, EncoderOnly, Wiring, width_for

E, P, L = 6, 5, S + 1
WITH_DECODER = [setting for setting in SETTINGS if not setting.startswith("encoder-only")]


def wiring(setting: str) -> Wiring:
    return filled(Wiring(N_SOURCE, N, E, setting=setting, n_positions=P))


def pairs() -> tuple[Tensor, Tensor, Tensor]:
    source, mask = source_and_mask()
    target = torch.randint(4, N, (B, L), generator=generator(3))
    for row, length in enumerate(LENGTHS):
        target[row, length] = EOS
        target[row, length + 1 :] = PAD
    return source, mask, target


def softmax_by_hand(scores: list[Tensor]) -> list[Tensor]:
    total = sum(torch.exp(score) for score in scores)
    return [torch.exp(score) / total for score in scores]


def mixed(weights: list[Tensor], vectors: list[Tensor]) -> Tensor:
    return sum(w * v for w, v in zip(weights, vectors, strict=True))


def look_by_hand(made: Wiring, asking: Tensor, memory: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    part = made.model.attention if isinstance(made.model, EncoderOnly) else made.model.decoder.attention
    if not len(part.maps):
        weights = softmax_by_hand([asking @ h for h in memory])
        return mixed(weights, memory), weights
    query, key, value = (each.weight for each in part.maps)
    weights = softmax_by_hand([(query @ asking) @ (key @ h) / math.sqrt(E) for h in memory])
    return mixed(weights, [value @ h for h in memory]), weights


def by_hand(made: Wiring, sentence: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and weights of one sentence."""
    sentence = torch.cat([sentence, torch.tensor([EOS])])
    if isinstance(made.model, EncoderOnly):
        vectors = [made.model.embedding.weight[token] for token in sentence]
        looked = [look_by_hand(made, vector, vectors) for vector in vectors]
        logits = [made.model.readout(context) for context, _ in looked]
        return torch.stack(logits), torch.stack([torch.stack(weights) for _, weights in looked])
    memory, part = read_by_hand(made.model.encoder, sentence), made.model.decoder
    s, logits, rows = memory[-1], [], []
    for token in previous:
        word = part.embedding.weight[token]
        if hasattr(part, "positions"):
            scores = part.positions(torch.cat([word, s]))[: len(memory)]
            weights = softmax_by_hand(list(scores)) + [torch.zeros((), dtype=s.dtype)] * (len(memory) - len(scores))
            given = torch.cat([word, mixed(weights, memory)])
            s = gru_step(part.cell, torch.relu(part.combine(given)), s)
            logits.append(part.readout(s))
        else:
            s = gru_step(part.cell, word, s)
            context, weights = look_by_hand(made, s, memory)
            logits.append(part.readout(torch.cat([context, s])))
        rows.append(torch.stack(weights))
    return torch.stack(logits), torch.stack(rows)


@pytest.mark.parametrize("setting", SETTINGS)
def test_logits_weights_and_gradients_equal_the_loops(setting: str) -> None:
    made, (source, mask, target) = wiring(setting), pairs()
    logits, weights = made(source, mask, target), made.attention(source, mask, target)
    assert logits.shape == (B, L, N)
    assert weights.shape == (B, L, L)
    assert not weights.requires_grad
    loss, expected = torch.zeros(()), torch.zeros(())
    for row, length in enumerate(LENGTHS):
        previous = torch.tensor([BOS, *target[row, :length].tolist()])
        scored, rows = by_hand(made, source[row, :length], previous)
        torch.testing.assert_close(logits[row, : length + 1], scored, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(weights[row, : length + 1, : length + 1], rows.detach(), rtol=1e-10, atol=1e-10)
        assert (weights[row, :, length + 1 :] == 0).all()
        loss, expected = loss + logits[row, : length + 1].sin().sum(), expected + scored.sin().sum()
    parameters = list(made.parameters())
    ours, theirs = (torch.autograd.grad(each, parameters) for each in (loss, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("setting", WITH_DECODER)
def test_only_the_tutorials_weights_do_not_look_at_the_encoders_states(setting: str) -> None:
    part = wiring(setting).model.decoder
    mask = torch.ones(B, S, dtype=torch.bool)
    memory = torch.randn(B, S, E, generator=generator(), dtype=torch.float64)
    state, word = part.start(memory[:, -1]), torch.full((B,), BOS)
    (logits, seen), (other, again), (_, turned) = (
        part.step(word, state, each, mask) for each in (memory, -memory, memory.flip(1))
    )
    assert torch.equal(seen[-1], again[-1]) == (setting == "tutorial")
    assert not torch.allclose(logits, other), "what is mixed does depend on them"
    # What asks for contents finds them wherever they stand; what asks for positions does not.
    assert torch.allclose(turned[-1].flip(1), seen[-1]) == (setting != "tutorial")


@pytest.mark.parametrize("setting", SETTINGS)
def test_without_a_decoder_the_target_is_not_looked_at_nor_the_order_of_the_source(setting: str) -> None:
    made, (source, _, target) = wiring(setting), pairs()
    source, mask = source[:1], torch.ones(1, S, dtype=torch.bool)
    target, other = target[:1], target[:1].flip(1)
    logits = made(source, mask, target)
    alone = setting.startswith("encoder-only")
    assert torch.allclose(made(source, mask, other), logits) == alone
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    moved = made(source[:, order], mask, target)
    assert torch.allclose(moved[:, :S], logits[:, order]) == alone


def test_plain_dot_products_of_one_sentence_are_symmetric_and_maps_break_that() -> None:
    source, mask, target = pairs()
    for setting in ("encoder-only dot", "encoder-only qkv"):
        scores = wiring(setting).attention(source[:1], mask[:1], target[:1])[0].log()
        # What a softmax takes from each row is a number; what is left after taking it away is symmetric, or not.
        scores = scores - scores.diag().unsqueeze(1)
        cycles = scores[0, 1] + scores[1, 2] + scores[2, 0] - scores[1, 0] - scores[2, 1] - scores[0, 2]
        assert (cycles.abs() < 1e-9).item() == setting.endswith("dot")


@pytest.mark.parametrize("setting", SETTINGS)
def test_greedy_decoding_does_not_depend_on_padding_and_stops(setting: str) -> None:
    made, (source, mask, _) = wiring(setting), pairs()
    written = made.greedy_decode(source, mask, 7)
    assert written.shape[1] <= 7
    for row, length in enumerate(LENGTHS):
        alone = made.greedy_decode(source[row : row + 1, :length], mask[row : row + 1, :length], 7)[0]
        n = min(written.shape[1], len(alone))
        assert written[row, :n].tolist() == alone[:n].tolist()
        assert (written[row, n:] == PAD).all()


def test_without_a_decoder_all_is_written_at_once_and_ends_with_the_first_end() -> None:
    made, (source, mask, _) = wiring("encoder-only qkv"), pairs()
    with torch.no_grad():
        made.model.readout.weight.zero_()
        made.model.readout.bias.zero_()[5] = 1.0
    assert made.greedy_decode(source, mask).tolist() == [[5] * (n + 1) + [PAD] * (S - n) for n in LENGTHS]
    with torch.no_grad():
        made.model.readout.bias[EOS] = 2.0
    assert made.greedy_decode(source, mask).tolist() == [[EOS] + [PAD] * S] * B
    assert made.greedy_decode(source, mask, 3).shape == (B, 3)


def test_a_target_of_another_length_and_a_setting_that_is_none_are_refused() -> None:
    source, mask, target = pairs()
    for wrong in (target[:, :-1], target[0]):
        with pytest.raises(ValueError, match="expected 8 positions, as many as the source with its end token"):
            wiring("tutorial")(source, mask, wrong)
    with pytest.raises(ValueError, match="Wiring: setting: expected one of encoder-decoder dot"):
        Wiring(N_SOURCE, N, E, setting="decoder-only")


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("budget", [1_000, 40_000])
def test_the_width_for_a_budget_is_the_nearest(setting: str, budget: int) -> None:
    def gap(width: int) -> int:
        made = Wiring(46, 43, width, setting=setting)
        return abs(sum(count_parameters(made).values()) - budget)

    width = width_for(setting, 46, 43, budget)
    assert gap(width) <= min(gap(near) for near in (max(width - 1, 1), width + 1))
    if budget == 40_000:
        assert gap(width) < 0.03 * budget


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_of_them_learns(setting: str) -> None:
    corpus = copying_corpus(train_lengths=(3,), test_lengths=(3,), train_size=400, test_per_size=20)
    with seeded(1):
        made = Wiring(len(corpus.source), len(corpus.target), 24, setting=setting)
    losses = train(made, corpus, TrainingConfig(steps=120, batch_size=16, learning_rate=0.02)).losses
    assert sum(losses[-10:]) / 10 < 0.5 * losses[0]
    assert evaluate(made, corpus.test, corpus).overall.token_accuracy > 0.5
