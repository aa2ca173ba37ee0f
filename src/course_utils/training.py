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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor, nn

from course_utils.data import EOS, PAD, Batch, Corpus, Pair, batches, collate, pad

Schedule = Literal["linear", "constant", "inverse-root"]


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        steps: how many batches to learn from, at most.
        batch_size: B.
        learning_rate: of Adam, at its highest.
        schedule: what follows the warm-up: ``linear`` falls to zero at the last step, ``constant`` stays,
            ``inverse-root`` falls as 1 / √step, as in Vaswani et al. (2017), Equation 3.
        warmup: the share of the steps in which the learning rate rises from zero in a line.
        clip: the gradient is shortened to this norm where it is longer.
        betas: of Adam: how much of its two running means it keeps.
        label_smoothing: the share of the right token's probability that is spread over all tokens.
        teacher_forcing: how often the decoder is given the target's last token, else its own.
        seed: of the order of the batches, of dropout, and of the coins of teacher forcing.
        check_every: steps between two looks at the validation pairs, and between two checkpoints, if there are any.
        patience: looks without a better loss after which training stops, and the best parameters are put back.
    """

    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 4e-3
    schedule: Schedule = "linear"
    warmup: float = 0.1
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    label_smoothing: float = 0.0
    teacher_forcing: float = 1.0
    seed: int = 0
    check_every: int = 50
    patience: int = 3

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "clip", "check_every", "patience"):
            if not getattr(self, name) > 0:
                raise ValueError(f"TrainingConfig: {name}: expected more than 0, got {getattr(self, name)}")
        for name in ("warmup", "label_smoothing", "teacher_forcing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"TrainingConfig: {name}: expected a share in [0, 1], got {getattr(self, name)}")
        if self.schedule not in get_args(Schedule):
            expected = " or ".join(map(repr, get_args(Schedule)))
            raise ValueError(f"TrainingConfig: schedule: expected {expected}, got {self.schedule!r}")


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


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within this block a model computes as it is used, without dropout and without gradients."""
    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was)


def cross_entropy(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean of −ln p(token) over all tokens of a batch that are not padding.

    Args:
        logits: ``[B, T, N]``, before the softmax.
        target: ``[B, T]``, token numbers; PAD is left out of the mean.
        label_smoothing: ε: the truth is 1 − ε on the target's token and ε / N more on each of the N, as in Szegedy et
            al. (2016), Section 7.

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
    return nn.functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(), ignore_index=PAD, label_smoothing=label_smoothing
    )


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """The learning rate of a step, counted from 0: up in a line during the warm-up, then as the schedule says."""
    warm = round(config.warmup * config.steps)
    if step < warm:
        return config.learning_rate * (step + 1) / (warm + 1)
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "inverse-root":
        return config.learning_rate * math.sqrt((warm + 1) / (step + 1))
    return config.learning_rate * (config.steps - step) / (config.steps - warm)


class Stateful(Protocol):
    """What can say where it is, and go on from there."""

    def state_dict(self) -> dict[str, Any]:
        """All of it, in tensors and plain values."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Go back to such a state."""


def fit(
    model: nn.Module,
    loss: Callable[[torch.Generator], Tensor],
    config: TrainingConfig,
    *,
    enough: Callable[[int], bool] | None = None,
    also: Mapping[str, Stateful] | None = None,
    checkpoint: Path | None = None,
    progress: bool = False,
) -> History:
    """Change a model's parameters by Adam until they make a loss small.

    Torch's global random numbers, which dropout uses, start from the seed and are afterwards as they were before.

    Args:
        model: whose parameters are changed.
        loss: draws a batch with the generator that it is given, and returns the model's mean loss on it.
        config: see there; of the fields, ``batch_size``, ``label_smoothing`` and ``teacher_forcing`` are the loss' own
            matter.
        enough: asked every ``check_every`` steps, with how many were made, whether to stop.
        also: by name, what else changes from step to step and belongs into a checkpoint.
        checkpoint: a file that is written every ``check_every`` steps, and from which training goes on if it is there:
            the result is that of a training that was never interrupted.
        progress: whether to show a bar.

    Returns:
        What happened, step by step.

    Raises:
        FloatingPointError: the loss is not finite; the parameters are those before that step.
        ValueError: the checkpoint is of a training with another configuration.
    """
    generator = torch.Generator().manual_seed(config.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate, betas=config.betas)
    saved = {"model": model, "optimiser": optimiser, **(also or {})}
    rows: list[tuple[float, float, float]] = []
    ended = False
    with seeded(config.seed):
        if checkpoint is not None and checkpoint.is_file():
            rows, ended = _resume(checkpoint, config, saved, generator)
        for step in _shown(range(len(rows), 0 if ended else config.steps), progress):
            optimiser.param_groups[0]["lr"] = learning_rate_at(step, config)
            rows.append(_step(model, loss, optimiser, generator, step, config.clip))
            if (step + 1) % config.check_every == 0:
                ended = enough is not None and enough(step + 1)
                if checkpoint is not None:
                    _save(checkpoint, config, saved, generator, rows, ended)
            if ended:
                break
    losses, norms, rates = zip(*rows, strict=True)
    return History(losses, norms, rates)


