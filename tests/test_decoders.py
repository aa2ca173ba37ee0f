"""Decoders that look back against the papers' equations written out in loops, one sentence at a time, in float64.

The loops see a sentence without its padding, so that each comparison with a batch also says: padding changes nothing.
"""

from __future__ import annotations

from itertools import product

import pytest
import torch
from test_seq2seq import (
    LENGTHS,
    N_SOURCE,
    B,
    E,
    N,
    S,
    T,
    W,
    filled,
    generator,
    gru_step,
    source_and_mask,
    target_of_lengths,
)
from torch import Tensor

from course_utils.data import BOS, EOS
from course_utils.decoders import (
    AlignmentModel,
    AttentionDecoder,
    BahdanauDecoder,
    LuongDecoder,
    attention_weights,
    fit_positions,
    harden,
    level,
    shuffle,
    with_changed_weights,
)
from course_utils.seq2seq import (
    Decoder,
    Encoder,
    EncoderDecoder,
    FixedContextDecoder,
    count_parameters,
    shift_right,
)

SCORES = ("additive", "dot", "general", "concat", "location", "fixed")
REACHES = ("global", "local-m", "local-p")
WIRINGS = ("bahdanau", "luong", "luong fed")
D, P = 2, 4  # a window smaller than the longest sentence, and fewer positions than it and the target have
TARGET_LENGTHS = (5, 2, 4)


def decoder(wiring: str, score: str = "additive", reach: str = "global") -> AttentionDecoder:
    options = {"score": score, "reach": reach, "window": D, "n_positions": P}
    if wiring == "bahdanau":
        return BahdanauDecoder(N, W, E, **options)
    return LuongDecoder(N, W, E, input_feeding=wiring.endswith("fed"), **options)


def model(wiring: str, score: str = "additive", reach: str = "global") -> EncoderDecoder:
    return filled(EncoderDecoder(Encoder(N_SOURCE, W, E), decoder(wiring, score, reach)))


# --- The papers' equations --------------------------------------------------------------------------------------


def score_by_hand(align: AlignmentModel, s: Tensor, h: Tensor, j: int, t: int) -> Tensor | None:
    """The score of source position j at step t; None where no number is known for it."""
    learned, hidden = align.learned, range(E)
    match align.score:
        case "additive":
            inner = [learned["w_query"][a] @ s + learned["w_key"][a] @ h for a in hidden]
            return sum(learned["v"][a] * torch.tanh(inner[a]) for a in hidden)
        case "concat":
            inner = [learned["weight"][a] @ torch.cat([s, h]) for a in hidden]
            return sum(learned["v"][a] * torch.tanh(inner[a]) for a in hidden)
        case "dot":
            return sum(s[e] * h[e] for e in hidden)
        case "general":
            return sum(s[a] * learned["weight"][a, b] * h[b] for a, b in product(hidden, hidden))
        case "location":
            return learned["weight"][j] @ s if j < P else None
        case _:
            return learned["table"][min(t, P - 1), j] if j < P else None


def weights_by_hand(align: AlignmentModel, s: Tensor, memory: Tensor, t: int) -> Tensor:
    center: Tensor | float = float(t)
    if align.reach == "local-p":
        center = len(memory) * torch.sigmoid(align.center["v"] @ torch.tanh(align.center["weight"] @ s))
    scores = {j: score_by_hand(align, s, h, j, t) for j, h in enumerate(memory)}
    near = {
        j: score
        for j, score in scores.items()
        if score is not None and (align.reach == "global" or center - D <= j <= center + D)
    }
    total = sum(torch.exp(score) for score in near.values())
    weights = [torch.exp(near[j]) / total if j in near else torch.zeros((), dtype=s.dtype) for j in scores]
    if align.reach == "local-p":
        weights = [w * torch.exp(-((j - center) ** 2) / (2 * (D / 2) ** 2)) for j, w in enumerate(weights)]
    return torch.stack(weights)


