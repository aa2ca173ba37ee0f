"""Training and scoring: what is learned, what is counted, and that nothing is left behind."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from course_utils.data import BOS, EOS, PAD, Corpus, Pair, collate, copying_corpus, make_corpus
from course_utils.seq2seq import Encoder, EncoderDecoder, FixedContextDecoder, shift_right
from course_utils.training import (
    Evaluation,
    History,
    Scores,
    TrainingConfig,
    cross_entropy,
    evaluate,
    fit,
    learning_rate_at,
    linear_probe,
    seeded,
    train,
    translate,
    validation_loss,
)

SHORT = TrainingConfig(steps=12, batch_size=5, learning_rate=1e-2, seed=3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small() -> Corpus:
    return copying_corpus(1, train_lengths=(3, 4), test_lengths=(3, 4), train_size=40, test_per_size=6)


def model(corpus: Corpus, seed: int = 1, width: int = 9) -> EncoderDecoder:
    with seeded(seed):
        return EncoderDecoder(Encoder(len(corpus.source), 7, width), FixedContextDecoder(len(corpus.target), 7, width))


def parameters(made: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in made.parameters()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# --- Seeds ------------------------------------------------------------------------------------------------------


def test_seeded_makes_the_same_parameters_and_disturbs_nothing() -> None:
    corpus = small()
    before = torch.get_rng_state()
    first, second, other = model(corpus), model(corpus), model(corpus, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(parameters(first), parameters(second))
    assert not same(parameters(first), parameters(other))
    with pytest.raises(KeyError), seeded(1):
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("ratio", [1.0, 0.6, 0.0])
def test_the_same_seed_gives_the_same_history_and_leaves_other_random_numbers_alone(ratio: float) -> None:
    corpus = small()
    config = replace(SHORT, teacher_forcing=ratio)
    before = torch.get_rng_state()
    first, second, other = model(corpus), model(corpus), model(corpus)
    history = train(first, corpus, config)
    torch.rand(5)
    assert train(second, corpus, config) == history
    assert same(parameters(first), parameters(second))
    assert train(other, corpus, replace(config, seed=4)).losses != history.losses
    torch.set_rng_state(before)
    train(first, corpus, config)
    assert torch.equal(torch.get_rng_state(), before)


def test_teacher_forcing_is_passed_on() -> None:
    corpus = small()
    losses = [train(model(corpus), corpus, replace(SHORT, teacher_forcing=ratio)).losses for ratio in (0.0, 0.5, 1.0)]
    assert len(set(losses)) == 3


# --- The loss ---------------------------------------------------------------------------------------------------


def test_cross_entropy_is_the_mean_over_real_tokens_forward_and_backward() -> None:
    logits = torch.randn(3, 5, 7, generator=generator(), dtype=torch.float64).requires_grad_()
    target = torch.tensor([[4, 6, EOS, PAD, PAD], [5, EOS, PAD, PAD, PAD], [6, 4, 4, 5, EOS]])
    loss = cross_entropy(logits, target)
    logs = [
        logits[b, t, target[b, t]] - logits[b, t].exp().sum().log() for b in range(3) for t in range(5) if target[b, t]
    ]
    expected = -sum(logs) / 10
    torch.testing.assert_close(loss, expected)
    gradient = torch.autograd.grad(loss, logits)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0])
    assert (gradient[target == PAD] == 0).all()


def test_cross_entropy_refuses_what_has_no_mean() -> None:
    with pytest.raises(ValueError, match="padding only"):
        cross_entropy(torch.zeros(2, 3, 7), torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"\[B, T, N\]"):
        cross_entropy(torch.zeros(2, 7, 3), torch.ones(2, 3, dtype=torch.int64))


def test_the_validation_loss_weighs_tokens_not_batches() -> None:
    corpus = small()
    made = model(corpus)
    pairs = corpus.test[:7]
    batch = collate(pairs, corpus)
    whole = cross_entropy(made(batch.source, batch.source_mask, batch.target), batch.target).item()
    assert validation_loss(made, pairs, corpus) == pytest.approx(whole, abs=1e-6)
    assert validation_loss(made, pairs, corpus, batch_size=3) == pytest.approx(whole, abs=1e-6)
    with pytest.raises(ValueError, match="at least one"):
        validation_loss(made, [], corpus)


# --- Training ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", ["initial", "every-step"])
def test_two_pairs_are_learned_by_heart(context: str) -> None:
    pairs = [Pair(("a", "b", "c"), ("x", "y"), 3), Pair(("c", "b"), ("y", "x", "x", "y"), 2)]
    corpus = make_corpus("two", pairs, [])
    with seeded(1):
        made = EncoderDecoder(
            Encoder(len(corpus.source), 7, 16), FixedContextDecoder(len(corpus.target), 7, 16, context=context)
        )
    history = train(made, corpus, TrainingConfig(steps=120, batch_size=2, learning_rate=2e-2))
    assert history.losses[-1] < 0.05 < 1 < history.losses[0]
    assert translate(made, [pair.source for pair in pairs], corpus) == [list(pair.target) for pair in pairs]
    assert evaluate(made, pairs, corpus).overall.exact_match == 1


def test_steps_are_adams_with_the_gradient_clipped_and_the_scheduled_rate() -> None:
    corpus = small()
    config = TrainingConfig(steps=5, batch_size=40, learning_rate=1e-2, clip=1e-3, warmup=0.2)
    made, by_hand = model(corpus), model(corpus)
    history = train(made, corpus, config)
    batch = collate(corpus.train, corpus)  # all there is: the order within a batch does not matter
    optimiser = torch.optim.Adam(by_hand.parameters())
    for rate, norm in zip((1 / 2, 1, 3 / 4, 1 / 2, 1 / 4), history.gradient_norms, strict=True):
        gradients = torch.autograd.grad(
            cross_entropy(by_hand(batch.source, batch.source_mask, batch.target), batch.target),
            list(by_hand.parameters()),
        )
        expected = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
        assert norm == pytest.approx(expected, rel=1e-3)
        for parameter, gradient in zip(by_hand.parameters(), gradients, strict=True):
            parameter.grad = gradient * config.clip / expected
        optimiser.param_groups[0]["lr"] = rate * config.learning_rate
        optimiser.step()
    for ours, theirs in zip(made.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-4)


def test_the_history_has_a_number_for_every_step() -> None:
    corpus = small()
    history = train(model(corpus), corpus, SHORT)
    assert len(history.losses) == len(history.gradient_norms) == len(history.learning_rates) == 12
    assert history.validation == ()
    assert not history.stopped_early
    assert history.learning_rates == tuple(learning_rate_at(step, SHORT) for step in range(12))


def test_the_learning_rate_rises_and_falls_in_lines() -> None:
    config = TrainingConfig(steps=10, warmup=0.3, learning_rate=8.0)
    assert [learning_rate_at(step, config) for step in range(10)] == pytest.approx(
        [2, 4, 6, 8, 8 * 6 / 7, 8 * 5 / 7, 8 * 4 / 7, 8 * 3 / 7, 8 * 2 / 7, 8 / 7]
    )
    constant = replace(config, schedule="constant")
    assert [learning_rate_at(step, constant) for step in (0, 3, 9)] == [2, 8, 8]
    assert learning_rate_at(0, replace(config, warmup=0)) == 8


def test_the_inverse_root_is_the_papers_schedule() -> None:
    """Vaswani et al. (2017), Equation 3, for a width of 32 and 7 steps of warm-up; steps counted from 1."""
    peak = 32**-0.5 * 7**-0.5
    config = TrainingConfig(steps=40, warmup=6 / 40, learning_rate=peak, schedule="inverse-root")
    expected = [32**-0.5 * min(step**-0.5, step * 7**-1.5) for step in range(1, 41)]
    assert [learning_rate_at(step, config) for step in range(40)] == pytest.approx(expected, rel=1e-12)


class Dropping(torch.nn.Module):
    """Logits by the target's last token, with dropout: a training that depends on every random number."""

    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.rows = torch.nn.Embedding(n_tokens, n_tokens)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, source, source_mask, target, *, teacher_forcing=1.0, generator=None):
        previous = shift_right(target)
        if generator is not None:
            previous = previous.where(torch.rand(target.shape, generator=generator) < teacher_forcing, 0)
        return self.drop(self.rows(previous))


