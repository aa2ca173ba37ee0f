"""Parallel corpora to learn from, the vocabularies that turn words into numbers, and batches with their masks.

Shapes: ``B`` batch, ``S`` positions of a source, ``T`` positions of a target. Masks are boolean, True = a real token.

Chapters 03 and 04 are measured on the same corpora and lengths: those that the constants below fix.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

# Frozen, as all below: records rest on them.
#: The lengths, in words, of the sentences that are trained on.
TRAIN_LENGTHS = tuple(range(3, 21))
#: The lengths of the sentences that are tested. The last three are longer than any that was trained on.
TEST_LENGTHS = (4, 8, 12, 16, 20, 30, 40, 50)
# Lists of one to three dates, between the first and the last year; the share that is held out.
LIST_SIZES = (1, 2, 3)
YEARS = (1900, 2099)
HELD_OUT = 0.2
# Numbers of one to six digits, at most so many of each.
DIGITS = (1, 2, 3, 4, 5, 6)
NUMBERS_PER_SIZE = 2_000
# The symbols that are copied, so many that each carries exactly four bits.
SYMBOLS = "abcdefghijklmnop"
#: How many pairs are drawn to train on, where there is no end of them.
TRAIN_SIZE = 20_000
#: How many pairs of each size are drawn to test.
TEST_PER_SIZE = 200

#: The tokens that are no words have the first numbers: padding, beginning and end of a sentence, an unknown word.
PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")

Language = Literal["fr", "ko"]


# --- Vocabularies, pairs, corpora -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a model knows, numbered.

    Attributes:
        tokens: all of them by number; the first four are padding, beginning, end, and whatever is unknown.
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.tokens[: len(SPECIAL)] != SPECIAL:
            raise ValueError(f"Vocabulary: tokens: expected {SPECIAL} first, got {self.tokens[: len(SPECIAL)]}")
        if len(set(self.tokens)) != len(self.tokens):
            raise ValueError("Vocabulary: tokens: expected each once, got one twice")

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]]) -> Vocabulary:
        """Number whatever tokens occur, in alphabetical order."""
        return cls(SPECIAL + tuple(sorted({token for sentence in sentences for token in sentence} - set(SPECIAL))))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, sentence: Sequence[str]) -> list[int]:
        """Tokens to numbers; UNK for those that are not known. Neither BOS nor EOS is added."""
        return [self._numbers.get(token, UNK) for token in sentence]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Numbers to tokens, up to the first EOS; PAD and BOS are left out."""
        tokens = []
        for number in ids:
            if number == EOS:
                break
            if number not in (PAD, BOS):
                tokens.append(self.tokens[number])
        return tokens


