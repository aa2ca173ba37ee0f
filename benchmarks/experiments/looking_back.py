"""What looking back gains, and what its weights say: chapter 04's longer measurements, on the corpora of chapter 03.

Corpora, widths, steps, batch size and learning rate are those of `bottleneck.py`, and so is the encoder, a GRU in one
direction: its curves and these can be laid over each other.

A run holds, under ``models``, one entry a training: its name, corpus, width, wiring, score and range, number of
parameters, mean loss of the last fifty steps, and for each size of a test sentence exact match, token accuracy, BLEU
and the alignment error rate of the weights against gold, all tokens before each given. Under ``changed`` stands, by
model, BLEU for the sizes up to 20 as trained, with all weight on the highest (`hard`), with the same weight on every
word (`level`) and with each row's weights dealt out anew at random (`shuffled`). Under ``wirings`` stand the five
classic wirings on the grammar, whose targets are as long as their sources, at one number of parameters, and the two
without a decoder on copying as well; under ``unmoved``, by size, the share of the grammar's target tokens that stand
where their source word stands, which is what can be known without the order of the words; under ``claims`` what
EXPECTED speaks of.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from course_utils.alignment import alignment_error
from course_utils.data import Corpus, Language, collate, copying_corpus, dates_corpus, grammar_corpus
from course_utils.decoders import (
    AttentionDecoder,
    BahdanauDecoder,
    LuongDecoder,
    attention_weights,
    harden,
    level,
    shuffle,
    with_changed_weights,
)
from course_utils.records import experiment
from course_utils.seq2seq import Encoder, EncoderDecoder, count_parameters
from course_utils.training import TrainingConfig, evaluate, seeded, train
from course_utils.wirings import SETTINGS as WIRINGS
from course_utils.wirings import Wiring, width_for

SETTINGS = {
    # Name, corpus, width, wiring, score, range.
    "trainings": [
        ["additive", "grammar", 64, "bahdanau", "additive", "global"],
        ["dot", "grammar", 64, "luong", "dot", "global"],
        ["general", "grammar", 64, "luong", "general", "global"],
        ["location", "grammar", 64, "luong", "location", "global"],
        ["fixed", "grammar", 64, "luong", "fixed", "global"],
        ["local-m", "grammar", 64, "luong", "general", "local-m"],
        ["local-p", "grammar", 64, "luong", "general", "local-p"],
        ["dates fr", "dates fr", 128, "luong", "general", "global"],
        ["dates ko", "dates ko", 128, "luong", "general", "global"],
    ],
    "changed": ["additive", "location"],
    "wirings": [
        *(["grammar", setting] for setting in WIRINGS),
        ["copying", "encoder-only dot"],
        ["copying", "encoder-only qkv"],
    ],
    "wiring_parameters": 60_000,
    "window": 3,
    "embedding_width": 32,
    "steps": 800,
    "batch_size": 32,
    "rate_times_root_of_width": 0.064,
}

# Written on 21 November 2026, before any training with this code: there was no pilot. Known were the papers and the
# project's notes of other code on a similar grammar: 600 steps, additive, BLEU 98.9 at length 20, then 57, 36 and 25 at
# 30, 40 and 50, alignment error at most 0.003, dot and general the same, location 99.7 with an alignment error of 0.39;
# 900 steps and an encoder in both directions, BLEU at least 96.7 at length 20 for all four, alignment error up to 1.1 %
# for the first three, 43 % for location; dates in lists of three with general scores: 99.5 to 100 % exact, alignment
# error on fields 13 to 28 %.
EXPECTED = {
    # Grammar, width 64. With additive scores BLEU no longer falls up to the longest length that was trained on: at 20
    # it is at least 0.85 of that at 4 (Bahdanau et al. 2014, Fig. 2: RNNsearch-50 does not fall) ...
    "additive-holds": (0.85, 1.02),
    # ... nor, as nearly, with Luong's.
    "dot-holds": (0.7, 1.02),
    "general-holds": (0.7, 1.02),
    "location-holds": (0.8, 1.02),
    "local-m-holds": (0.7, 1.02),
    "local-p-holds": (0.7, 1.02),
    # Most sentences of twenty words are exact.
    "additive-exact": (0.6, 1.0),
    # Past the lengths of the training it falls all the same: BLEU at 40 against 20.
    "additive-fails-beyond": (0.0, 0.7),
    # Alignment error up to length 20: next to none for the scores that look at the encoder's states ...
    "additive-aligns": (0.0, 0.05),
    "dot-aligns": (0.0, 0.1),
    "general-aligns": (0.0, 0.1),
    # ... and a lot for the one that does not (Luong et al. 2015, Sec. 5.3: it "does not learn good alignments") ...
    "location-does-not-align": (0.2, 0.8),
    # ... which translates as well: BLEU at length 20, location less additive.
    "location-translates-as-well": (-5.0, 10.0),
    # Its rows for positions past 20 were never trained: BLEU at 30 against 20.
    "location-fails-beyond": (0.0, 0.4),
    # A window of three on each side carries further than the whole sentence: BLEU at 40, local-m less general.
    "local-m-carries-further": (0.0, 100.0),
    # Weights that do not depend on the sentence lose: BLEU at 20, additive less a learned table by step.
    "fixed-is-worse": (10.0, 100.0),
    # Trained models with their weights dealt out at random: BLEU lost at length 12. Both need them where they are ...
    "shuffling-breaks-additive": (50.0, 100.0),
    "shuffling-breaks-location": (50.0, 100.0),
    # ... and neither is served by the mean.
    "levelling-breaks-additive": (50.0, 100.0),
    "levelling-breaks-location": (50.0, 100.0),
    # All weight on the highest: BLEU lost at length 20. Nothing where weights align, a lot where they mix.
    "hard-is-as-good-for-additive": (-3.0, 3.0),
    "hard-breaks-location": (20.0, 100.0),
    # Dates, width 128: nine of ten lists of three are exact, where one vector had none, in either order of words ...
    "three-dates-french": (0.9, 1.0),
    "three-dates-korean": (0.9, 1.0),
    # ... and the weights' error on fields is as large for the pair that keeps the order as for that which does not.
    "dates-align-alike": (-0.1, 0.1),
    # The five wirings at length 12 of the grammar. With a decoder nearly every token is right ...
    "wired-dot": (0.9, 1.0),
    "wired-qkv": (0.9, 1.0),
    "wired-tutorial": (0.8, 1.0),
    # ... without one, and so without any order, at most what stands where it stood, give or take a guess: token
    # accuracy less the share of tokens that do not move.
    "blind-dot": (-0.15, 0.15),
    "blind-qkv": (-0.15, 0.15),
    # Copying needs no order: without a decoder strings of fifty, two and a half times the longest that was trained on,
    # are exact.
    "blind-dot-copies": (0.95, 1.0),
    "blind-qkv-copies": (0.95, 1.0),
}

SHORT = (4, 8, 12, 16, 20)  # the sizes of the grammar within the lengths that are trained on


def run(
    seed: int,
    trainings: list[Any],
    changed: list[str],
    wirings: list[Any],
    wiring_parameters: int,
    window: int,
    embedding_width: int,
    **how: Any,
) -> dict[str, Any]:
    """Everything for one seed, of the models and of the order of the batches; the corpora are always the same."""
    torch.set_num_threads(1)
    models: dict[str, EncoderDecoder] = {}
    made: dict[str, dict[str, Any]] = {}
    for name, corpus, *design in trainings:
        models[name] = build(corpora(corpus), embedding_width, window, seed, *design)
        settings = dict(zip(("width", "wiring", "score", "reach"), design, strict=True))
        measured = measure(models[name], corpus, settings["width"], seed, **how)
        made[name] = {"name": name, "corpus": corpus} | settings | measured
        made[name]["alignment_error"] = alignment_errors(models[name], corpora(corpus))
        print(f"seed {seed}: {name}: trained and tested", flush=True)
    changes = {name: with_changes(models[name], corpora("grammar"), made[name], seed) for name in changed}
    wired = []
    for task, setting in wirings:
        wired.append(wire(setting, task, wiring_parameters, seed, **how))
        print(f"seed {seed}: {setting}, {task}: trained and tested", flush=True)
    unmoved = share_unmoved(corpora("grammar"))
    found = claims(made, changes, wired, unmoved)
    return {
        "models": list(made.values()),
        "changed": changes,
        "wirings": wired,
        "unmoved": {str(size): round(share, 4) for size, share in unmoved.items()},
        "claims": {name: round(value, 4) for name, value in found.items()},
    }


@cache
def corpora(name: str) -> Corpus:
    """The corpora by name, always the same."""
    if name == "grammar":
        return grammar_corpus()
    if name == "copying":
        return copying_corpus()
    language: Language = "fr" if name.endswith("fr") else "ko"
    return dates_corpus(language)


def build(
    corpus: Corpus,
    embedding_width: int,
    window: int,
    seed: int,
    width: int,
    wiring: str,
    score: Any,
    reach: Any,
) -> EncoderDecoder:
    """A model that has learned nothing yet."""
    kind = {"bahdanau": BahdanauDecoder, "luong": LuongDecoder}[wiring]
    with seeded(seed):
        encoder = Encoder(len(corpus.source), embedding_width, width)
        decoder: AttentionDecoder = kind(
            len(corpus.target), embedding_width, width, score=score, reach=reach, window=window
        )
    return EncoderDecoder(encoder, decoder)


def measure(
    model: torch.nn.Module,
    name: str,
    width: int,
    seed: int,
    steps: int,
    batch_size: int,
    rate_times_root_of_width: float,
) -> dict[str, Any]:
    """Train one model and test it on every size."""
    corpus = corpora(name)
    rate = rate_times_root_of_width / width**0.5
    config = TrainingConfig(steps=steps, batch_size=batch_size, learning_rate=rate, seed=seed)
    losses = train(model, corpus, config).losses
    return {
        "parameters": sum(count_parameters(model).values()),
        "loss": round(sum(losses[-50:]) / 50, 4),
        **evaluate(model, corpus.test, corpus).columns(),
    }


def alignment_errors(model: EncoderDecoder, corpus: Corpus) -> list[float]:
    """Alignment error rate of the weights on the references, by size."""
    errors = []
    for size in sorted({pair.size for pair in corpus.test}):
        pairs = [pair for pair in corpus.test if pair.size == size]
        batch = collate(pairs, corpus)
        weights = attention_weights(model, batch.source, batch.source_mask, batch.target)
        errors.append(round(alignment_error(weights, [pair.alignment for pair in pairs]), 4))
    return errors


def with_changes(model: EncoderDecoder, corpus: Corpus, trained: dict[str, Any], seed: int) -> dict[str, list[float]]:
    """BLEU for the short sizes as trained, and with the weights changed in three ways."""
    pairs = [pair for pair in corpus.test if pair.size in SHORT]
    ways = {"hard": harden, "level": level, "shuffled": shuffle(torch.Generator().manual_seed(2_000 + seed))}
    found = {"trained": trained["bleu"][: len(SHORT)]}
    for name, change in ways.items():
        scores = evaluate(with_changed_weights(model, change), pairs, corpus).by_size
        found[name] = [round(each.bleu, 2) for each in scores.values()]
    return found


def wire(setting: Any, task: str, parameters: int, seed: int, **how: Any) -> dict[str, Any]:
    """Train and test one of the five wirings, as wide as its share of parameters allows."""
    corpus = corpora(task)
    sizes = len(corpus.source), len(corpus.target)
    width = width_for(setting, *sizes, parameters)
    with seeded(seed):
        model = Wiring(*sizes, width, setting=setting)
    return {"setting": setting, "corpus": task, "width": width} | measure(model, task, width, seed, **how)


def share_unmoved(corpus: Corpus) -> dict[int, float]:
    """By size, the share of target tokens, end token included, that stand where their source word stands."""
    shares: dict[int, list[float]] = {}
    for pair in corpus.test:
        still = 1 + sum(source == target for source, target in pair.alignment or ())
        shares.setdefault(pair.size, []).append(still / (len(pair.target) + 1))
    return {size: sum(each) / len(each) for size, each in sorted(shares.items())}


def claims(
    made: dict[str, dict[str, Any]],
    changed: dict[str, dict[str, list[float]]],
    wired: list[dict[str, Any]],
    unmoved: dict[int, float],
) -> dict[str, float]:
    """The numbers that EXPECTED speaks of."""

    def at(name: str, size: int, what: str = "bleu") -> float:
        return made[name][what][made[name]["sizes"].index(size)]

    def ratio(name: str, long: int, short: int) -> float:
        return at(name, long) / at(name, short) if at(name, short) else 0.0

    def misaligned(name: str) -> float:
        return sum(at(name, size, "alignment_error") for size in SHORT) / len(SHORT)

    def lost(name: str, way: str, size: int) -> float:
        place = SHORT.index(size)
        return changed[name]["trained"][place] - changed[name][way][place]

    def wiring(setting: str, task: str, size: int, what: str) -> float:
        (one,) = (each for each in wired if (each["setting"], each["corpus"]) == (setting, task))
        return one[what][one["sizes"].index(size)]

    tokens, exact = "token_accuracy", "exact_match"
    return {
        **{f"{name}-holds": ratio(name, 20, 4) for name in ("additive", "dot", "general", "location")},
        **{f"{name}-holds": ratio(name, 20, 4) for name in ("local-m", "local-p")},
        "additive-exact": at("additive", 20, exact),
        "additive-fails-beyond": ratio("additive", 40, 20),
        **{f"{name}-aligns": misaligned(name) for name in ("additive", "dot", "general")},
        "location-does-not-align": misaligned("location"),
        "location-translates-as-well": at("location", 20) - at("additive", 20),
        "location-fails-beyond": ratio("location", 30, 20),
        "local-m-carries-further": at("local-m", 40) - at("general", 40),
        "fixed-is-worse": at("additive", 20) - at("fixed", 20),
        "shuffling-breaks-additive": lost("additive", "shuffled", 12),
        "shuffling-breaks-location": lost("location", "shuffled", 12),
        "levelling-breaks-additive": lost("additive", "level", 12),
        "levelling-breaks-location": lost("location", "level", 12),
        "hard-is-as-good-for-additive": lost("additive", "hard", 20),
        "hard-breaks-location": lost("location", "hard", 20),
        "three-dates-french": at("dates fr", 3, exact),
        "three-dates-korean": at("dates ko", 3, exact),
        "dates-align-alike": at("dates ko", 3, "alignment_error") - at("dates fr", 3, "alignment_error"),
        "wired-dot": wiring("encoder-decoder dot", "grammar", 12, tokens),
        "wired-qkv": wiring("encoder-decoder qkv", "grammar", 12, tokens),
        "wired-tutorial": wiring("tutorial", "grammar", 12, tokens),
        "blind-dot": wiring("encoder-only dot", "grammar", 12, tokens) - unmoved[12],
        "blind-qkv": wiring("encoder-only qkv", "grammar", 12, tokens) - unmoved[12],
        "blind-dot-copies": wiring("encoder-only dot", "copying", 50, exact),
        "blind-qkv-copies": wiring("encoder-only qkv", "copying", 50, exact),
    }


if __name__ == "__main__":
    experiment(__file__, SETTINGS, EXPECTED, run)