def train(
    model: nn.Module,
    corpus: Corpus,
    config: TrainingConfig,
    *,
    validation: Sequence[Pair] = (),
    checkpoint: Path | None = None,
    progress: bool = False,
) -> History:
    """Change a model's parameters by :func:`fit` until it gives the corpus' targets for its sources.

    Args:
        model: see the top of this module.
        corpus: of which ``train`` is learned from, again and again in new order.
        config: see there.
        validation: pairs to look at from time to time, to stop early; none of ``corpus.train``, nor those of the test.
        checkpoint: see :func:`fit`.
        progress: whether to show a bar.

    Returns:
        What happened, step by step.

    Raises:
        FloatingPointError: the loss is not finite; the parameters are those before that step.
        ValueError: the checkpoint is of a training with another configuration.
    """
    stream, watch = _Stream(corpus, config.batch_size), _Watch(model, corpus, validation, config.patience)

    def loss(generator: torch.Generator) -> Tensor:
        batch = stream.next(generator)
        logits = _logits(model, batch, config.teacher_forcing, generator)
        return cross_entropy(logits, batch.target, config.label_smoothing)

    also: dict[str, Stateful] = {"stream": stream, "watch": watch}
    enough = watch.enough if validation else None
    history = fit(model, loss, config, enough=enough, also=also, checkpoint=checkpoint, progress=progress)
    return replace(history, validation=tuple(watch.looks), stopped_early=watch.stopped)


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
    with evaluating(model):
        for start in range(0, len(pairs), batch_size):
            batch = collate(pairs[start : start + batch_size], corpus)
            here = int(batch.target_mask.sum())
            total += cross_entropy(_logits(model, batch), batch.target).item() * here
            tokens += here
    return total / tokens


def translate(
    model: nn.Module, sources: Sequence[Sequence[str]], corpus: Corpus, *, max_length: int = 100, batch_size: int = 256
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
        bleu: of the sentences together, 0 to 100: Papineni et al. (2002), by sacrebleu without any tokenisation of its
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

    def columns(self) -> dict[str, list[float]]:
        """The scores by size as a record keeps them: a list a column, rounded, smallest size first."""
        scores = self.by_size.values()
        return {
            "sizes": list(self.by_size),
            "exact_match": [round(each.exact_match, 4) for each in scores],
            "token_accuracy": [round(each.token_accuracy, 4) for each in scores],
            "bleu": [round(each.bleu, 2) for each in scores],
        }


def evaluate(model: nn.Module, pairs: Sequence[Pair], corpus: Corpus, *, max_length: int = 100) -> Evaluation:
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


def _step(
    model: nn.Module,
    loss: Callable[[torch.Generator], Tensor],
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    step: int,
    clip: float,
) -> tuple[float, float, float]:
    """Make one step; its loss, the norm of its gradient and its learning rate."""
    value = loss(generator)
    if not value.isfinite():
        raise FloatingPointError(f"fit: the loss is {value.item()} at step {step}: try a lower learning rate")
    optimiser.zero_grad()
    value.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimiser.step()
    return value.item(), norm.item(), optimiser.param_groups[0]["lr"]


def _save(
    path: Path,
    config: TrainingConfig,
    saved: Mapping[str, Stateful],
    generator: torch.Generator,
    rows: list[tuple[float, float, float]],
    ended: bool,
) -> None:
    """Write a checkpoint, whole or not at all."""
    states = {name: part.state_dict() for name, part in saved.items()}
    chance = {"generator": generator.get_state(), "global": torch.get_rng_state()}
    draft = path.with_name(path.name + ".part")
    torch.save({"config": asdict(config), "states": states, "chance": chance, "rows": rows, "ended": ended}, draft)
    draft.replace(path)


def _resume(
    path: Path, config: TrainingConfig, saved: Mapping[str, Stateful], generator: torch.Generator
) -> tuple[list[tuple[float, float, float]], bool]:
    """Put everything back to where a checkpoint was made; the steps so far, and whether they were enough."""
    kept = torch.load(path, weights_only=True)
    for name, value in asdict(config).items():
        if kept["config"].get(name) != value:
            was = kept["config"].get(name)
            raise ValueError(f"fit: checkpoint {path} was made with {name} = {was}, not {value}: name another file")
    for name, part in saved.items():
        part.load_state_dict(kept["states"][name])
    generator.set_state(kept["chance"]["generator"])
    torch.set_rng_state(kept["chance"]["global"])
    return kept["rows"], kept["ended"]


class _Stream:
    """The batches of a corpus, again and again in new order."""

    def __init__(self, corpus: Corpus, batch_size: int) -> None:
        self.corpus, self.batch_size = corpus, batch_size
        self.left: list[Batch] = []  # of this round, the next one last
        self.began = torch.empty(0)  # the generator's state when this round was drawn

    def next(self, generator: torch.Generator) -> Batch:
        if not self.left:
            self.began = generator.get_state()
            self.left = self._round(generator)
        return self.left.pop()

    def state_dict(self) -> dict[str, Any]:
        return {"began": self.began, "left": len(self.left)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.began = state["began"]
        again = torch.Generator()
        again.set_state(self.began)
        self.left = self._round(again)[: state["left"]]

    def _round(self, generator: torch.Generator) -> list[Batch]:
        return list(batches(self.corpus, self.batch_size, generator))[::-1]


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

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("looks", "best", "since", "stopped", "parameters")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def _shown(steps: range, progress: bool) -> Iterable[int]:
    if not progress:
        return steps
    from rich.progress import track

    return track(steps, description="training")


def _logits(
    model: nn.Module, batch: Batch, teacher_forcing: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Scores of the target's tokens; a model that knows no other way than teacher forcing is not asked for one."""
    how = {} if teacher_forcing == 1 else {"teacher_forcing": teacher_forcing, "generator": generator}
    return model(batch.source, batch.source_mask, batch.target, **how)


def _written(
    model: nn.Module, sources: Sequence[Sequence[str]], corpus: Corpus, max_length: int, batch_size: int = 256
) -> list[list[int]]:
    """Token numbers of each translation, filled up with PAD."""
    written: list[list[int]] = []
    with evaluating(model):
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
