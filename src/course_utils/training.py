"""Train a model on a corpus, translate with it, and say how well: nothing here keeps state between two calls.

Shapes: ``B`` batch, ``S`` positions of the source, ``T`` positions of the target, ``N`` size of the target's
vocabulary.

A model is whatever gives logits ``[B, T, N]`` when called with ``(source, source_mask, target)`` and has
``greedy_decode(source, source_mask, max_length)``, as :class:`course_utils.seq2seq.EncoderDecoder`.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from course_utils.data import EOS, PAD, Batch, Corpus, Pair, batches, collate, pad


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        steps: how many batches to learn from, at most.
        batch_size: B.
        learning_rate: of Adam, at its highest.
        schedule: what follows the warm-up: ``linear`` falls to zero at the last step, ``constant`` stays.
        warmup: the share of the steps in which the learning rate rises from zero in a line.
        clip: the gradient is shortened to this norm where it is longer.
        teacher_forcing: how often the decoder is given the target's last token, else its own.
        seed: of the order of the batches and of the coins of teacher forcing.
        check_every: steps between two looks at the validation pairs, if there are any.
        patience: looks without a better loss after which training stops, and the best parameters are put back.
    """

    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 4e-3
    schedule: Literal["linear", "constant"] = "linear"
    warmup: float = 0.1
    clip: float = 1.0
    teacher_forcing: float = 1.0
    seed: int = 0
    check_every: int = 50
    patience: int = 3

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "clip", "check_every", "patience"):
            if not getattr(self, name) > 0:
                raise ValueError(f"TrainingConfig: {name}: expected more than 0, got {getattr(self, name)}")
        for name in ("warmup", "teacher_forcing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"TrainingConfig: {name}: expected a share in [0, 1], got {getattr(self, name)}")
        if self.schedule not in ("linear", "constant"):
            raise ValueError(f"TrainingConfig: schedule: expected 'linear' or 'constant', got {self.schedule!r}")


@dataclass(frozen=True)
class History:
    """What happened in a training, a number a step.

    Attributes:
        losses: mean cross-entropy of a token of the batch, in nats, before the step.
        gradient_norms: before they were clipped.
        learning_rates: with which the step was made.
        validation: step (counted from 1) and loss on the validation pairs after it.
        stopped_early: whether training ended because that did not get better.
    """

    losses: tuple[float, ...]
    gradient_norms: tuple[float, ...]
    learning_rates: tuple[float, ...]
    validation: tuple[tuple[int, float], ...] = ()
    stopped_early: bool = False


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within this block torch's global generator starts from a seed; afterwards it is where it was before.

    torch's layers draw their first parameters from the global generator: ``with seeded(1): model = …`` makes them the
    same every time and disturbs nothing else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean of −ln p(token) over all tokens of a batch that are not padding.

    Args:
        logits: ``[B, T, N]``, before the softmax.
        target: ``[B, T]``, token numbers; PAD is left out of the mean.

    Returns:
        A number, in nats.

    Raises:
        ValueError: the shapes do not fit, or all of the target is padding.
    """
    if logits.ndim != 3 or logits.shape[:2] != target.shape:
        expected = f"logits [B, T, N] for target {list(target.shape)}"
        raise ValueError(f"cross_entropy: expected {expected}, got {list(logits.shape)}")
    if not (target != PAD).any():
        raise ValueError("cross_entropy: target: expected at least one token, got padding only")
    return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """The learning rate of a step, counted from 0: up in a line during the warm-up, then as the schedule says."""
    warm = round(config.warmup * config.steps)
    if step < warm:
        return config.learning_rate * (step + 1) / (warm + 1)
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * (config.steps - step) / (config.steps - warm)


def train(
    model: nn.Module,
    corpus: Corpus,
    config: TrainingConfig,
    *,
    validation: Sequence[Pair] = (),
    progress: bool = False,
) -> History:
    """Change a model's parameters by Adam until it gives the corpus' targets for its sources.

    Torch's global random numbers are neither used nor changed.

    Args:
        model: see the top of this module.
        corpus: of which ``train`` is learned from, again and again in new order.
        config: see there.
        validation: pairs to look at from time to time, to stop early; none of ``corpus.train``, nor those of the test.
        progress: whether to show a bar.

    Returns:
        What happened, step by step.

    Raises:
        FloatingPointError: the loss is not finite; the parameters are those before that step.
    """
    generator = torch.Generator().manual_seed(config.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    endless = itertools.chain.from_iterable(batches(corpus, config.batch_size, generator) for _ in itertools.count())
    steps: list[tuple[float, float, float]] = []
    watch = _Watch(model, corpus, validation, config.patience)
    for step, batch in enumerate(_shown(itertools.islice(endless, config.steps), config.steps, progress)):
        rate = optimiser.param_groups[0]["lr"] = learning_rate_at(step, config)
        loss = cross_entropy(_logits(model, batch, config.teacher_forcing, generator), batch.target)
        if not loss.isfinite():
            raise FloatingPointError(f"train: the loss is {loss.item()} at step {step}: try a lower learning rate")
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimiser.step()
        steps.append((loss.item(), norm.item(), rate))
        if validation and (step + 1) % config.check_every == 0 and watch.enough(step + 1):
            break
    losses, norms, rates = zip(*steps, strict=True)
    return History(losses, norms, rates, tuple(watch.looks), watch.stopped)


@torch.no_grad()
def validation_loss(model: nn.Module, pairs: Sequence[Pair], corpus: Corpus, *, batch_size: int = 256) -> float:
    """Cross-entropy of a token in these pairs, in nats, all tokens before it given.

    Args:
        model: see the top of this module.
        pairs: at least one.
        corpus: whose vocabularies are used.
        batch_size: how many at a time; it changes nothing but rounding.

    Raises:
        ValueError: there are no pairs.
    """
    if not pairs:
        raise ValueError("validation_loss: pairs: expected at least one, got none")
    total, tokens = 0.0, 0
    for start in range(0, len(pairs), batch_size):
        batch = collate(pairs[start : start + batch_size], corpus)
        here = int(batch.target_mask.sum())
        total += cross_entropy(_logits(model, batch), batch.target).item() * here
        tokens += here
    return total / tokens


def translate(
    model: Any, sources: Sequence[Sequence[str]], corpus: Corpus, *, max_length: int = 100, batch_size: int = 256
) -> list[list[str]]:
    """Decode greedily what a model makes of some sentences.

    Args:
        model: see the top of this module.
        sources: tokens of each sentence.
        corpus: whose vocabularies are used.
        max_length: stop a sentence after so many tokens, the end token among them.
        batch_size: how many at a time; it changes nothing.

    Returns:
        The tokens of each translation, up to the end token.
    """
    return [corpus.target.decode(ids) for ids in _written(model, sources, corpus, max_length, batch_size)]


@dataclass(frozen=True)
class Scores:
    """How well some sentences were translated.

    Attributes:
        exact_match: share of the sentences that equal the reference, from the first token to the end.
        token_accuracy: share of the references' tokens, the end token included, at whose position the translation has
            the same token. One word too many at the beginning makes all later ones wrong.
        bleu: of the sentences together, 0 to 100 (Papineni et al. 2002), by sacrebleu without any tokenisation of its
            own; 0 where no translation has four tokens.
        n: how many sentences.
    """

    exact_match: float
    token_accuracy: float
    bleu: float
    n: int


@dataclass(frozen=True)
class Evaluation:
    """Scores of all sentences, and by their size.

    Attributes:
        overall: of all.
        by_size: of those of one size, in the unit of the corpus (:class:`course_utils.data.Pair`), smallest first.
    """

    overall: Scores
    by_size: dict[int, Scores]


def evaluate(model: Any, pairs: Sequence[Pair], corpus: Corpus, *, max_length: int = 100) -> Evaluation:
    """Translate greedily, and compare with the references.

    Args:
        model: see the top of this module.
        pairs: at least one.
        corpus: whose vocabularies are used.
        max_length: stop a sentence after so many tokens, the end token among them.

    Raises:
        ValueError: there are no pairs.
    """
    if not pairs:
        raise ValueError("evaluate: pairs: expected at least one, got none")
    ordered = sorted(pairs, key=lambda pair: pair.size)
    written = _written(model, [pair.source for pair in ordered], corpus, max_length)
    results = list(zip(ordered, written, strict=True))
    groups = itertools.groupby(results, key=lambda result: result[0].size)
    return Evaluation(_scores(results, corpus), {size: _scores(list(group), corpus) for size, group in groups})


def linear_probe(
    features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, *, penalty: float = 1e-3
) -> float:
    """How much of a label a linear map can read from some vectors: accuracy of a softmax regression on new ones.

    Features are brought to mean 0 and variance 1, by the first set's figures. Nothing is drawn: the regression starts
    from zero and its loss is convex.

    Args:
        features: ``[n, E]``.
        labels: ``[n]``, numbers from 0.
        test_features: ``[m, E]``.
        test_labels: ``[m]``.
        penalty: weight of the sum of squares of the map, which keeps it finite.

    Returns:
        Share of the m labels that scored highest.

    Raises:
        ValueError: shapes do not fit.
    """
    for name, x, y in (("features", features, labels), ("test_features", test_features, test_labels)):
        if x.ndim != 2 or y.shape != x.shape[:1] or x.shape[1] != features.shape[1]:
            raise ValueError(
                f"linear_probe: {name}: expected [n, E] with n labels, got {list(x.shape)}, {list(y.shape)}"
            )
    mean, spread = features.mean(0), features.std(0) + 1e-6
    x, new = (features - mean) / spread, (test_features - mean) / spread
    weight = torch.zeros(x.shape[1], int(labels.max()) + 1, dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(weight.shape[1], dtype=x.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(x @ weight + bias, labels) + penalty * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return ((new @ weight + bias).argmax(1) == test_labels).double().mean().item()


# --- Below ------------------------------------------------------------------------------------------------------


class _Watch:
    """Looks at the validation pairs, keeps the best parameters, and says when to stop."""

    def __init__(self, model: nn.Module, corpus: Corpus, pairs: Sequence[Pair], patience: int) -> None:
        self.model, self.corpus, self.pairs, self.patience = model, corpus, pairs, patience
        self.looks: list[tuple[int, float]] = []
        self.best, self.since, self.stopped = math.inf, 0, False
        self.parameters: dict[str, Tensor] = {}

    def enough(self, step: int) -> bool:
        loss = validation_loss(self.model, self.pairs, self.corpus)
        self.looks.append((step, loss))
        if loss < self.best:
            self.best, self.since, self.parameters = loss, 0, copy.deepcopy(self.model.state_dict())
        else:
            self.since += 1
        if self.since >= self.patience:
            self.model.load_state_dict(self.parameters)
            self.stopped = True
        return self.stopped


def _shown(items: Iterable[Batch], total: int, progress: bool) -> Iterable[Batch]:
    if not progress:
        return items
    from rich.progress import track

    return track(items, description="training", total=total)


def _logits(
    model: nn.Module, batch: Batch, teacher_forcing: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Scores of the target's tokens; a model that knows no other way than teacher forcing is not asked for one."""
    how = {} if teacher_forcing == 1 else {"teacher_forcing": teacher_forcing, "generator": generator}
    return model(batch.source, batch.source_mask, batch.target, **how)


def _written(
    model: Any, sources: Sequence[Sequence[str]], corpus: Corpus, max_length: int, batch_size: int = 256
) -> list[list[int]]:
    """Token numbers of each translation, filled up with PAD."""
    written: list[list[int]] = []
    for start in range(0, len(sources), batch_size):
        source, mask = pad([corpus.source.encode(tokens) for tokens in sources[start : start + batch_size]])
        written += model.greedy_decode(source, mask, max_length).tolist()
    return written


def _scores(results: Sequence[tuple[Pair, list[int]]], corpus: Corpus) -> Scores:
    from sacrebleu import corpus_bleu

    translations = [corpus.target.decode(ids) for _, ids in results]
    references = [pair.target for pair, _ in results]
    right = tokens = exact = 0
    for (pair, ids), translation in zip(results, translations, strict=True):
        expected = [*corpus.target.encode(pair.target), EOS]
        right += sum(token == own for token, own in zip(expected, ids, strict=False))
        tokens += len(expected)
        exact += tuple(translation) == pair.target
    lines, expected_lines = ([" ".join(words) for words in side] for side in (translations, references))
    bleu = corpus_bleu(lines, [expected_lines], tokenize="none", force=True).score
    return Scores(exact / len(results), right / tokens, bleu, len(results))
