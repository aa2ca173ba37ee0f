"""Where *it* looks, and what two heads can do: chapter 05's longer measurements, on the tasks that `pronouns` fixes.

A run holds, under ``pronouns``, one entry a design: accuracy on held-out pairs of nouns; the mean share of *it*'s
weight in the last layer by what it falls on, the noun that is meant, the other noun, *it* and what is said after it,
the rest of the first sentence; and, under ``puzzle``, *it*'s weights in the two lines with which the chapter opens.
Under ``relations`` stands one entry a model: heads, width, steps, width of a hidden layer in the readout, parameters;
the share of right answers to either question, and of places where both are right; and the mean weight of each head on
the place before and on the place pointed to. Under ``claims`` is what EXPECTED speaks of.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from course_utils.pronouns import (
    DESIGNS,
    NOUNS,
    Design,
    Pronouns,
    SelfAttentionReader,
    encode,
    layer_masks,
    noun_at_it,
    pronoun_example,
    pronoun_examples,
    pronoun_vocabulary,
    two_relations,
)
from course_utils.records import experiment
from course_utils.training import TrainingConfig, fit, seeded

SETTINGS = {
    "width": 64,
    "batch_size": 64,
    "pronoun_steps": 1_000,
    "pronoun_rate": 3e-3,
    "length": 10,
    "relation_steps": 500,
    "relation_rate": 1e-2,
    # Heads, width, how many times the steps, width of a hidden layer in the readout.
    "relations": [[1, 32, 1, 0], [2, 32, 1, 0], [1, 64, 1, 0], [1, 32, 3, 0], [1, 32, 1, 64]],
}

# Written on 21 November 2026, before any run with these settings. Known were the project's notes (similar sentences:
# one layer right in 0.92 to 0.98, its weight split evenly; two layers 0.95 to 1.0, 0.5 to 0.8 of it on the noun; the
# first within its sentence at least 0.997, 0.92 to 0.98; one head 0.39 to 0.43, two heads 1.0) and trials on the seeds
# 77 and 78, by which width, rate and the size of the first embeddings were picked. With larger embeddings one layer was
# right in 0.49 to 0.91, two layers in 1.0 with 0.5 of the weight on the noun, the third design in 0.85 to 1.0 with 0.5
# to 0.74, one head in 0.42; with these one layer in 0.65 and 0.70, split evenly, two layers in 0.99 (0.67 on the noun),
# the third design in 1.0 (1.0), two heads and one head with a hidden layer in 1.0.
EXPECTED = {
    # Pronouns, one layer: right on held-out pairs more often than not, as it would not be by picking one of the two ...
    "one-layer-right": (0.6, 1.0),
    # ... though *it* looks as much at the other noun as at the one that is meant.
    "one-layer-undecided": (-0.1, 0.1),
    # Two layers: right, with part of the weight on the noun that is meant.
    "two-layers-right": (0.95, 1.0),
    "two-layers-look": (0.4, 0.85),
    # Two layers, the first within a sentence: right, with nearly all of the weight on it.
    "inside-right": (0.98, 1.0),
    "inside-looks": (0.85, 1.0),
    # Two relations: one head cannot give both answers, two heads of half the width can, with a head for each ...
    "one-head": (0.0, 0.6),
    "two-heads": (0.99, 1.0),
    "a-head-each": (0.8, 1.0),
    # ... and neither twice the width nor three times the steps help one head; a hidden layer in the readout does.
    "one-wide-head": (0.0, 0.6),
    "one-patient-head": (0.0, 0.6),
    "one-head-bent": (0.95, 1.0),
}


def run(
    seed: int,
    width: int,
    batch_size: int,
    pronoun_steps: int,
    pronoun_rate: float,
    length: int,
    relation_steps: int,
    relation_rate: float,
    relations: list[list[int]],
) -> dict[str, Any]:
    """Everything for one seed, of the models and of the batches; the sentences are always the same."""
    torch.set_num_threads(1)
    looks: dict[Design, dict[str, Any]] = {}
    for design in DESIGNS:
        looks[design] = pronouns(seed, design, width, pronoun_steps, pronoun_rate, batch_size)
        print(f"seed {seed}: {design}: trained and tested", flush=True)
    found = []
    for heads, wide, times, hidden in relations:
        steps = times * relation_steps
        found.append(two(seed, heads, wide, hidden, length, steps, relation_rate, batch_size))
        print(f"seed {seed}: heads {heads}, width {wide}, steps {steps}, hidden {hidden}: done", flush=True)
    return {"pronouns": looks, "relations": found, "claims": claims(looks, found)}


def pronouns(seed: int, design: Design, width: int, steps: int, rate: float, batch_size: int) -> dict[str, Any]:
    """Train one design, and see whether it is right and where it looks."""
    vocabulary = pronoun_vocabulary()
    train, test = (encode(part, vocabulary) for part in pronoun_examples())
    puzzle = [pronoun_example("dog", "apple", "likes", f"has a long {last}") for last in ("tail", "stalk")]
    with seeded(seed):
        n_layers = len(layer_masks(test, design))
        model = SelfAttentionReader(len(vocabulary), test.tokens.shape[1], len(NOUNS), width=width, n_layers=n_layers)

    def loss(generator: torch.Generator) -> Tensor:
        batch = train[torch.randint(len(train), (batch_size,), generator=generator)]
        return cross_entropy(noun_at_it(model, batch, design)[0], batch.answer)

    fit(model, loss, config(steps, rate, seed))
    with torch.no_grad():
        scores, weights = noun_at_it(model, test, design)
        rows = noun_at_it(model, encode(puzzle, vocabulary), design)[1]
    return {
        "accuracy": mean(scores.argmax(-1) == test.answer),
        **shares(weights, test),
        "puzzle": [[round(weight, 4) for weight in row] for row in rows.tolist()],
    }


def config(steps: int, rate: float, seed: int) -> TrainingConfig:
    """A learning rate that falls in a line from the first step on, and gradients as long as they are."""
    return TrainingConfig(steps=steps, learning_rate=rate, warmup=0, clip=math.inf, seed=seed)


def shares(weights: Tensor, batch: Pronouns) -> dict[str, float]:
    """On what *it*'s weight falls, on average."""
    rows = torch.arange(len(batch))
    meant, other = weights[rows, batch.antecedent], weights[rows, batch.other]
    second = (weights * (batch.sentence == 1)).sum(-1)
    parts = {"meant": meant, "other": other, "second": second, "rest": 1 - meant - other - second}
    return {name: mean(part) for name, part in parts.items()}