class Pair(NamedTuple):
    """A sentence and its translation.

    Attributes:
        source: its tokens.
        target: its tokens.
        size: how long it is in what its corpus counts: words, dates in a list, digits of a number, symbols.
        alignment: which token stands for which, as pairs (position in the source, position in the target); None if
            not known. A token that stands for nothing, such as a comma, is in no pair.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    size: int
    alignment: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True)
class Corpus:
    """Pairs to train on, others to test on, and the vocabularies of the former.

    Attributes:
        name: what it is.
        train: pairs to learn from.
        test: pairs of which no source occurs in ``train``.
        source: vocabulary of the sources in ``train``.
        target: vocabulary of the targets in ``train``.
    """

    name: str
    train: tuple[Pair, ...] = field(repr=False)
    test: tuple[Pair, ...] = field(repr=False)
    source: Vocabulary = field(repr=False)
    target: Vocabulary = field(repr=False)


def make_corpus(name: str, train: Iterable[Pair], test: Iterable[Pair]) -> Corpus:
    """Put a corpus together from its pairs.

    Raises:
        ValueError: there is nothing to train on, a sentence is empty, or a source is in both parts.
    """
    train, test = tuple(train), tuple(test)
    if not train:
        raise ValueError("make_corpus: train: expected at least one pair, got none")
    if not all(pair.source and pair.target for pair in train + test):
        raise ValueError("make_corpus: expected sentences of at least one token, got an empty one")
    if common := {pair.source for pair in train} & {pair.source for pair in test}:
        raise ValueError(f"make_corpus: expected no source in both parts, got {len(common)}: {min(common)}")
    source, target = Vocabulary.of(pair.source for pair in train), Vocabulary.of(pair.target for pair in train)
    return Corpus(name, train, test, source, target)


def reverse_sources(corpus: Corpus) -> Corpus:
    """The same corpus with every source read from its end: Sutskever, Vinyals & Le (2014), Section 3.3."""
    train, test = (tuple(map(_reversed, part)) for part in (corpus.train, corpus.test))
    return Corpus(f"{corpus.name}, source reversed", train, test, corpus.source, corpus.target)


def _reversed(pair: Pair) -> Pair:
    last = len(pair.source) - 1
    alignment = None if pair.alignment is None else tuple((last - i, j) for i, j in pair.alignment)
    return pair._replace(source=pair.source[::-1], alignment=alignment)


# --- Batches ----------------------------------------------------------------------------------------------------


class Batch(NamedTuple):
    """Some pairs as tensors, filled up with PAD on the right.

    Attributes:
        source: ``[B, S]``, token numbers without BOS and EOS, so that positions are those of the alignment.
        source_mask: ``[B, S]``, True where there is a token.
        target: ``[B, T]``, token numbers with EOS at the end and no BOS: what is to be predicted.
        target_mask: ``[B, T]``, True where there is a token, EOS among them.
    """

    source: Tensor
    source_mask: Tensor
    target: Tensor
    target_mask: Tensor


def pad(sentences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token numbers of several sentences in one tensor.

    Returns:
        ``(ids, mask)``: ``[B, T]`` with PAD on the right, T the longest sentence's length; and where tokens are.

    Raises:
        ValueError: there is no sentence, or an empty one.
    """
    if not sentences or not all(sentences):
        raise ValueError("pad: expected sentences of at least one token, got none or an empty one")
    lengths = [len(sentence) for sentence in sentences]
    longest = max(lengths)
    ids = torch.tensor([[*sentence, *[PAD] * (longest - len(sentence))] for sentence in sentences])
    return ids, torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)


def collate(pairs: Sequence[Pair], corpus: Corpus) -> Batch:
    """Turn pairs into a batch by the corpus' vocabularies."""
    sources = pad([corpus.source.encode(pair.source) for pair in pairs])
    targets = pad([[*corpus.target.encode(pair.target), EOS] for pair in pairs])
    return Batch(*sources, *targets)


