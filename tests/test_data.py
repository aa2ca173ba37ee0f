"""Corpora, vocabularies and batches: what is promised of every corpus, and what is particular to each."""

from __future__ import annotations

import random
import re
from datetime import date
from itertools import pairwise

import pytest
import torch
from babel.dates import format_date
from babel.lists import format_list

from course_utils import data
from course_utils.data import (
    BOS,
    EOS,
    PAD,
    SPECIAL,
    UNK,
    Corpus,
    Pair,
    Vocabulary,
    batches,
    collate,
    copying_corpus,
    dates_corpus,
    grammar_corpus,
    make_corpus,
    numbers_corpus,
    pad,
    reverse_sources,
)

SMALL = {"train_size": 150, "test_per_size": 7}
MAKERS = {
    "grammar": lambda seed: grammar_corpus(seed, **SMALL),
    "copying": lambda seed: copying_corpus(seed, **SMALL),
    "dates fr": lambda seed: dates_corpus("fr", seed, train_size=400, test_per_size=7),
    "dates ko": lambda seed: dates_corpus("ko", seed, train_size=400, test_per_size=7),
    "numbers fr": lambda seed: numbers_corpus("fr", seed),
    "numbers ko": lambda seed: numbers_corpus("ko", seed),
}


@pytest.fixture(autouse=True)
def few_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "NUMBERS_PER_SIZE", 60)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny() -> Corpus:
    pairs = [Pair(tuple("abcde"[:n]), tuple("vwxyz"[:n]), n) for n in (1, 2, 3, 4, 5)]
    return make_corpus("tiny", pairs, [Pair(("b", "q"), ("w", "q"), 2)])


# --- Vocabularies -----------------------------------------------------------------------------------------------


def test_a_vocabulary_numbers_its_tokens_after_the_special_ones() -> None:
    vocabulary = Vocabulary.of([["see", "cat"], ["a", "cat"]])
    assert vocabulary.tokens == (*SPECIAL, "a", "cat", "see")
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    assert len(vocabulary) == 7
    assert vocabulary.encode(["cat", "dog", "a"]) == [5, UNK, 4]


def test_decoding_stops_at_the_end_and_leaves_out_padding_and_beginning() -> None:
    vocabulary = Vocabulary.of([["a", "cat"]])
    assert vocabulary.decode([BOS, 5, PAD, 4, UNK, EOS, 5]) == ["cat", "a", "<unk>"]
    assert vocabulary.decode(torch.tensor([4, EOS, PAD])) == ["a"]


def test_a_vocabulary_is_frozen_and_well_formed() -> None:
    vocabulary = Vocabulary.of([["a"]])
    with pytest.raises(AttributeError):
        vocabulary.tokens = ()  # type: ignore[misc]
    with pytest.raises(ValueError, match="first"):
        Vocabulary(("a", "b"))
    with pytest.raises(ValueError, match="twice"):
        Vocabulary((*SPECIAL, "a", "a"))


# --- Every corpus -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_what_holds_of_every_corpus(name: str) -> None:
    corpus = MAKERS[name](3)
    assert not {pair.source for pair in corpus.train} & {pair.source for pair in corpus.test}
    assert len({pair.source for pair in corpus.test}) == len(corpus.test)
    assert all(UNK not in corpus.source.encode(pair.source) for pair in corpus.test)
    assert all(UNK not in corpus.target.encode(pair.target) for pair in corpus.test)
    by_source = {pair.source: pair.target for pair in corpus.train}
    assert all(by_source[pair.source] == pair.target for pair in corpus.train), "one translation for a source"
    for pair in corpus.train + corpus.test:
        assert pair.alignment is None or all(
            0 <= i < len(pair.source) and 0 <= j < len(pair.target) for i, j in pair.alignment
        )


@pytest.mark.parametrize("name", MAKERS)
def test_the_seed_alone_decides_and_the_global_generators_are_left_alone(name: str) -> None:
    random.seed(5)
    before = random.getstate(), torch.get_rng_state()
    first, second = MAKERS[name](3), MAKERS[name](3)
    assert first.train == second.train
    assert first.test == second.test
    assert (first.source, first.target) == (second.source, second.target)
    assert MAKERS[name](4).train != first.train
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_lengths_and_sizes_are_frozen() -> None:
    assert tuple(range(3, 21)) == data.TRAIN_LENGTHS
    assert data.TEST_LENGTHS == (4, 8, 12, 16, 20, 30, 40, 50)
    assert (data.LIST_SIZES, data.YEARS, data.HELD_OUT, data.DIGITS) == (
        (1, 2, 3),
        (1900, 2099),
        0.2,
        (1, 2, 3, 4, 5, 6),
    )
    assert len(data.SYMBOLS) == len(set(data.SYMBOLS)) == 16