def two(
    seed: int, n_heads: int, width: int, hidden: int, length: int, steps: int, rate: float, batch_size: int
) -> dict[str, Any]:
    """Train one model on two relations at once."""
    with seeded(seed):
        model = SelfAttentionReader(length, length, 2 * length, width=width, n_heads=n_heads, hidden=hidden)

    def answered(x: Tensor) -> tuple[Tensor, Tensor]:
        scores, weights = model(x, [None])
        return scores.unflatten(-1, (2, length)), weights[0]

    def loss(generator: torch.Generator) -> Tensor:
        x, answers = two_relations(batch_size, length, generator)
        return cross_entropy(answered(x)[0].flatten(0, 2), answers.flatten())

    fit(model, loss, config(steps, rate, seed))
    x, answers = two_relations(2_000, length, torch.Generator().manual_seed(1_000 + seed))
    with torch.no_grad():
        scores, weights = answered(x)
    right = scores.argmax(-1) == answers
    return {
        "heads": n_heads,
        "width": width,
        "steps": steps,
        "hidden": hidden,
        "parameters": sum(p.numel() for p in model.parameters()),
        "before": mean(right[..., 0]),
        "pointed": mean(right[..., 1]),
        "both": mean(right.all(-1)),
        "on_before": on(weights, torch.arange(length).roll(1).expand(x.shape)),
        "on_pointed": on(weights, x),
    }


def on(weights: Tensor, place: Tensor) -> list[float]:
    """The mean weight of each head on one place for each query: weights [B, H, T, T], place [B, T]."""
    columns = place[:, None, :, None].expand(-1, weights.shape[1], -1, 1)
    return [mean(head) for head in weights.gather(-1, columns).transpose(0, 1)]


def mean(values: Tensor) -> float:
    return round(values.double().mean().item(), 4)


def claims(looks: dict[Design, dict[str, Any]], found: list[dict[str, Any]]) -> dict[str, float]:
    """The numbers that EXPECTED speaks of."""
    one, two_layers, inside = (looks[design] for design in DESIGNS)
    single, double, wide, long, bent = found
    return {
        "one-layer-right": one["accuracy"],
        "one-layer-undecided": round(one["meant"] - one["other"], 4),
        "two-layers-right": two_layers["accuracy"],
        "two-layers-look": two_layers["meant"],
        "inside-right": inside["accuracy"],
        "inside-looks": inside["meant"],
        "one-head": single["both"],
        "two-heads": double["both"],
        "a-head-each": min(max(double["on_before"]), max(double["on_pointed"])),
        "one-wide-head": wide["both"],
        "one-patient-head": long["both"],
        "one-head-bent": bent["both"],
    }


if __name__ == "__main__":
    experiment(__file__, SETTINGS, EXPECTED, run)
