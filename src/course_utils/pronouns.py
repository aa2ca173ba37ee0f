"""Two small tasks that self-attention solves, and the smallest model that learns them.

*Pronouns*: two sentences such as "the dog likes an apple . it has a long tail ."; the task is to say, at *it*, which
noun is meant. What decides is said after *it*, of animals or of things. *Two relations*: each symbol of a string is
also the address of a place; the task is to give, at every place, the symbol before it and the symbol that it points to.

Shapes: ``B`` batch, ``T`` positions, ``H`` heads, ``E`` model width, ``N`` outputs. Masks are boolean, True = may
attend.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor, nn

from course_utils.attention import MultiHeadAttention
from course_utils.data import Vocabulary, pad

# Frozen: the grammar, and which pairs of an animal and a thing are held out: a quarter, four of each noun.
ANIMALS = (
    *("badger", "bear", "cat", "cow", "dog", "fox", "goat", "horse", "lion", "mouse"),
    *("otter", "pig", "rabbit", "sheep", "squirrel", "wolf"),
)
THINGS = (
    *("apple", "apricot", "cherry", "chestnut", "date", "fig", "lemon", "lime", "mango", "olive"),
    *("orange", "peach", "pear", "plum", "quince", "walnut"),
)
VERBS = {"likes": "liked", "finds": "found", "sees": "seen", "wants": "wanted"}
OF_ANIMALS = ("has a long tail", "is hungry", "has soft fur", "sleeps all day")
OF_THINGS = ("has a long stalk", "is ripe", "has thin skin", "grows on a tree")
#: All nouns of the task, first the animals, then the things.
NOUNS = ANIMALS + THINGS

Design = Literal["one layer", "two layers", "two layers, the first within a sentence"]
#: The models that the chapter compares.
DESIGNS: tuple[Design, ...] = ("one layer", "two layers", "two layers, the first within a sentence")


# --- Pronouns ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """Two sentences with a pronoun.

    Attributes:
        words: of both sentences, full stops among them.
        it: the position of *it*.
        antecedent: the position of the noun that *it* stands for.
        other: the position of the other noun.
    """

    words: tuple[str, ...]
    it: int
    antecedent: int
    other: int


@dataclass(frozen=True)
class Pronouns:
    """Many examples as tensors.

    Attributes:
        tokens: ``[B, T]``, padded on the right.
        mask: ``[B, T]``, True = a real word.
        sentence: ``[B, T]``, 0 in the first sentence, 1 in the second and in the padding.
        it: ``[B]``, the position of *it*.
        antecedent: ``[B]``, the position of the noun that is meant.
        other: ``[B]``, the position of the other noun.
        answer: ``[B]``, the number of the noun that is meant, in NOUNS.
    """

    tokens: Tensor
    mask: Tensor
    sentence: Tensor
    it: Tensor
    antecedent: Tensor
    other: Tensor
    answer: Tensor

    def __getitem__(self, rows: Tensor) -> Pronouns:
        """Some of the examples."""
        return Pronouns(*(getattr(self, field.name)[rows] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.answer)


def pronoun_example(animal: str, thing: str, verb: str, said: str, *, passive: bool = False) -> Example:
    """Make one example.

    Args:
        animal: one of ANIMALS.
        thing: one of THINGS.
        verb: one of VERBS, as "likes".
        said: what is said of *it*, one of OF_ANIMALS or OF_THINGS.
        passive: "an apple is liked by the dog" instead of "the dog likes an apple".

    Raises:
        ValueError: a word is not of the grammar.
    """
    for name, value, known in (
        ("animal", animal, ANIMALS),
        ("thing", thing, THINGS),
        ("verb", verb, tuple(VERBS)),
        ("said", said, OF_ANIMALS + OF_THINGS),
    ):
        if value not in known:
            raise ValueError(f"pronoun_example: {name}: expected one of {', '.join(known)}, got {value!r}")
    a = "an" if thing[0] in "aeiou" else "a"
    passively = f"{a} {thing} is {VERBS[verb]} by the {animal} ."
    first = passively.split() if passive else f"the {animal} {verb} {a} {thing} .".split()
    nouns = first.index(animal), first.index(thing)
    antecedent, other = nouns if said in OF_ANIMALS else nouns[::-1]
    return Example((*first, "it", *said.split(), "."), len(first), antecedent, other)


def pronoun_examples() -> tuple[list[Example], list[Example]]:
    """All examples of the grammar: those to learn from, and those of the held-out pairs of animal and thing."""
    parts: tuple[list[Example], list[Example]] = [], []
    for (i, animal), (j, thing) in itertools.product(enumerate(ANIMALS), enumerate(THINGS)):
        part = parts[(i + j) % 4 == 0]
        for verb, said, passive in itertools.product(VERBS, OF_ANIMALS + OF_THINGS, (False, True)):
            part.append(pronoun_example(animal, thing, verb, said, passive=passive))
    return parts


def pronoun_vocabulary() -> Vocabulary:
    """All words of the grammar, numbered."""
    return Vocabulary.of(example.words for example in itertools.chain(*pronoun_examples()))


def encode(examples: Sequence[Example], vocabulary: Vocabulary) -> Pronouns:
    """Examples as tensors.

    Args:
        examples: at least one.
        vocabulary: of :func:`pronoun_vocabulary`.
    """
    tokens, mask = pad([vocabulary.encode(example.words) for example in examples])
    it, antecedent, other = torch.tensor([(each.it, each.antecedent, each.other) for each in examples]).T
    sentence = (torch.arange(tokens.shape[1]) >= it[:, None]).long()
    answer = torch.tensor([NOUNS.index(each.words[each.antecedent]) for each in examples])
    return Pronouns(tokens, mask, sentence, it, antecedent, other, answer)


def layer_masks(batch: Pronouns, design: Design) -> list[Tensor]:
    """The mask of each layer, ``[B, 1, 1 or T, T]``: padding is forbidden, and perhaps the other sentence.

    Args:
        batch: B examples.
        design: how many layers, and whether the first is kept within each word's own sentence.
    """
    everywhere = batch.mask[:, None, None, :]
    own = everywhere & (batch.sentence[:, None, :, None] == batch.sentence[:, None, None, :])
    return {"one layer": [everywhere], "two layers": [everywhere, everywhere]}.get(design, [own, everywhere])


def noun_at_it(model: SelfAttentionReader, batch: Pronouns, design: Design) -> tuple[Tensor, Tensor]:
    """What a model makes of *it*.

    Returns:
        ``(scores, weights)``: of each noun in NOUNS, ``[B, N]``, and *it*'s weights in the last layer, the mean of the
        heads, ``[B, T]``.
    """
    scores, weights = model(batch.tokens, layer_masks(batch, design))
    rows = torch.arange(len(batch))
    return scores[rows, batch.it], weights[-1].mean(1)[rows, batch.it]


# --- Two relations ----------------------------------------------------------------------------------------------


def two_relations(n: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random strings in which every symbol is also an address.

    Args:
        n: B.
        length: T, also the number of symbols.
        generator: of the random numbers.

    Returns:
        ``(x, answers)``: ``[B, T]`` symbols from 0 to T − 1, and ``[B, T, 2]``: x[t − 1], with the last symbol before
        the first, and x[x[t]].
    """
    x = torch.randint(length, (n, length), generator=generator)
    return x, torch.stack([x.roll(1, -1), x.gather(-1, x)], dim=-1)