@pytest.mark.parametrize("interrupted", [3, 6, 8])
def test_an_interrupted_training_goes_on_as_if_it_never_was(tmp_path: Path, interrupted: int) -> None:
    corpus, config = small(), replace(SHORT, steps=9, check_every=2, teacher_forcing=0.5, batch_size=2, patience=9)
    file = tmp_path / "training.pt"

    def model() -> Dropping:
        with seeded(5):
            return Dropping(len(corpus.target))

    whole = model()
    expected = train(whole, corpus, config, validation=corpus.test)

    class Interrupted(Dropping):
        calls = 0

        def forward(self, *args, **kwargs):
            Interrupted.calls += self.training
            if Interrupted.calls > interrupted:
                raise KeyboardInterrupt
            return super().forward(*args, **kwargs)

    with seeded(5):
        first = Interrupted(len(corpus.target))
    with pytest.raises(KeyboardInterrupt):
        train(first, corpus, config, validation=corpus.test, checkpoint=file)
    again = model()
    assert train(again, corpus, config, validation=corpus.test, checkpoint=file) == expected
    assert torch.equal(again.rows.weight, whole.rows.weight)
    finished = model()  # and one that is complete is not trained again
    assert train(finished, corpus, config, validation=corpus.test, checkpoint=file) == expected


