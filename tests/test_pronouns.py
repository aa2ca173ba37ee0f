"""Pronoun sentences and the two-relations task: what is promised of them; and the small model that learns them."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from course_utils import checks
from course_utils.masks import causal_mask
from course_utils.pronouns import (
    ANIMALS,
    DESIGNS,
    NOUNS,
    OF_ANIMALS,
    THINGS,
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
from course_utils.training import seeded


@pytest.fixture(scope="module")
def few() -> Pronouns:
    words = [
        pronoun_example("dog", "apple", "likes", "has a long tail"),
        pronoun_example("dog", "apple", "likes", "is ripe"),
        pronoun_example("otter", "fig", "wants", "is hungry", passive=True),
    ]
    return encode(words, pronoun_vocabulary())


def test_the_two_sentences_and_what_it_stands_for() -> None:
    active = pronoun_example("dog", "apple", "likes", "has a long tail")
    assert " ".join(active.words) == "the dog likes an apple . it has a long tail ."
    assert [active.words[i] for i in (active.it, active.antecedent, active.other)] == ["it", "dog", "apple"]
    passive = pronoun_example("otter", "pear", "finds", "is ripe", passive=True)
    assert " ".join(passive.words) == "a pear is found by the otter . it is ripe ."
    assert [passive.words[i] for i in (passive.it, passive.antecedent, passive.other)] == ["it", "pear", "otter"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("dragon", "apple", "likes", "is ripe"), "animal"),
        (("dog", "dog", "likes", "is ripe"), "thing"),
        (("dog", "apple", "liked", "is ripe"), "verb"),
        (("dog", "apple", "likes", "is dear"), "said"),
    ],
)
def test_what_is_not_of_the_grammar_is_refused(wrong: tuple[str, str, str, str], message: str) -> None:
    with pytest.raises(ValueError, match=f"pronoun_example: {message}: expected one of"):
        pronoun_example(*wrong)


def test_a_quarter_of_the_pairs_is_held_out_and_every_noun_is_learned_in_both_roles() -> None:
    train, test = pronoun_examples()
    assert len(test) * 3 == len(train) == 16 * 12 * 4 * 8 * 2
    pairs = [{frozenset((e.words[e.antecedent], e.words[e.other])) for e in part} for part in (train, test)]
    assert not pairs[0] & pairs[1]
    assert [len(part) for part in pairs] == [192, 64]
    for part, partners in zip(pairs, (12, 4), strict=True):
        assert set(Counter(noun for pair in part for noun in pair).values()) == {partners}
    for part in (train, test):
        meant = Counter(example.words[example.antecedent] for example in part)
        assert set(meant) == set(NOUNS)
        assert len(set(meant.values())) == 1


def test_what_decides_comes_after_it_and_names_no_noun() -> None:
    for example in pronoun_examples()[1]:
        assert not set(example.words[example.it :]) & set(NOUNS)
        said = " ".join(example.words[example.it + 1 : -1])
        assert (example.words[example.antecedent] in ANIMALS) == (said in OF_ANIMALS)


def test_the_vocabulary_knows_every_word() -> None:
    vocabulary = pronoun_vocabulary()
    assert set(ANIMALS + THINGS) <= set(vocabulary.tokens)
    assert all(vocabulary.encode(e.words).count(3) == 0 for e in pronoun_examples()[1])


def test_examples_as_tensors(few: Pronouns) -> None:
    vocabulary = pronoun_vocabulary()
    assert len(few) == 3
    assert few.tokens.shape == few.mask.shape == few.sentence.shape == (3, 12)
    assert few.mask.sum(1).tolist() == [12, 10, 12]
    assert [NOUNS[i] for i in few.answer] == ["dog", "apple", "otter"]
    rows = torch.arange(3)
    words = [[vocabulary.tokens[i] for i in few.tokens[rows, at]] for at in (few.it, few.antecedent, few.other)]
    assert words == [["it"] * 3, ["dog", "apple", "otter"], ["apple", "dog", "fig"]]
    assert few.sentence[0].tolist() == [0] * 6 + [1] * 6
    assert few[torch.tensor([2])].answer.tolist() == [NOUNS.index("otter")]


def test_masks_forbid_padding_and_where_it_is_asked_the_other_sentence(few: Pronouns) -> None:
    (everywhere,) = layer_masks(few, "one layer")
    assert everywhere.shape == (3, 1, 1, 12)
    assert [mask is not None for mask in layer_masks(few, "two layers")] == [True, True]
    own, second = layer_masks(few, "two layers, the first within a sentence")
    assert torch.equal(second, everywhere)
    assert own.shape == (3, 1, 12, 12)
    assert own[1, 0, 7].tolist() == [False] * 6 + [True] * 4 + [False] * 2
    assert own[1, 0, 2].tolist() == [True] * 6 + [False] * 6


@pytest.mark.parametrize("design", DESIGNS)
def test_the_model_is_deaf_to_padding_and_looks_with_shares(design: str, few: Pronouns) -> None:
    with seeded(0):
        model = SelfAttentionReader(99, 14, 32, width=12, n_layers=len(layer_masks(few, design)), n_heads=3)
    scores, weights = noun_at_it(model, few, design)
    assert scores.shape == (3, 32)
    checks.check_rows_sum_to_one(weights, few.mask)
    assert (weights[~few.mask] == 0).all()
    changed = Pronouns(**{**vars(few), "tokens": few.tokens.masked_fill(~few.mask, 50)})
    torch.testing.assert_close(noun_at_it(model, changed, design)[0], scores)


def test_with_one_layer_the_question_is_the_same_whatever_is_said_of_it(few: Pronouns) -> None:
    with seeded(1):
        model = SelfAttentionReader(99, 14, 32, width=12)
    weights = noun_at_it(model, few, "one layer")[1]
    ratio = [(weights[i, 1] / weights[i, 4]).item() for i in (0, 1)]  # dog to apple
    assert ratio[0] == pytest.approx(ratio[1], rel=1e-5)


def test_two_relations_by_loops() -> None:
    x, answers = two_relations(5, 7, torch.Generator().manual_seed(0))
    assert x.shape == (5, 7)
    assert x.min() >= 0
    assert x.max() < 7
    for row, answer in zip(x.tolist(), answers.tolist(), strict=True):
        assert answer == [[row[t - 1], row[row[t]]] for t in range(7)]


def test_the_model_reads_in_order_of_its_masks() -> None:
    with seeded(0):
        model = SelfAttentionReader(10, 9, 5, width=12, n_layers=2, n_heads=2, hidden=7)
    tokens = torch.randint(10, (2, 9), generator=torch.Generator().manual_seed(0))
    causal = [causal_mask(9)] * 2
    scores, weights = model(tokens, causal)
    assert scores.shape == (2, 9, 5)
    assert [each.shape for each in weights] == [(2, 2, 9, 9)] * 2
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 10
    torch.testing.assert_close(model(changed, causal)[0][:, :5], scores[:, :5])
    assert not torch.allclose(model(changed, [None, None])[0][:, :5], model(tokens, [None, None])[0][:, :5])


def test_the_model_refuses_what_does_not_fit() -> None:
    model = SelfAttentionReader(10, 4, 5)
    with pytest.raises(ValueError, match="masks: expected 1, one a layer, got 2"):
        model(torch.zeros(1, 3, dtype=torch.long), [None, None])
    with pytest.raises(ValueError, match="tokens: expected at most 4 positions, got 5"):
        model(torch.zeros(1, 5, dtype=torch.long), [None])


def test_the_model_is_what_torchs_own_attention_makes_of_its_weights() -> None:
    with seeded(0):
        model = SelfAttentionReader(10, 9, 5, width=12, n_layers=2, n_heads=3).double()
    tokens = torch.randint(10, (2, 7), generator=torch.Generator().manual_seed(0))
    masks = [causal_mask(7), torch.rand(7, 7, generator=torch.Generator().manual_seed(1)) < 0.7]
    masks[1][:, 0] = True
    x = model.words.weight[tokens] + model.places.weight[:7]
    for layer, mask in zip(model.layers, masks, strict=True):
        parts = [one(x).view(2, 7, 3, 4).transpose(1, 2) for one in (layer.query_map, layer.key_map, layer.value_map)]
        found = torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=mask)
        x = x + layer.output_map(found.transpose(1, 2).reshape(2, 7, 12))
    torch.testing.assert_close(model(tokens, masks)[0], model.readout(x))
