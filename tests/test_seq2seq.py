"""Encoder and decoder against the recurrence written out in float64, forward and backward; all sizes differ."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from course_utils.data import BOS, EOS, PAD
from course_utils.seq2seq import (
    Decoder,
    Encoder,
    EncoderDecoder,
    FixedContextDecoder,
    State,
    count_parameters,
    shift_right,
)

B, S, T, W, E, N_SOURCE, N = 3, 7, 5, 11, 6, 13, 17
LENGTHS = (7, 1, 4)
CONTEXTS = ("initial", "every-step")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ids(*shape: int, high: int, seed: int = 0) -> Tensor:
    return torch.randint(4, high, shape, generator=generator(seed))


def source_and_mask() -> tuple[Tensor, Tensor]:
    mask = torch.arange(S) < torch.tensor(LENGTHS).unsqueeze(1)
    return ids(B, S, high=N_SOURCE).masked_fill(~mask, PAD), mask


def target_of_lengths(*lengths: int) -> Tensor:
    target = ids(len(lengths), max(lengths), high=N, seed=3)
    for row, length in enumerate(lengths):
        target[row, length - 1] = EOS
        target[row, length:] = PAD
    return target


def filled(module: nn.Module, seed: int = 5) -> nn.Module:
    """The same parameters every time, in float64, large enough for gates to matter."""
    module = module.double()
    source = generator(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source, dtype=torch.float64) * 0.7)
    return module


def encoder(**options: bool) -> Encoder:
    return filled(Encoder(N_SOURCE, W, E, **options))


def model(context: str = "initial") -> EncoderDecoder:
    return filled(EncoderDecoder(Encoder(N_SOURCE, W, E), FixedContextDecoder(N, W, E, context=context)))


def gru_step(gru: nn.GRU, x: Tensor, h: Tensor, suffix: str = "_l0") -> Tensor:
    """Cho et al. (2014) with torch's place for the reset gate, one sentence, one step."""
    weights = [getattr(gru, f"{name}{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    given = (weights[0] @ x + weights[2]).chunk(3)
    kept = (weights[1] @ h + weights[3]).chunk(3)
    reset, update = torch.sigmoid(given[0] + kept[0]), torch.sigmoid(given[1] + kept[1])
    candidate = torch.tanh(given[2] + reset * kept[2])
    return (1 - update) * candidate + update * h


def read_by_hand(made: Encoder, sentence: Tensor, *, backward: bool = False) -> list[Tensor]:
    width = made.gru.hidden_size
    h = torch.zeros(width, dtype=torch.float64)
    states = []
    for token in sentence.flip(0) if backward else sentence:
        h = gru_step(made.gru, made.embedding.weight[token], h, "_l0_reverse" if backward else "_l0")
        states.append(h)
    return states


# --- The encoder ------------------------------------------------------------------------------------------------


def test_the_encoder_is_the_recurrence_forward_and_backward() -> None:
    made, (source, mask) = encoder(), source_and_mask()
    states, last = made(source, mask)
    assert states.shape == (B, S, E)
    assert last.shape == (B, E)
    upstream = torch.randn(B, S, E, generator=generator(1), dtype=torch.float64)
    ours = torch.autograd.grad((states * upstream).sum() + last.square().sum(), list(made.parameters()))
    rows, ends = [], []
    for row, length in enumerate(LENGTHS):
        by_hand = read_by_hand(made, source[row, :length])
        zeros = [torch.zeros(E, dtype=torch.float64)] * (S - length)
        rows.append(torch.stack(by_hand + zeros))
        ends.append(by_hand[-1])
    torch.testing.assert_close(states, torch.stack(rows))
    torch.testing.assert_close(last, torch.stack(ends))
    loss = (torch.stack(rows) * upstream).sum() + torch.stack(ends).square().sum()
    torch.testing.assert_close(ours, torch.autograd.grad(loss, list(made.parameters())))


def test_both_directions_share_the_width() -> None:
    made, (source, mask) = encoder(bidirectional=True), source_and_mask()
    states, last = made(source, mask)
    assert states.shape == (B, S, E)
    for row, length in enumerate(LENGTHS):
        forward = torch.stack(read_by_hand(made, source[row, :length]))
        backward = torch.stack(read_by_hand(made, source[row, :length], backward=True)).flip(0)
        torch.testing.assert_close(states[row, :length], torch.cat([forward, backward], -1))
        torch.testing.assert_close(last[row], torch.cat([forward[-1], backward[0]]))
    with pytest.raises(ValueError, match="even"):
        Encoder(N_SOURCE, W, 7, bidirectional=True)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(bidirectional: bool) -> None:
    made, (source, mask) = encoder(bidirectional=bidirectional), source_and_mask()
    states, last = made(source, mask)
    for garbage in (0, 5, 12):
        wider = torch.cat([source.masked_fill(~mask, garbage), torch.full((B, 2), garbage)], 1)
        padded_states, padded_last = made(wider, torch.cat([mask, torch.zeros(B, 2, dtype=torch.bool)], 1))
        assert padded_states.shape == (B, S + 2, E)
        torch.testing.assert_close(padded_states[:, :S], states, rtol=0, atol=1e-12)
        torch.testing.assert_close(padded_last, last, rtol=0, atol=1e-12)
        assert (padded_states[:, S:] == 0).all()
    alone = made(source[2:, :4], mask[2:, :4])
    torch.testing.assert_close(alone[0][0], states[2, :4])
    torch.testing.assert_close(alone[1][0], last[2])


def test_padding_gets_no_gradient() -> None:
    made, (source, mask) = encoder(), source_and_mask()
    vectors = made.embedding(source).detach().requires_grad_()
    states, last = made.read(vectors, mask)
    (states.sum() + last.square().sum()).backward()
    assert (vectors.grad[~mask] == 0).all()
    assert (vectors.grad[mask] != 0).all()
    torch.testing.assert_close(states, made(source, mask)[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda source, mask: (source.float(), mask), "torch.int64"),
        (lambda source, mask: (source[0], mask[0]), "positions"),
        (lambda source, mask: (source[:, :0], mask[:, :0]), "positions"),
        (lambda source, mask: (source, mask.int()), "torch.bool"),
        (lambda source, mask: (source, mask[:, 1:]), "shape"),
        (lambda source, mask: (source, ~mask), "padded on the right"),
        (lambda source, mask: (source, mask.flip(1)), "padded on the right"),
        (lambda source, mask: (source, mask & (torch.arange(S) != 2)), "padded on the right"),
    ],
)
def test_the_encoder_refuses_what_it_cannot_read(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder()(*change(*source_and_mask()))


# --- The decoder ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_decoder_is_the_recurrence_forward_and_backward(context: str) -> None:
    made = filled(FixedContextDecoder(N, W, E, context=context))
    last = torch.randn(B, E, generator=generator(2), dtype=torch.float64).requires_grad_()
    previous = ids(B, T, high=N, seed=4)
    nothing = torch.zeros(B, S, E, dtype=torch.float64), torch.ones(B, S, dtype=torch.bool)
    logits, state = made(previous, made.start(last), *nothing)
    upstream = torch.randn(B, T, N, generator=generator(1), dtype=torch.float64)
    leaves = [last, *made.parameters()]
    ours = torch.autograd.grad((logits * upstream).sum(), leaves)

    rows = []
    for row in range(B):
        h, shown = last[row], [last[row]] if context == "every-step" else []
        written = []
        for token in previous[row]:
            h = gru_step(made.gru, torch.cat([made.embedding.weight[token], *shown]), h)
            written.append(made.readout.weight @ torch.cat([h, *shown]) + made.readout.bias)
        rows.append(torch.stack(written))
        torch.testing.assert_close(state[0][row], h)
    torch.testing.assert_close(logits, torch.stack(rows))
    torch.testing.assert_close(ours, torch.autograd.grad((torch.stack(rows) * upstream).sum(), leaves))


@pytest.mark.parametrize("context", CONTEXTS)
def test_all_steps_at_once_are_single_steps_and_the_base_class_takes_them(context: str) -> None:
    made = filled(FixedContextDecoder(N, W, E, context=context))
    last = torch.randn(B, E, generator=generator(2), dtype=torch.float64)
    previous = ids(B, T, high=N, seed=4)
    nothing = torch.zeros(B, S, E, dtype=torch.float64), torch.ones(B, S, dtype=torch.bool)
    at_once, state = made(previous, made.start(last), *nothing)
    one_by_one, after = Decoder.forward(made, previous, made.start(last), *nothing)
    torch.testing.assert_close(one_by_one, at_once)
    torch.testing.assert_close(after, state)


def test_only_the_context_of_every_step_is_seen_again() -> None:
    previous = torch.full((B, 1), BOS)
    nothing = torch.zeros(B, S, E, dtype=torch.float64), torch.ones(B, S, dtype=torch.bool)
    for context in CONTEXTS:
        made = filled(FixedContextDecoder(N, W, E, context=context))
        first, other = (torch.full((B, E), value, dtype=torch.float64) for value in (0.3, -0.8))
        state = made.start(first)
        swapped = (state[0], *(other for _ in state[1:]))
        same = torch.equal(made(previous, state, *nothing)[0], made(previous, swapped, *nothing)[0])
        assert same == (context == "initial")
        assert made.readout.in_features == (E if context == "initial" else 2 * E)
    with pytest.raises(ValueError, match="initial"):
        FixedContextDecoder(N, W, E, context="sometimes")


# --- Both -------------------------------------------------------------------------------------------------------


class Recorder(Decoder):
    """Writes the token after the previous one; a state that counts; keeps what it was given."""

    def __init__(self, n_tokens: int = N) -> None:
        super().__init__()
        self.n_tokens = n_tokens
        self.given: list[Tensor] = []

    def start(self, last: Tensor) -> State:
        self.given.clear()
        return last, torch.zeros(len(last))

    def step(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        self.given.append(previous)
        following = (previous + 1) % self.n_tokens
        return nn.functional.one_hot(following, self.n_tokens).double(), (state[0], state[1] + 1)


def test_the_targets_tokens_are_moved_by_one() -> None:
    assert shift_right(torch.tensor([[7, 8, EOS], [9, EOS, PAD]])).tolist() == [[BOS, 7, 8], [BOS, 9, EOS]]


@pytest.mark.parametrize("context", CONTEXTS)
def test_scores_are_those_of_encoder_then_decoder(context: str) -> None:
    made, (source, mask), target = model(context), source_and_mask(), target_of_lengths(5, 2, 4)
    logits = made(source, mask, target)
    memory, last = made.encoder(source, mask)
    expected, _ = made.decoder(shift_right(target), made.decoder.start(last), memory, mask)
    assert logits.shape == (B, T, N)
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("context", CONTEXTS)
def test_padding_of_source_and_target_changes_no_score(context: str) -> None:
    made, (source, mask), target = model(context), source_and_mask(), target_of_lengths(5, 2, 4)
    logits = made(source, mask, target)
    for row, (s, t) in enumerate(zip(LENGTHS, (5, 2, 4), strict=True)):
        alone = made(source[row : row + 1, :s], mask[row : row + 1, :s], target[row : row + 1, :t])
        torch.testing.assert_close(logits[row, :t], alone[0], rtol=0, atol=1e-12)


def test_single_precision_is_as_independent_of_padding() -> None:
    made, (source, mask), target = model().float(), source_and_mask(), target_of_lengths(5, 2, 4)
    alone = made(source[2:, :4], mask[2:, :4], target[2:])
    torch.testing.assert_close(made(source, mask, target)[2:], alone, rtol=0, atol=1e-6)


def test_teacher_forcing_never_always_and_sometimes() -> None:
    decoder = Recorder()
    made = EncoderDecoder(encoder(), decoder)
    source, mask = source_and_mask()
    target = target_of_lengths(5, 5, 5)
    own = torch.tensor([[BOS, BOS + 1, BOS + 2, BOS + 3, BOS + 4]]).expand(B, -1)

    made(source, mask, target, teacher_forcing=1.0)
    assert torch.equal(torch.stack(decoder.given, 1), shift_right(target))
    made(source, mask, target, teacher_forcing=0.0)
    assert torch.equal(torch.stack(decoder.given, 1), own)
    before = torch.get_rng_state()
    made(source, mask, target, teacher_forcing=0.5, generator=generator(1))
    given = torch.stack(decoder.given, 1)
    told = given == shift_right(target)
    assert torch.equal(torch.get_rng_state(), before)
    assert 0.2 < told[:, 1:].double().mean() < 0.8
    assert told[:, 1:].any(1).all()
    assert not told[:, 1:].all(1).any(), "a coin for each token, not one for a sentence"
    assert len({tuple(row) for row in told[:, 1:].tolist()}) > 1, "nor one for a step"
    followed = torch.where(told[:, :-1], shift_right(target)[:, :-1], given[:, :-1]) + 1
    assert torch.equal(given[:, 1:][~told[:, 1:]], followed[~told[:, 1:]]), "else the token that scored highest"


def test_a_ratio_of_one_by_coins_gives_the_same_scores() -> None:
    made, (source, mask), target = model(), source_and_mask(), target_of_lengths(5, 2, 4)
    almost = made(source, mask, target, teacher_forcing=1 - 1e-12, generator=generator())
    torch.testing.assert_close(almost, made(source, mask, target))


def test_the_first_score_needs_no_teacher_and_the_ratio_decides_the_rest() -> None:
    made, (source, mask), target = model(), source_and_mask(), target_of_lengths(5, 5, 5)
    told, alone = made(source, mask, target), made(source, mask, target, teacher_forcing=0.0)
    torch.testing.assert_close(told[:, 0], alone[:, 0])
    assert not torch.allclose(told[:, 1:], alone[:, 1:])
    torch.testing.assert_close(alone, made(source, mask, target.flip(1).contiguous(), teacher_forcing=0.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher_forcing": 1.5}, "ratio"),
        ({"teacher_forcing": -0.1}, "ratio"),
        ({"teacher_forcing": 0.5}, "torch.Generator"),
    ],
)
def test_a_ratio_that_cannot_be_is_refused(options: dict[str, float], message: str) -> None:
    source, mask = source_and_mask()
    with pytest.raises(ValueError, match=message):
        model()(source, mask, target_of_lengths(5, 2, 4), **options)


def test_a_target_that_does_not_fit_is_refused() -> None:
    source, mask = source_and_mask()
    with pytest.raises(ValueError, match="3 sentences"):
        model()(source, mask, target_of_lengths(5, 2))
    with pytest.raises(ValueError, match=r"torch\.int64"):
        model()(source, mask, target_of_lengths(5, 2, 4).double())


# --- Greedy decoding --------------------------------------------------------------------------------------------


class Countdown(Decoder):
    """Writes token 5 as often as the row says, then EOS, then 6 for ever: what comes after the end must not be seen."""

    def __init__(self, times: tuple[int, ...]) -> None:
        super().__init__()
        self.times = torch.tensor(times)
        self.steps = 0

    def step(self, previous: Tensor, state: State, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, State]:
        assert not torch.is_grad_enabled(), "decoding needs no gradient"
        token = torch.where(self.steps < self.times, 5, torch.where(self.steps == self.times, EOS, 6))
        self.steps += 1
        return nn.functional.one_hot(token, N).double(), state


def test_greedy_decoding_stops_each_sentence_at_its_end_and_all_at_the_last() -> None:
    source, mask = source_and_mask()
    decoder = Countdown((2, 0, 3))
    written = EncoderDecoder(encoder(), decoder).greedy_decode(source, mask, 50)
    assert written.tolist() == [[5, 5, EOS, PAD], [EOS, PAD, PAD, PAD], [5, 5, 5, EOS]]
    assert decoder.steps == 4


def test_greedy_decoding_stops_at_the_maximal_length() -> None:
    source, mask = source_and_mask()
    written = EncoderDecoder(encoder(), Countdown((2, 0, 9))).greedy_decode(source, mask, 3)
    assert written.tolist() == [[5, 5, EOS], [EOS, PAD, PAD], [5, 5, 5]]
    with pytest.raises(ValueError, match="at least 1"):
        model().greedy_decode(source, mask, 0)


@pytest.mark.parametrize("context", CONTEXTS)
def test_greedy_decoding_follows_the_highest_score(context: str) -> None:
    made, (source, mask) = model(context), source_and_mask()
    written = made.greedy_decode(source, mask, 9)
    for row, length in enumerate(LENGTHS):
        sentence, previous = [], [BOS]
        memory, last = made.encoder(source[row : row + 1, :length], mask[row : row + 1, :length])
        while len(sentence) < 9 and EOS not in sentence:
            logits, _ = made.decoder(torch.tensor([previous]), made.decoder.start(last), memory, mask[row : row + 1])
            sentence.append(int(logits[0, -1].argmax()))
            previous.append(sentence[-1])
        expected = sentence + [PAD] * (written.shape[1] - len(sentence))
        assert written[row].tolist() == expected, "the same as alone, whatever else is in the batch"


# --- Counting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", CONTEXTS)
def test_parameters_are_counted_by_part(context: str) -> None:
    counts = count_parameters(model(context))
    shown = E if context == "every-step" else 0

    def gru(given: int) -> int:
        return 3 * (E * given + E * E + 2 * E)

    assert counts == {
        "encoder.embedding": N_SOURCE * W,
        "encoder.gru": gru(W),
        "decoder.embedding": N * W,
        "decoder.gru": gru(W + shown),
        "decoder.readout": (E + shown + 1) * N,
    }


def test_the_classic_diagram_is_counted_without_room_for_it() -> None:
    with torch.device("meta"):
        made = EncoderDecoder(Encoder(9_000, 300, 500), FixedContextDecoder(10_000, 300, 500))
    counts = count_parameters(made)
    assert counts["decoder.readout"] == 500 * 10_000 + 10_000
    assert all(parameter.is_meta for parameter in made.parameters())