def test_a_training_that_stopped_early_stays_stopped(tmp_path: Path) -> None:
    corpus, config = (
        small(),
        replace(SHORT, steps=40, learning_rate=5.0, schedule="constant", check_every=2, patience=1),
    )
    runs = []
    for _ in range(2):
        with seeded(5):
            model = Dropping(len(corpus.target))
        history = train(model, corpus, config, validation=corpus.test, checkpoint=tmp_path / "training.pt")
        runs.append((history, model.rows.weight))
    assert runs[0][0].stopped_early
    assert runs[0][0] == runs[1][0]
    assert torch.equal(runs[0][1], runs[1][1])


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    corpus, file = small(), tmp_path / "training.pt"
    train(Dropping(len(corpus.target)), corpus, replace(SHORT, steps=2, check_every=2), checkpoint=file)
    with pytest.raises(ValueError, match="was made with steps = 2, not 4: name another file"):
        train(Dropping(len(corpus.target)), corpus, replace(SHORT, steps=4, check_every=2), checkpoint=file)


def test_dropout_leaves_the_global_random_numbers_alone_and_is_off_where_a_model_is_judged() -> None:
    corpus = small()
    with seeded(5):
        model = Dropping(len(corpus.target))
    before = torch.get_rng_state()
    losses = [validation_loss(model, corpus.test, corpus) for _ in range(2)]
    train(model, corpus, SHORT)
    assert losses[0] == losses[1]
    assert torch.equal(before, torch.get_rng_state())
    assert model.training


def test_smoothed_labels_are_a_mixture_with_all_tokens_alike() -> None:
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.tensor([[4, 5, PAD], [6, 3, 4]])
    logs = logits.log_softmax(-1)
    truth = 0.9 * torch.nn.functional.one_hot(target, 7) + 0.1 / 7
    expected = -(truth * logs).sum(-1)[target != PAD].mean()
    torch.testing.assert_close(cross_entropy(logits, target, 0.1), expected)


def test_any_loss_is_fitted_by_adam_with_a_rate_that_falls_in_a_line() -> None:
    model = torch.nn.Linear(1, 1, bias=False).double()
    before = model.weight.item()
    fit(model, lambda generator: model.weight.sum(), TrainingConfig(steps=4, learning_rate=0.1, warmup=0))
    # Adam goes as far as the learning rate where the gradient does not change: 0.1 · (1 + 3/4 + 2/4 + 1/4).
    assert before - model.weight.item() == pytest.approx(0.25, rel=1e-6)


def test_the_columns_of_a_record_are_the_scores_by_size() -> None:
    scores = {2: Scores(0.123456, 0.5, 33.336, 7), 5: Scores(0.0, 0.25, 1.0, 3)}
    assert Evaluation(scores[2], scores).columns() == {
        "sizes": [2, 5],
        "exact_match": [0.1235, 0.0],
        "token_accuracy": [0.5, 0.25],
        "bleu": [33.34, 1.0],
    }