# --- The model --------------------------------------------------------------------------------------------------


class SelfAttentionReader(nn.Module):
    """Learned vectors for words and places, layers of self-attention and nothing else, and a readout.

    What a layer finds is added to what was there (a residual connection); there is no normalisation. Names and sizes
    are ours.

    Args:
        n_tokens: size of the vocabulary.
        length: the most positions that can be told apart.
        n_outputs: N, scores at each position.
        width: E.
        n_layers: how many layers.
        n_heads: H, in each layer.
        hidden: width of a hidden layer with ReLU in the readout; 0 for a linear readout.
    """

    def __init__(
        self,
        n_tokens: int,
        length: int,
        n_outputs: int,
        *,
        width: int = 32,
        n_layers: int = 1,
        n_heads: int = 1,
        hidden: int = 0,
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(n_tokens, width)
        self.places = nn.Embedding(length, width)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.1)  # small, so that at the start all weights are nearly equal
        self.layers = nn.ModuleList(MultiHeadAttention(width, n_heads) for _ in range(n_layers))
        linear = nn.Linear(hidden or width, n_outputs)
        self.readout = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), linear) if hidden else linear

    def forward(self, tokens: Tensor, masks: Sequence[Tensor | None]) -> tuple[Tensor, list[Tensor]]:
        """Read whole sequences at once.

        Args:
            tokens: ``[B, T]``.
            masks: one a layer, broadcastable to ``[B, H, T, T]``.

        Returns:
            ``(scores, weights)``: ``[B, T, N]``, and ``[B, H, T, T]`` of each layer.

        Raises:
            ValueError: there is not one mask a layer, or a sequence is longer than the places known.
        """
        if len(masks) != len(self.layers):
            raise ValueError(f"SelfAttentionReader: masks: expected {len(self.layers)}, one a layer, got {len(masks)}")
        if tokens.shape[1] > self.places.num_embeddings:
            expected = f"at most {self.places.num_embeddings} positions"
            raise ValueError(f"SelfAttentionReader: tokens: expected {expected}, got {tokens.shape[1]}")
        x = self.words(tokens) + self.places.weight[: tokens.shape[1]]
        weights = []
        for layer, mask in zip(self.layers, masks, strict=True):
            found, looked = layer(x, x, x, mask)
            x = x + found
            weights.append(looked)
        return self.readout(x), weights