def test_make_corpus_refuses_what_cannot_be_learned_from_or_tested_on() -> None:
    pair = Pair(("a",), ("b",), 1)
    with pytest.raises(ValueError, match="at least one pair"):
        make_corpus("x", [], [pair])
    with pytest.raises(ValueError, match="empty"):
        make_corpus("x", [pair, Pair((), ("b",), 0)], [])
    with pytest.raises(ValueError, match="both parts"):
        make_corpus("x", [pair], [Pair(("a",), ("c",), 1)])


# --- The grammar and copying ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [grammar_corpus, copying_corpus])
def test_lengths_are_those_asked_for(make) -> None:
    corpus = make(1, train_lengths=(3, 5, 11), test_lengths=(7, 13), train_size=90, test_per_size=5)
    assert len(corpus.train) == 90
    assert {pair.size for pair in corpus.train} == {3, 5, 11}
    assert [pair.size for pair in corpus.test] == [7] * 5 + [13] * 5
    assert all(pair.size == len(pair.source) == len(pair.target) for pair in corpus.train + corpus.test)
    with pytest.raises(ValueError, match="at least 3"):
        make(1, train_lengths=(2, 3))


def test_no_more_is_tested_than_there_is_and_something_is_left_to_train_on() -> None:
    with pytest.raises(ValueError, match="more than there are of length 3"):
        grammar_corpus(1, test_lengths=(3,), test_per_size=4 * 8 * 4 + 1)
    with pytest.raises(ValueError, match="too few to train on"):
        grammar_corpus(1, train_lengths=(3,), test_lengths=(3,), train_size=5, test_per_size=4 * 8 * 4)


@pytest.mark.parametrize("length", [3, 4, 5, 6, 9, 10, 11, 19, 20, 49, 50])
def test_a_sentence_is_noun_phrases_with_single_words_between(length: int) -> None:
    def kind(words: dict[str, str]) -> str:
        return f"(?:{'|'.join(words)})"

    phrase = f"(?:{kind(data.NAMES)}|{kind(data.DETERMINERS)}(?: {kind(data.ADJECTIVES)}){{0,2}} {kind(data.NOUNS)})"
    clause = f"{phrase} {kind(data.VERBS)} {phrase}"
    sentence = re.compile(f"{clause}(?: {kind(data.CONNECTORS)} {clause})*")
    for seed in range(20):
        assert sentence.fullmatch(" ".join(data._grammar_pair(length, random.Random(seed)).source))


def test_adjectives_follow_their_noun_in_reverse_and_the_alignment_says_so() -> None:
    words = data.NAMES | data.DETERMINERS | data.ADJECTIVES | data.NOUNS | data.VERBS | data.CONNECTORS
    assert len(words) == len(set(words.values())) == 42, "no word has two meanings, no translation two sources"
    for seed in range(60):
        pair = data._grammar_pair(3 + seed % 30, random.Random(seed))
        assert sorted(i for i, _ in pair.alignment) == sorted(j for _, j in pair.alignment) == list(range(pair.size))
        assert all(words[pair.source[i]] == pair.target[j] for i, j in pair.alignment)
        place = dict(pair.alignment)
        for i, (word, following) in enumerate(pairwise(pair.source)):
            if word in data.ADJECTIVES:
                assert place[i] > place[i + 1], "an adjective comes after what it stands before in English"
            elif following not in data.ADJECTIVES:
                noun_after_adjectives = word in data.NOUNS and i and pair.source[i - 1] in data.ADJECTIVES
                assert noun_after_adjectives or place[i] < place[i + 1]


@pytest.mark.parametrize("length", data.TEST_LENGTHS[1:])
def test_some_words_of_longer_sentences_move(length: int) -> None:
    moved = [i != j for seed in range(100) for i, j in data._grammar_pair(length, random.Random(seed)).alignment]
    assert 0.1 < sum(moved) / len(moved) < 0.5


def test_reversing_turns_sources_and_alignment_and_nothing_else() -> None:
    corpus = grammar_corpus(2, **SMALL)
    turned = reverse_sources(corpus)
    assert turned.source == corpus.source
    for old, new in zip(corpus.train + corpus.test, turned.train + turned.test, strict=True):
        assert (new.source[::-1], new.target, new.size) == (old.source, old.target, old.size)
        assert {(new.source[i], new.target[j]) for i, j in new.alignment} == {
            (old.source[i], old.target[j]) for i, j in old.alignment
        }
    assert reverse_sources(numbers_corpus("fr")).train[0].alignment is None


# --- Dates and numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en", "fr", "ko"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_dates_are_written_as_babel_writes_them(locale: str, size: int) -> None:
    writer = data._DateWriter(locale)
    for start in range(date(1900, 1, 1).toordinal(), date(2099, 12, 31).toordinal(), 1777):
        dates = [date.fromordinal(start + 103 * i) for i in range(size)]
        ours = [token for token, _ in writer.write(dates)]
        theirs = format_list([format_date(day, "full", locale=locale) for day in dates], locale=locale)
        assert "".join(ours) == re.sub(r"\s", "", theirs)
        assert tuple(ours) == data.tokenise(theirs)