def test_training_stops_when_the_validation_gets_no_better_and_keeps_the_best() -> None:
    corpus = small()
    config = TrainingConfig(
        steps=400, batch_size=20, learning_rate=3e-2, check_every=5, patience=2, schedule="constant"
    )
    made = model(corpus)
    history = train(made, corpus, config, validation=corpus.test)
    losses = [loss for _, loss in history.validation]
    assert history.stopped_early
    assert [step for step, _ in history.validation] == list(range(5, len(history.losses) + 1, 5))
    best = losses.index(min(losses))
    assert best == len(losses) - 1 - config.patience, "as many looks without a better one as the patience says, no more"
    assert validation_loss(made, corpus.test, corpus) == pytest.approx(losses[best], abs=1e-6)
    assert losses[-1] > losses[best]


def test_looking_at_the_validation_changes_nothing_else() -> None:
    corpus = small()
    config = replace(SHORT, check_every=4, patience=99)
    watched, unwatched = model(corpus), model(corpus)
    history = train(watched, corpus, config, validation=corpus.test)
    assert history.losses == train(unwatched, corpus, config).losses
    assert same(parameters(watched), parameters(unwatched))
    assert len(history.validation) == 3


class Diverges(nn.Module):
    """Finite once, then not."""

    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.n_tokens, self.calls = n_tokens, 0
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return self.weight * torch.zeros(*target.shape, self.n_tokens) + (math.nan if self.calls > 1 else 0)


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    corpus = small()
    made = Diverges(len(corpus.target))
    with pytest.raises(FloatingPointError, match="step 1"):
        train(made, corpus, SHORT)
    assert made.weight.isfinite()


def test_a_bar_is_shown_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    corpus = small()
    history = train(model(corpus), corpus, SHORT)
    assert capsys.readouterr() == ("", "")
    assert train(model(corpus), corpus, SHORT, progress=True) == history
    assert "training" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"clip": -1.0},
        {"warmup": 1.1},
        {"teacher_forcing": -0.5},
        {"schedule": "cosine"},
        {"patience": 0},
        {"learning_rate": math.nan},
    ],
)
def test_a_configuration_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainingConfig(**wrong)


def test_configuration_and_history_are_frozen() -> None:
    with pytest.raises(AttributeError):
        SHORT.steps = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        History((), (), ()).losses = ()  # type: ignore[misc]


# --- Scores -----------------------------------------------------------------------------------------------------


class Parrot(nn.Module):
    """Writes, for each source, what it was told to."""

    def __init__(self, corpus: Corpus, lines: dict[str, str]) -> None:
        super().__init__()
        self.corpus = corpus
        self.lines = {tuple(source): line.split() for source, line in lines.items()}
        self.sizes: list[int] = []

    def greedy_decode(self, source: Tensor, source_mask: Tensor, max_length: int) -> Tensor:
        self.sizes.append(len(source))
        rows = []
        for row, mask in zip(source, source_mask, strict=True):
            ids = self.corpus.target.encode(self.lines[tuple(self.corpus.source.decode(row[mask].tolist()))])
            rows.append([*ids, EOS][:max_length])
        longest = max(map(len, rows))
        return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])


def by_hand() -> tuple[Corpus, tuple[Pair, ...], Parrot]:
    pairs = (
        Pair(("a",), tuple("vwxyz"), 1),
        Pair(("b",), tuple("vwxy"), 1),
        Pair(("c",), tuple("zyxw"), 2),
    )
    corpus = make_corpus("by hand", pairs, [])
    return corpus, pairs, Parrot(corpus, {"a": "v w x y z", "b": "v w x y y", "c": "z y w x"})