def written_by_hand(made: EncoderDecoder, sentence: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and weights of one sentence, step by step."""
    memory, last = made.encoder(sentence.unsqueeze(0), torch.ones(1, len(sentence), dtype=torch.bool))
    memory, s, part = memory[0], last[0], made.decoder
    fed = torch.zeros(E, dtype=torch.float64)
    logits, rows = [], []
    for t, token in enumerate(previous):
        word = part.embedding.weight[token]
        if isinstance(part, BahdanauDecoder):
            weights = weights_by_hand(part.align, s, memory, t)
            context = sum(w * h for w, h in zip(weights, memory, strict=True))
            s = gru_step(part.cell, torch.cat([word, context]), s)
            shown = torch.cat([s, context, word])
        else:
            s = gru_step(part.cell, torch.cat([word, fed] if part.input_feeding else [word]), s)
            weights = weights_by_hand(part.align, s, memory, t)
            context = sum(w * h for w, h in zip(weights, memory, strict=True))
            shown = fed = torch.tanh(part.attentional.weight @ torch.cat([context, s]) + part.attentional.bias)
        logits.append(part.readout.weight @ shown + part.readout.bias)
        rows.append(weights)
    return torch.stack(logits), torch.stack(rows)


@pytest.mark.parametrize(("wiring", "score", "reach"), list(product(WIRINGS, SCORES, REACHES)))
def test_logits_weights_and_gradients_equal_the_equations(wiring: str, score: str, reach: str) -> None:
    made, (source, mask), target = model(wiring, score, reach), source_and_mask(), target_of_lengths(*TARGET_LENGTHS)
    logits, weights = made(source, mask, target), attention_weights(made, source, mask, target)
    assert logits.shape == (B, T, N)
    assert weights.shape == (B, T, S)
    loss, expected = torch.zeros(()), torch.zeros(())
    for row, (s, t) in enumerate(zip(LENGTHS, TARGET_LENGTHS, strict=True)):
        previous = shift_right(target[row : row + 1, :t])[0]
        by_hand, rows = written_by_hand(made, source[row, :s], previous)
        torch.testing.assert_close(logits[row, :t], by_hand, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(weights[row, :t, :s], rows.detach(), rtol=1e-10, atol=1e-10)
        assert (weights[row, :, s:] == 0).all()
        loss, expected = loss + logits[row, :t].sin().sum(), expected + by_hand.sin().sum()
    parameters = list(made.parameters())
    ours, theirs = (torch.autograd.grad(each, parameters) for each in (loss, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("score", "reach"), list(product(SCORES, REACHES)))
def test_rows_sum_to_one_unless_a_bell_or_an_empty_window_takes_from_them(score: str, reach: str) -> None:
    (source, mask), target = source_and_mask(), target_of_lengths(5, 5, 5)
    sums = attention_weights(model("luong", score, reach), source, mask, target).sum(-1)
    if reach == "global":
        torch.testing.assert_close(sums, torch.ones_like(sums))
    elif reach == "local-m":
        # The second sentence has one word: from step 3 on it is more than two positions away.
        assert (sums[1, 3:] == 0).all()
        torch.testing.assert_close(sums[1, :3], torch.ones(3, dtype=torch.float64))
    else:
        assert (sums <= 1).all()
        assert (sums < 0.999).any()


# --- What depends on what ---------------------------------------------------------------------------------------


def first_weights(made: EncoderDecoder, previous: int, *, memory_scale: float = 1.0) -> Tensor:
    source, mask = source_and_mask()
    memory, last = made.encoder(source, mask)
    _, state = made.decoder.step(torch.full((B,), previous), made.decoder.start(last), memory * memory_scale, mask)
    return state[-1]


@pytest.mark.parametrize("score", [score for score in SCORES if score != "fixed"])
def test_bahdanau_asks_before_the_word_is_read_and_luong_after(score: str) -> None:
    for wiring in WIRINGS:
        made = model(wiring, score)
        same = torch.equal(first_weights(made, BOS), first_weights(made, 7))
        assert same == (wiring == "bahdanau"), wiring


@pytest.mark.parametrize(("wiring", "score"), list(product(WIRINGS, SCORES)))
def test_only_location_and_fixed_do_not_look_at_the_encoder(wiring: str, score: str) -> None:
    made = model(wiring, score)
    same = torch.equal(first_weights(made, BOS), first_weights(made, BOS, memory_scale=2.0))
    assert same == (score in ("location", "fixed"))


def test_fixed_weights_are_the_same_for_every_sentence() -> None:
    made, (source, mask), target = model("luong", "fixed"), source_and_mask(), target_of_lengths(5, 5, 5)
    mask = torch.ones_like(mask)
    rows = attention_weights(made, source, mask, target)
    other = attention_weights(made, source.flip(0).contiguous(), mask, target.roll(1, 0))
    torch.testing.assert_close(rows[0], rows[1])
    torch.testing.assert_close(rows, other)
    torch.testing.assert_close(rows[:, 3], rows[:, 4], msg="steps past the table use its last row")
    assert not torch.allclose(rows[:, 2], rows[:, 3])


@pytest.mark.parametrize("wiring", WIRINGS)
def test_what_was_looked_at_is_heard_of_later_unless_nothing_is_fed(wiring: str) -> None:
    made, (source, mask), target = model(wiring), source_and_mask(), target_of_lengths(5, 5, 5)
    levelled = with_changed_weights(made, level)
    # What a changed model would have looked at is what its inner alignment model says.
    seen: list[Tensor] = []
    levelled.decoder.align.align.register_forward_hook(lambda part, given, out: seen.append(out))
    attention_weights(levelled, source, mask, target)
    wanted, before = torch.cat(seen, 1), attention_weights(made, source, mask, target)
    torch.testing.assert_close(wanted[:, 0], before[:, 0])
    assert torch.allclose(wanted[:, 1:], before[:, 1:]) == (wiring == "luong")


def test_input_feeding_widens_the_cell_and_changes_the_result_from_the_second_step_on() -> None:
    fed, plain = model("luong fed"), model("luong")
    assert fed.decoder.cell.input_size == W + E
    assert plain.decoder.cell.input_size == W
    (source, mask), target = source_and_mask(), target_of_lengths(5, 5, 5)
    before = fed(source, mask, target)
    with torch.no_grad():
        fed.decoder.cell.weight_ih_l0[:, W:] = 0.0
    after = fed(source, mask, target)
    torch.testing.assert_close(after[:, 0], before[:, 0], msg="nothing was fed yet")
    assert not torch.isclose(after[:, 1:], before[:, 1:]).all(-1).any()


@pytest.mark.parametrize(("wiring", "reach"), list(product(WIRINGS, REACHES)))
def test_all_steps_are_single_steps_and_can_be_taken_in_two_parts(wiring: str, reach: str) -> None:
    made, (source, mask) = model(wiring, "general", reach), source_and_mask()
    memory, last = made.encoder(source, mask)
    previous = shift_right(target_of_lengths(5, 5, 5))
    start = made.decoder.start(last)
    at_once, state = made.decoder(previous, start, memory, mask)
    one_by_one, after = Decoder.forward(made.decoder, previous, start, memory, mask)
    torch.testing.assert_close(one_by_one, at_once)
    torch.testing.assert_close(after, state)
    head, middle = made.decoder(previous[:, :2], start, memory, mask)
    tail, end = made.decoder(previous[:, 2:], middle, memory, mask)
    torch.testing.assert_close(torch.cat([head, tail], 1), at_once)
    torch.testing.assert_close(end, state)
    assert start[-1].shape == (B, 0)
    assert state[-1].shape == (B, S)
    assert state[-2].tolist() == [T] * B


def test_garbage_where_there_is_padding_changes_nothing_and_gets_no_gradient() -> None:
    (_, mask), query = source_and_mask(), torch.randn(B, T, E, generator=generator(), dtype=torch.float64)
    position = torch.arange(T).expand(B, T)
    for score, reach in product(SCORES, REACHES):
        align = filled(AlignmentModel(E, E, score=score, reach=reach, window=D, n_positions=P))
        memory = torch.randn(B, S, E, generator=generator(1), dtype=torch.float64)
        garbage = torch.where(mask.unsqueeze(-1), memory, 1e3).requires_grad_()
        weights = align(query, garbage, mask, position)
        torch.testing.assert_close(weights, align(query, memory, mask, position))
        (weights @ garbage).square().sum().backward()
        assert (garbage.grad[~mask] == 0).all()


# --- Translating, reading weights -------------------------------------------------------------------------------


@pytest.mark.parametrize(("wiring", "reach"), list(product(WIRINGS, REACHES)))
def test_greedy_decoding_follows_the_highest_score_and_its_weights_can_be_read(wiring: str, reach: str) -> None:
    made, (source, mask) = model(wiring, "dot", reach), source_and_mask()
    written = made.greedy_decode(source, mask, 9)
    weights = attention_weights(made, source, mask, written)
    for row, length in enumerate(LENGTHS):
        tokens: list[int] = []
        while len(tokens) < 9 and EOS not in tokens:
            logits, rows = written_by_hand(made, source[row, :length], torch.tensor([BOS, *tokens]))
            tokens.append(int(logits[-1].argmax()))
        assert written[row, : len(tokens)].tolist() == tokens
        torch.testing.assert_close(weights[row, : len(tokens), :length], rows.detach())


def test_weights_are_read_without_a_gradient_and_of_decoders_that_have_them() -> None:
    (source, mask), target = source_and_mask(), target_of_lengths(*TARGET_LENGTHS)
    assert not attention_weights(model("luong"), source, mask, target).requires_grad
    blind = filled(EncoderDecoder(Encoder(N_SOURCE, W, E), FixedContextDecoder(N, W, E)))
    with pytest.raises(ValueError, match="expected a decoder that looks back, got FixedContextDecoder"):
        attention_weights(blind, source, mask, target)
    for wrong in (target.double(), target[0], target[:2]):
        with pytest.raises(ValueError, match=r"attention_weights: target: expected shape \[3, positions\]"):
            attention_weights(model("luong"), source, mask, wrong)


# --- Changing weights -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_changed_model_uses_the_changed_weights_and_the_first_stays(wiring: str) -> None:
    made, (source, mask), target = model(wiring), source_and_mask(), target_of_lengths(5, 5, 5)
    before = made(source, mask, target)
    changed = with_changed_weights(made, level)
    weights = attention_weights(changed, source, mask, target)
    for row, length in enumerate(LENGTHS):
        expected = torch.zeros(T, S, dtype=torch.float64)
        expected[:, :length] = 1 / length
        torch.testing.assert_close(weights[row], expected)
    assert not torch.allclose(changed(source, mask, target), before)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.zero_()
    assert torch.equal(made(source, mask, target), before)
    assert torch.equal(with_changed_weights(made, lambda weights, mask: weights)(source, mask, target), before)
    blind = filled(EncoderDecoder(Encoder(N_SOURCE, W, E), FixedContextDecoder(N, W, E)))
    with pytest.raises(ValueError, match="with_changed_weights: model: expected a Bahdanau or Luong decoder"):
        with_changed_weights(blind, level)


def test_hardened_rows_have_one_weight_and_empty_ones_none() -> None:
    weights = torch.tensor([[[0.2, 0.5, 0.3], [0.0, 0.0, 0.0], [0.6, 0.4, 0.0]]])
    hard = harden(weights, torch.ones(1, 1, 3, dtype=torch.bool))
    assert hard.tolist() == [[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]]


def test_shuffled_rows_keep_their_numbers_on_real_words_and_depend_on_the_generator() -> None:
    _, mask = source_and_mask()
    mask = mask.unsqueeze(1)
    weights = torch.rand(B, 400, S, generator=generator(), dtype=torch.float64) * mask
    once, again, other = (shuffle(generator(seed))(weights, mask) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    torch.testing.assert_close(once.sort(-1).values, weights.sort(-1).values)
    assert (once[~mask.expand_as(once)] == 0).all()
    moved = torch.ones(400, 7, dtype=torch.float64).cumsum(-1)
    places = shuffle(generator(3))(moved.unsqueeze(0), torch.ones(1, 1, 7, dtype=torch.bool))[0]
    counts = torch.stack([(places == number).double().mean(0) for number in range(1, 8)])
    assert (counts - 1 / 7).abs().max() < 0.08, "every weight lands everywhere"


# --- Refusals and counts ----------------------------------------------------------------------------------------


def test_positions_are_cut_or_filled_with_minus_infinity() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0]])
    assert fit_positions(scores, 2).tolist() == [[1.0, 2.0]]
    assert torch.equal(fit_positions(scores, 3), scores)
    assert fit_positions(scores, 5).tolist() == [[1.0, 2.0, 3.0, -torch.inf, -torch.inf]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "cosine"}, "AlignmentModel: score: expected one of additive, dot,"),
        ({"score": "dot", "reach": "near"}, "AlignmentModel: reach: expected one of global, local-m"),
        ({"score": "dot", "key_width": 5}, "expected states of one width, got 6 and 5"),
        ({"score": "dot", "window": 0}, "expected at least 1, got 0 and 64"),
        ({"score": "dot", "n_positions": 0}, "expected at least 1, got 10 and 0"),
    ],
)
def test_an_alignment_model_that_cannot_be_is_refused(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AlignmentModel(E, options.pop("key_width", E), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q, m, mask, p: (q[0], m, mask, p), "query, memory: expected"),
        (lambda q, m, mask, p: (q[:2], m, mask, p), "of one batch"),
        (lambda q, m, mask, p: (q, m, mask.int(), p), "True = a token"),
        (lambda q, m, mask, p: (q, m, mask[:, 1:], p), r"memory_mask: expected \[3, 7\]"),
        (lambda q, m, mask, p: (q, m, mask, p[:, 1:]), r"position: expected \[3, 5\]"),
        (lambda q, m, mask, p: (q[..., 1:], m, mask, p), "weight"),
    ],
)
def test_steps_that_do_not_fit_are_refused(change, message: str) -> None:
    align = AlignmentModel(E, E, score="general")
    given = torch.zeros(B, T, E), torch.zeros(B, S, E), source_and_mask()[1], torch.arange(T).expand(B, T)
    with pytest.raises(ValueError, match=message):
        align(*change(*given))


@pytest.mark.parametrize(
    ("score", "count"),
    [
        ("additive", 2 * E * E + E),
        ("dot", 0),
        ("general", E * E),
        ("concat", 2 * E * E + E),
        ("location", P * E),
        ("fixed", P * P),
    ],
)
def test_parameters_of_each_score(score: str, count: int) -> None:
    counts = count_parameters(model("luong", score, "local-p"))
    assert counts.get("decoder.align.learned", 0) == count
    assert counts["decoder.align.center"] == E * E + E
    assert counts["decoder.attentional"] == (2 * E + 1) * E


def test_scores_that_ask_the_encoder_take_other_widths() -> None:
    for score in ("additive", "general", "concat"):
        align = AlignmentModel(5, 7, score=score)
        query, memory = torch.randn(2, 3, 5, generator=generator()), torch.randn(2, 4, 7, generator=generator())
        weights = align(query, memory, torch.ones(2, 4, dtype=torch.bool), torch.arange(3).expand(2, 3))
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))