def test_dates_that_are_tested_occur_in_no_list_that_is_trained_on() -> None:
    corpus = dates_corpus("ko", 1, train_size=500, test_per_size=20)
    pattern = re.compile(r"([A-Z]\w+) , ([A-Z]\w+) ((?:\d )*?\d) , ((?:\d ){3}\d)")
    seen, tested = (
        {found for pair in part for found in pattern.findall(" ".join(pair.source))}
        for part in (corpus.train, corpus.test)
    )
    assert 100 < len(tested) <= sum(pair.size for pair in corpus.test) == 20 * (1 + 2 + 3)
    assert not seen & tested


def test_the_alignment_of_dates_pairs_fields_and_digits() -> None:
    corpus = dates_corpus("ko", train_size=200)
    pair = next(pair for pair in corpus.test if pair.size == 2 and "October" in pair.source[:3])
    of = {i: [pair.target[j] for k, j in pair.alignment if k == i] for i, _ in pair.alignment}
    month = pair.source.index("October")
    assert of[month] == ["1", "0", "월"]
    for i, token in enumerate(pair.source):
        if token.isdigit():
            assert of[i] == [token]
        if token in (",", "and"):
            assert i not in of
    rank = dict(pair.alignment)
    assert rank[0] > rank[month], "the weekday comes last in Korean"


def test_numbers_are_written_as_num2words_writes_them() -> None:
    corpus = numbers_corpus("ko")
    one = {pair.source: pair for pair in corpus.train + corpus.test if pair.size == 1}
    assert one["seven",].target == ("칠",)
    assert len(one) == 9
    assert {pair.size for pair in corpus.test} == set(data.DIGITS)
    largest = [pair for pair in corpus.test if pair.size == 6]
    assert all("thousand" in pair.source and "만" in pair.target for pair in largest)


# --- Batches ----------------------------------------------------------------------------------------------------


def test_padding_is_on_the_right_and_the_mask_says_where_tokens_are() -> None:
    ids, mask = pad([[7, 5, 9], [4], [8, 6]])
    assert ids.tolist() == [[7, 5, 9], [4, PAD, PAD], [8, 6, PAD]]
    assert mask.tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    assert ids.dtype == torch.int64
    assert mask.dtype == torch.bool
    with pytest.raises(ValueError, match="at least one token"):
        pad([[1], []])
    with pytest.raises(ValueError, match="at least one token"):
        pad([])


def test_a_batch_has_bare_sources_and_targets_with_their_end() -> None:
    corpus = tiny()
    batch = collate([corpus.train[1], corpus.train[0]], corpus)
    assert batch.source.tolist() == [corpus.source.encode("ab"), [*corpus.source.encode("a"), PAD]]
    assert batch.target.tolist() == [[*corpus.target.encode("vw"), EOS], [*corpus.target.encode("v"), EOS, PAD]]
    assert torch.equal(batch.source_mask, batch.source != PAD)
    assert torch.equal(batch.target_mask, batch.target != PAD)


def test_one_pass_gives_every_pair_once() -> None:
    corpus = grammar_corpus(1, train_size=157, test_per_size=1)
    given = list(batches(corpus, 4, generator()))
    assert sorted(len(batch.source) for batch in given) == [1] + [4] * 39
    sentences = [tuple(corpus.source.decode(row)) for batch in given for row in batch.source.tolist()]
    assert sorted(sentences) == sorted(pair.source for pair in corpus.train)
    targets = {tuple(corpus.target.decode(row)) for batch in given for row in batch.target.tolist()}
    assert targets == {pair.target for pair in corpus.train}


def test_batches_are_shuffled_by_their_generator_alone() -> None:
    corpus = grammar_corpus(1, train_size=157, test_per_size=1)
    before = torch.get_rng_state()

    def order(seed: int) -> list[list[list[int]]]:
        return [batch.source.tolist() for batch in batches(corpus, 4, generator(seed))]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert torch.equal(torch.get_rng_state(), before)
    lengths = [batch.source.shape[1] for batch in batches(corpus, 8, generator(1))]
    assert lengths != sorted(lengths), "of the 20 batches that are sorted together the short ones do not come first"


def test_sentences_of_similar_length_share_a_batch() -> None:
    corpus = copying_corpus(1, train_size=640, test_per_size=1)
    given = list(batches(corpus, 16, generator()))
    padding = sum(int((~batch.source_mask).sum()) for batch in given) / sum(batch.source.numel() for batch in given)
    assert padding < 0.1
    with pytest.raises(ValueError, match="at least 1"):
        next(batches(corpus, 0, generator()))