def test_exact_match_and_token_accuracy_are_counted_by_hand() -> None:
    corpus, pairs, parrot = by_hand()
    scores = evaluate(parrot, pairs, corpus)
    assert list(scores.by_size) == [1, 2]
    # Of six, five and five tokens with their ends, six, four (the end came too late) and three (two changed places).
    assert scores.by_size[1].exact_match == 1 / 2
    assert scores.by_size[1].token_accuracy == (6 + 4) / 11
    assert scores.by_size[2].token_accuracy == 3 / 5
    assert (scores.overall.exact_match, scores.overall.token_accuracy, scores.overall.n) == (1 / 3, 13 / 16, 3)


def test_bleu_is_that_of_papineni_by_hand() -> None:
    corpus, pairs, parrot = by_hand()
    # Of n-grams written in the first two: 10, 8, 6, 4; right: 9, 7, 5, 3. Written 10 tokens for 9: no brevity penalty.
    expected = 100 * (9 / 10 * 7 / 8 * 5 / 6 * 3 / 4) ** (1 / 4)
    assert evaluate(parrot, pairs, corpus).by_size[1].bleu == pytest.approx(expected, abs=1e-9)
    assert evaluate(parrot, pairs[:1], corpus).overall.bleu == pytest.approx(100)


def test_bleu_takes_tokens_as_they_are_and_punishes_what_is_short() -> None:
    pairs = (Pair(("a",), ("l'", "x", ".", "Y", "z!"), 1),)
    corpus = make_corpus("marks", [*pairs, Pair(("b",), ("z?",), 1)], [])

    def bleu(line: str) -> float:
        return evaluate(Parrot(corpus, {"a": line}), pairs, corpus).overall.bleu

    assert bleu("l' x . Y z!") == pytest.approx(100)
    assert bleu("l' x . Y z?") == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4))
    assert bleu("l' x . Y") == pytest.approx(100 * math.exp(1 - 5 / 4))


def test_the_order_of_the_pairs_and_the_others_beside_them_do_not_matter() -> None:
    corpus, pairs, parrot = by_hand()
    for order in ([0, 2, 1], [2, 1, 0]):
        assert evaluate(parrot, [pairs[i] for i in order], corpus) == evaluate(parrot, pairs, corpus)
    assert evaluate(parrot, pairs[2:], corpus).overall == evaluate(parrot, pairs, corpus).by_size[2]
    with pytest.raises(ValueError, match="at least one"):
        evaluate(parrot, [], corpus)


def test_translations_come_in_order_whatever_the_size_of_a_batch() -> None:
    corpus, pairs, parrot = by_hand()
    sources = [pair.source for pair in pairs]
    written = translate(parrot, sources, corpus, batch_size=2)
    assert written == [list("vwxyz"), list("vwxyy"), list("zywx")] == translate(parrot, sources, corpus)
    assert parrot.sizes == [2, 1, 3]
    assert translate(parrot, sources, corpus, max_length=2) == [list("vw"), list("vw"), list("zy")]
    assert BOS not in corpus.target.encode(written[0])


# --- The probe --------------------------------------------------------------------------------------------------


def labelled(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Five classes, told by the angle of the first two of seven features, of very different scales."""
    features = torch.randn(n, 7, generator=generator(seed), dtype=torch.float64)
    labels = ((torch.atan2(features[:, 1], features[:, 0]) / (2 * math.pi) + 0.5) * 5).long().clamp(max=4)
    return features * torch.tensor([100.0, 1e-3, 1, 1, 1, 1, 1]) + 40, labels


def test_a_probe_reads_what_is_linear_and_guesses_what_is_not_there() -> None:
    train_set, test_set = labelled(900, 1), labelled(300, 2)
    assert linear_probe(*train_set, *test_set) > 0.9
    shuffled = train_set[1][torch.randperm(900, generator=generator(3))]
    assert linear_probe(train_set[0], shuffled, *test_set) < 0.35


def test_a_probe_is_the_same_every_time_and_asks_no_random_numbers() -> None:
    train_set, test_set = labelled(200, 1), labelled(50, 2)
    before = torch.get_rng_state()
    assert linear_probe(*train_set, *test_set) == linear_probe(*train_set, *test_set)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ValueError, match="features"):
        linear_probe(train_set[0][0], train_set[1], *test_set)
    with pytest.raises(ValueError, match="test_features"):
        linear_probe(*train_set, test_set[0][:, 1:], test_set[1])