def batches(corpus: Corpus, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
    """Go once through what there is to train on, in random order.

    Sentences of similar length share a batch, so that little of it is padding: every 20 batches' worth are sorted by
    length and cut, as in Bahdanau, Cho & Bengio (2014), Appendix B.2; then the batches are shuffled.

    Args:
        corpus: of which ``train`` is gone through.
        batch_size: B; the last batch may be smaller.
        generator: of the order.

    Raises:
        ValueError: the batch size is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"batches: batch_size: expected at least 1, got {batch_size}")
    order = torch.randperm(len(corpus.train), generator=generator).tolist()
    for chunk in _cut(order, 20 * batch_size):
        alike = _cut(sorted(chunk, key=lambda i: len(corpus.train[i].source)), batch_size)
        for number in torch.randperm(len(alike), generator=generator).tolist():
            yield collate([corpus.train[i] for i in alike[number]], corpus)


def _cut(items: list[int], size: int) -> list[list[int]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


# --- A small grammar, and copying: any length -------------------------------------------------------------------

# English to French, a word for a word. All nouns are masculine and begin with a consonant: nothing has to agree.
NAMES = {"Anna": "Anna", "Mina": "Mina", "Omar": "Omar", "Paul": "Paul"}
DETERMINERS = {"a": "un", "my": "mon", "the": "le", "this": "ce"}
#: The adjectives of the grammar, English to French.
ADJECTIVES = {
    "black": "noir", "blue": "bleu", "calm": "calme", "faithful": "fidèle", "fast": "rapide", "funny": "drôle",
    "green": "vert", "grey": "gris", "red": "rouge", "white": "blanc",
}  # fmt: skip
NOUNS = {
    "cat": "chat", "dog": "chien", "duck": "canard", "fish": "poisson", "fox": "renard", "horse": "cheval",
    "parrot": "perroquet", "pig": "cochon", "rabbit": "lapin", "sheep": "mouton", "tiger": "tigre", "wolf": "loup",
}  # fmt: skip
VERBS = {
    "calls": "appelle", "chases": "chasse", "finds": "trouve", "follows": "suit", "hears": "entend",
    "likes": "aime", "sees": "voit", "watches": "regarde",
}  # fmt: skip
CONNECTORS = {"and": "et", "because": "car", "but": "mais", "then": "puis"}


def grammar_corpus(
    seed: int = 0,
    *,
    train_lengths: Sequence[int] = TRAIN_LENGTHS,
    test_lengths: Sequence[int] = TEST_LENGTHS,
    train_size: int = TRAIN_SIZE,
    test_per_size: int = TEST_PER_SIZE,
) -> Corpus:
    """English sentences of any length, and the same in French, where adjectives follow their noun.

    A sentence is ``noun phrase, verb, noun phrase``, or several of these, joined by words such as *and*. A noun
    phrase is a name, or a determiner, none to two adjectives and a noun: *the calm black cat* is *le chat noir calme*,
    the adjectives in reverse. Each word has one translation, so the alignment is known. Sizes are numbers of words.

    Args:
        seed: of all draws.
        train_lengths: numbers of words, each at least 3, that are equally frequent in ``train``.
        test_lengths: numbers of words in ``test``.
        train_size: pairs to train on; a short sentence may be among them twice.
        test_per_size: different sentences of each length in ``test``.

    Raises:
        ValueError: a length is below 3, or there are too few sentences of a length.
    """
    return _drawn(
        "grammar, English to French", _grammar_pair, seed, train_lengths, test_lengths, train_size, test_per_size
    )


def copying_corpus(
    seed: int = 0,
    *,
    train_lengths: Sequence[int] = TRAIN_LENGTHS,
    test_lengths: Sequence[int] = TEST_LENGTHS,
    train_size: int = TRAIN_SIZE,
    test_per_size: int = TEST_PER_SIZE,
) -> Corpus:
    """Random strings of sixteen symbols, each to be repeated as it is: four bits a symbol, and nothing to guess from.

    Arguments are those of :func:`grammar_corpus`; sizes are numbers of symbols.

    Raises:
        ValueError: a length is below 3.
    """
    return _drawn("copying", _copying_pair, seed, train_lengths, test_lengths, train_size, test_per_size)


def _drawn(
    name: str,
    draw: Callable[[int, random.Random], Pair],
    seed: int,
    train_lengths: Sequence[int],
    test_lengths: Sequence[int],
    train_size: int,
    test_per_size: int,
) -> Corpus:
    """A corpus of which each pair is drawn by its length: what is tested first, so that it can be left out after."""
    for argument, lengths in {"train_lengths": train_lengths, "test_lengths": test_lengths}.items():
        if not lengths or min(lengths) < 3:
            raise ValueError(f"{name}: {argument}: expected lengths of at least 3, got {list(lengths)}")
    chance = random.Random(seed)
    test: dict[tuple[str, ...], Pair] = {}
    for length in test_lengths:
        enough = len(test) + test_per_size
        for _ in range(100 * test_per_size):
            pair = draw(length, chance)
            test.setdefault(pair.source, pair)
            if len(test) == enough:
                break
        else:
            raise ValueError(f"{name}: test_per_size: got {test_per_size}, more than there are of length {length}")
    drawn = (draw(chance.choice(train_lengths), chance) for _ in range(100 * train_size))
    train = tuple(itertools.islice((pair for pair in drawn if pair.source not in test), train_size))
    if len(train) < train_size:
        raise ValueError(f"{name}: test_per_size: got {test_per_size}, which leaves too few to train on")
    return make_corpus(name, train, test.values())


def _copying_pair(length: int, chance: random.Random) -> Pair:
    symbols = tuple(chance.choices(SYMBOLS, k=length))
    return Pair(symbols, symbols, length, tuple((i, i) for i in range(length)))


def _grammar_pair(length: int, chance: random.Random) -> Pair:
    source: list[str] = []
    order: list[int] = []  # positions in the source, in the order in which the target has them
    for number, words in enumerate(_phrase_lengths(length, chance)):
        if number:
            order.append(len(source))
            source.append(chance.choice(list(VERBS if number % 2 else CONNECTORS)))
        start = len(source)
        source += _noun_phrase(words, chance)
        order += [start, *range(start + words - 1, start, -1)]
    words_of = NAMES | DETERMINERS | ADJECTIVES | NOUNS | VERBS | CONNECTORS
    target = tuple(words_of[source[i]] for i in order)
    return Pair(tuple(source), target, length, tuple(sorted((i, j) for j, i in enumerate(order))))


def _phrase_lengths(length: int, chance: random.Random) -> list[int]:
    """Words in each of an even number of noun phrases that, with one word between any two, make up the length."""
    fitting = range(-(-(length + 1) // 5), (length + 1) // 2 + 1)
    # Of the numbers that fit one of the two lowest, so that phrases have words enough to be in another order.
    words = [1] * chance.choice([phrases for phrases in fitting if phrases % 2 == 0][:2])
    while sum(words) + len(words) - 1 < length:
        words[chance.choice([i for i, n in enumerate(words) if n < 4])] += 1
    return words


def _noun_phrase(words: int, chance: random.Random) -> list[str]:
    if words == 1:
        return [chance.choice(list(NAMES))]
    adjectives = chance.sample(list(ADJECTIVES), words - 2)
    return [chance.choice(list(DETERMINERS)), *adjectives, chance.choice(list(NOUNS))]


# --- Dates and numbers: real parallel text ----------------------------------------------------------------------


def tokenise(text: str) -> tuple[str, ...]:
    """Cut a text into words, single digits and single punctuation marks."""
    return tuple(re.findall(r"\d|[^\W\d_]+|[^\w\s]", text))


def dates_corpus(
    language: Language, seed: int = 0, *, train_size: int = TRAIN_SIZE, test_per_size: int = TEST_PER_SIZE
) -> Corpus:
    """Lists of one to three dates, written out in English and in French or Korean as the Unicode CLDR has them.

    *Friday, November 20, 2026* is *vendredi 20 novembre 2026* and *2026년 11월 20일 금요일*. Each digit is a token. Of
    the dates of 1900 to 2099 a fifth occur in ``test`` only, the others in ``train`` only. Aligned are weekdays, days,
    months and years; where both sides have as many tokens, one by one. Sizes are numbers of dates.

    Args:
        language: of the targets.
        seed: of all draws; the dates drawn are the same in both languages.
        train_size: pairs to train on.
        test_per_size: pairs in ``test`` for each number of dates.
    """
    chance = random.Random(seed)
    days = list(range(date(YEARS[0], 1, 1).toordinal(), date(YEARS[1], 12, 31).toordinal() + 1))
    chance.shuffle(days)
    english, other = _DateWriter("en"), _DateWriter(language)

    def draw(pool: list[int], size: int) -> Pair:
        dates = [date.fromordinal(day) for day in chance.sample(pool, size)]
        return _aligned(english.write(dates), other.write(dates), size)

    unseen, seen = days[: round(HELD_OUT * len(days))], days[round(HELD_OUT * len(days)) :]
    test = [draw(unseen, size) for size in LIST_SIZES for _ in range(test_per_size)]
    train = [draw(seen, chance.choice(LIST_SIZES)) for _ in range(train_size)]
    return make_corpus(f"dates, English to {language}", train, test)


# A token with what it belongs to: number of the date in its list, letter of the field in CLDR's pattern; or None.
_Marked = list[tuple[str, tuple[int, str] | None]]


class _DateWriter:
    """Writes lists of dates in one language: Babel's `format_date(…, "full")` and `format_list`, with marked tokens."""

    def __init__(self, locale: str) -> None:
        from babel.dates import get_date_format
        from babel.lists import format_list

        self.locale = locale
        lists = {size: format_list(["DATE"] * size, locale=locale) for size in LIST_SIZES}
        self.lists = {size: tokenise(text) for size, text in lists.items()}
        # Such as "EEEE, MMMM d, y": letters are fields, the rest stands as it is.
        pieces = re.findall(r"[A-Za-z]+|[^A-Za-z]+", get_date_format("full", locale).pattern)
        self.pieces = [
            (piece if piece[0].isascii() and piece[0].isalpha() else None, tokenise(piece)) for piece in pieces
        ]
        self.known: dict[tuple[str, int], tuple[str, ...]] = {}

    def write(self, dates: Sequence[date]) -> _Marked:
        written: _Marked = []
        number = 0
        for token in self.lists[len(dates)]:
            if token == "DATE":
                written += self._date(dates[number], number)
                number += 1
            else:
                written.append((token, None))
        return written

    def _date(self, day: date, number: int) -> _Marked:
        marked: _Marked = []
        for letters, literal in self.pieces:
            if letters:
                marked += [(token, (number, letters[0])) for token in self._field(letters, day)]
            else:
                marked += [(token, None) for token in literal]
        return marked

    def _field(self, piece: str, day: date) -> tuple[str, ...]:
        from babel.dates import format_date

        value = {"E": day.weekday(), "M": day.month, "d": day.day, "y": day.year}[piece[0]]
        if (piece, value) not in self.known:
            self.known[piece, value] = tokenise(format_date(day, piece, locale=self.locale))
        return self.known[piece, value]


def _aligned(source: _Marked, target: _Marked, size: int) -> Pair:
    places, counterparts = _places(source), _places(target)
    alignment: list[tuple[int, int]] = []
    for mark, ours in places.items():
        theirs = counterparts[mark]
        alignment += zip(ours, theirs, strict=True) if len(ours) == len(theirs) else itertools.product(ours, theirs)
    words, translated = (tuple(token for token, _ in side) for side in (source, target))
    return Pair(words, translated, size, tuple(sorted(alignment)))


def _places(tokens: _Marked) -> dict[tuple[int, str], list[int]]:
    """Where the tokens of each mark are."""
    places: dict[tuple[int, str], list[int]] = {}
    for place, (_, mark) in enumerate(tokens):
        if mark:
            places.setdefault(mark, []).append(place)
    return places


def numbers_corpus(language: Language, seed: int = 0) -> Corpus:
    """Numbers in words, in English and in French or Korean, as the library num2words has them.

    *seventy-four thousand* is *soixante-quatorze mille* and, since Korean counts in ten thousands, *칠만 사천*. Korean
    is cut into syllables. Of each number of digits, which is the size, a fifth of the numbers are in ``test``.

    Args:
        language: of the targets.
        seed: of all draws; the numbers drawn are the same in both languages.
    """
    from num2words import num2words

    chance = random.Random(seed)

    def write(number: int) -> Pair:
        target = num2words(number, lang=language)
        tokens = tuple(target.replace(" ", "")) if language == "ko" else tokenise(target)
        return Pair(tokenise(num2words(number, lang="en")), tokens, len(str(number)))

    train: list[Pair] = []
    test: list[Pair] = []
    for digits in DIGITS:
        every = range(10 ** (digits - 1), 10**digits)
        drawn = [write(number) for number in chance.sample(every, min(len(every), NUMBERS_PER_SIZE))]
        held_out = round(HELD_OUT * len(drawn))
        test += drawn[:held_out]
        train += drawn[held_out:]
    return make_corpus(f"numbers, English to {language}", train, test)
