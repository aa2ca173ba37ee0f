"""Search against every sentence there is, draws against the exact probabilities, costs against torch's counter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from test_language_model import POSITIONS
from test_transformer import source_and_mask, talkative
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from course_utils.data import EOS
from course_utils.decoders import BahdanauDecoder
from course_utils.decoding import (
    Hypothesis,
    NextScores,
    beam_search,
    flops_per_token,
    greedy,
    length_penalty,
    multiplied_parameters,
    next_token_distribution,
    sample,
    translator,
    writer,
)
from course_utils.language_model import LanguageModel
from course_utils.seq2seq import Encoder, EncoderDecoder, count_parameters

N, LONGEST = 5, 4


def random_scores(seed: int, sharpness: float = 1.0) -> NextScores:
    """A model without parts: each prefix has random logits of its own, whatever else it is asked with."""

    def scores(prefixes: Tensor) -> Tensor:
        rows = []
        for prefix in prefixes.tolist():
            number = int.from_bytes(bytes([seed, len(prefix), *prefix]), "big") % (2**62)
            rows.append(torch.randn(N, generator=torch.Generator().manual_seed(number), dtype=torch.float64))
        return (torch.stack(rows) * sharpness).log_softmax(-1)

    return scores


def language_model(positions: str = "rotary", **options: object) -> LanguageModel:
    torch.manual_seed(3)
    sizes = {"width": 12, "n_heads": 3, "n_layers": 4, "length": 41, "reach": 19}
    made = LanguageModel(7, positions=positions, **(sizes | options)).double()
    made.norm = torch.nn.LayerNorm(12, dtype=torch.float64)
    torch.nn.init.constant_(made.norm.weight, -1.0)  # else a tied output map says the same for ever
    return made


def search_by_hand(
    scores: NextScores, end: int, longest: int, alpha: float, beam: int | None = None
) -> list[Hypothesis]:
    """All sentences that end, and all of the greatest length, the best first; in lists, one prefix at a time.

    With a beam only so many beginnings of each length are gone on from; the search is never over early.
    """
    done, live = [], [((), 0.0)]
    for n in range(1, longest + 1):
        longer = [
            ((*tokens, token), total + score)
            for tokens, total in live
            for token, score in enumerate(scores(torch.tensor([tokens], dtype=torch.int64))[0].tolist())
        ]
        longer = sorted(longer, key=lambda each: -each[1])[:beam]
        over = [each for each in longer if each[0][-1] == end or n == longest]
        done += [Hypothesis(tokens, total, total / ((5 + n) / 6) ** alpha) for tokens, total in over]
        live = [each for each in longer if each[0][-1] != end]
    return sorted(done, key=lambda each: -each.score)[:beam]


def same(ours: Hypothesis, expected: Hypothesis) -> bool:
    close = math.isclose(ours.log_probability, expected.log_probability, rel_tol=1e-12)
    return ours.tokens == expected.tokens and close and math.isclose(ours.score, expected.score, rel_tol=1e-12)


# --- Searching ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "alpha", "penalty"),
    [(1, 0.6, 1.0), (7, 1.0, 2.0), (7, 0.0, 1.0), (13, 2.0, 9.0), (19, 0.5, 2.0), (0, 1.0, 5 / 6)],
)
def test_the_length_penalty_by_hand(length: int, alpha: float, penalty: float) -> None:
    assert length_penalty(length, alpha) == pytest.approx(penalty, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_wide_enough_for_all_finds_the_best_of_every_sentence(seed: int, alpha: float) -> None:
    scores = random_scores(seed)
    expected = search_by_hand(scores, 2, LONGEST, alpha)
    assert len(expected) == 1 + 4 + 16 + 64 * 5
    found = beam_search(scores, LONGEST, beam=N**LONGEST, alpha=alpha, end=2)
    assert all(same(ours, theirs) for ours, theirs in zip(found, expected, strict=True))
    assert same(beam_search(scores, LONGEST, beam=64 * 5, alpha=alpha, end=2)[0], expected[0])


@pytest.mark.parametrize("beam", [1, 2, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 3.0])
def test_a_narrow_beam_is_the_search_without_its_early_end(alpha: float, beam: int) -> None:
    for seed in range(6):
        scores = random_scores(seed, 2.0)
        found = beam_search(scores, 6, beam=beam, alpha=alpha, end=2)
        expected = search_by_hand(scores, 2, 6, alpha, beam)
        assert all(same(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def test_a_wider_beam_finds_what_greed_misses() -> None:
    """By hand: 0.6 · 0.4 ends as 0.24; 0.4 · 0.9 as 0.36."""
    table = {(): [0.6, 0.4, 0.0], (0,): [0.3, 0.3, 0.4], (1,): [0.05, 0.05, 0.9]}

    def scores(prefixes: Tensor) -> Tensor:
        rows = [table.get(tuple(prefix), [0.0, 0.0, 1.0]) for prefix in prefixes.tolist()]
        return torch.tensor(rows, dtype=torch.float64).log()

    assert greedy(scores, 5, end=2).tokens == (0, 2)
    best = beam_search(scores, 5, beam=2, alpha=0.0, end=2)[0]
    assert best.tokens == (1, 2)
    assert math.exp(best.log_probability) == pytest.approx(0.36)


def test_the_penalty_decides_between_short_and_long() -> None:
    """By hand: ln 0.5 for one token, ln 0.4 for seven; with (12 / 6)^α the longer one is better from α = 0.41 on."""

    def scores(prefixes: Tensor) -> Tensor:
        length = prefixes.shape[1]
        row = [0.5, 0.4, 0.1] if length == 0 else [0.0, 1.0, 0.0] if length < 6 else [1.0, 0.0, 0.0]
        return torch.tensor([row] * len(prefixes), dtype=torch.float64).log()

    turns = math.log2(math.log(0.4) / math.log(0.5))
    assert 0.40 < turns < 0.41
    for alpha, tokens in (
        (0.0, (0,)),
        (turns - 0.01, (0,)),
        (turns + 0.01, (1, 1, 1, 1, 1, 1, 0)),
        (1.0, (1,) * 6 + (0,)),
    ):
        assert beam_search(scores, 9, beam=2, alpha=alpha, end=0)[0].tokens == tokens


def test_a_search_is_over_when_nothing_left_can_win() -> None:
    asked = []

    def scores(prefixes: Tensor) -> Tensor:
        asked.append(prefixes.shape[1])
        return torch.tensor([[0.9, 0.06, 0.04]] * len(prefixes), dtype=torch.float64).log()

    assert greedy(scores, 50, end=0).tokens == (0,)
    assert asked == [0]
    asked.clear()
    found = beam_search(scores, 50, beam=2, alpha=0.0, end=0)
    assert [each.tokens for each in found] == [(0,), (1, 0)]
    assert asked == [0, 1]


def test_of_equals_the_first_is_taken_every_time() -> None:
    def scores(prefixes: Tensor) -> Tensor:
        return torch.full((len(prefixes), N), 1 / N, dtype=torch.float64).log()

    assert greedy(scores, 3, end=4).tokens == (0, 0, 0)
    found = beam_search(scores, 3, beam=3, alpha=0.0, end=4)
    assert [each.tokens for each in found] == [(0, 0, 0), (0, 0, 1), (0, 0, 2)]


def test_a_prompt_is_gone_on_from_and_counts_for_nothing() -> None:
    scores, prompt = random_scores(1), (3, 1)

    def after(prefixes: Tensor) -> Tensor:
        return scores(torch.cat([torch.tensor([prompt]).expand(len(prefixes), -1), prefixes], 1))

    found = beam_search(scores, 4, beam=3, alpha=1.0, end=2, prompt=prompt)
    assert found == beam_search(after, 4, beam=3, alpha=1.0, end=2)
    assert greedy(scores, 4, end=2, prompt=prompt) == greedy(after, 4, end=2)


def recurrent() -> EncoderDecoder:
    torch.manual_seed(2)
    made = EncoderDecoder(Encoder(13, 5, 6), BahdanauDecoder(19, 5, 6)).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)
    return made


@pytest.mark.parametrize(
    "made",
    [lambda: talkative("post", 1), lambda: talkative("pre", 1), recurrent],
    ids=["post", "pre", "recurrent"],
)
def test_one_search_serves_both_kinds_of_translators(made: Callable[[], torch.nn.Module]) -> None:
    model, (source, mask) = made(), source_and_mask()
    written = model.greedy_decode(source, mask, 7)
    for row in range(len(source)):
        n = int(mask[row].sum())
        scores = translator(model, source[row : row + 1, :n], mask[row : row + 1, :n])
        first = greedy(scores, 7)
        assert list(first.tokens) == [token for token in written[row].tolist() if token]
        assert beam_search(scores, 7, beam=1, alpha=1.3)[0].tokens == first.tokens
        target = torch.tensor([first.tokens])
        logits = model(source[row : row + 1, :n], mask[row : row + 1, :n], target)
        own = logits.log_softmax(-1).gather(-1, target[..., None]).sum().item()
        assert first.log_probability == pytest.approx(own, rel=1e-10)
        wide = beam_search(scores, 7, beam=5, alpha=0.0)
        assert wide[0].log_probability >= first.log_probability - 1e-9
        assert all(EOS not in each.tokens[:-1] for each in wide)
        assert all(each.tokens[-1] == EOS or len(each.tokens) == 7 for each in wide)


def test_a_language_model_is_searched_too() -> None:
    made, prompt = language_model(), [5, 2, 6]
    first = greedy(writer(made), 9, end=1, prompt=prompt)
    drawn = sample(made, torch.tensor([prompt]), len(first.tokens), generator=torch.Generator(), temperature=0)
    assert drawn[0, 3:].tolist() == list(first.tokens)
    assert len(set(first.tokens)) > 1


# --- Drawing ------------------------------------------------------------------------------------------------------

FIVE = torch.tensor([0.1, 0.4, 0.05, 0.3, 0.15], dtype=torch.float64)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.1, 0.4, 0.05, 0.3, 0.15]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7, 0]),
        ({"top_k": 1}, [0, 1, 0, 0, 0]),
        ({"top_k": 9}, [0.1, 0.4, 0.05, 0.3, 0.15]),
        ({"top_p": 0.01}, [0, 1, 0, 0, 0]),
        ({"top_p": 0.4}, [0, 1, 0, 0, 0]),
        ({"top_p": 0.41}, [0, 4 / 7, 0, 3 / 7, 0]),
        ({"top_p": 0.7}, [0, 4 / 7, 0, 3 / 7, 0]),
        ({"top_p": 0.71}, [0, 8 / 17, 0, 6 / 17, 3 / 17]),
        ({"top_p": 1.0}, [0.1, 0.4, 0.05, 0.3, 0.15]),
        # 0.16, 0.09, 0.0225, 0.01 and 0.0025 of 0.285
        ({"temperature": 0.5}, [2 / 57, 32 / 57, 1 / 114, 18 / 57, 9 / 114]),
        ({"temperature": 0.5, "top_k": 2}, [0, 16 / 25, 0, 9 / 25, 0]),
        # after the best three, 8/17 + 6/17 reaches 0.8: of all, it would take three
        ({"top_k": 3, "top_p": 0.8}, [0, 4 / 7, 0, 3 / 7, 0]),
        # the temperature comes first: 32/57 + 18/57 reaches 0.8
        ({"temperature": 0.5, "top_p": 0.8}, [0, 16 / 25, 0, 9 / 25, 0]),
        ({"temperature": 0}, [0, 1, 0, 0, 0]),
        ({"temperature": 1e-310}, [0, 1, 0, 0, 0]),
        ({"temperature": 1e300}, [0.2] * 5),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_probabilities_by_hand(options: dict[str, float], expected: list[float], dtype: torch.dtype) -> None:
    logits = (FIVE.log() + 3.7).to(dtype)
    kept = logits.clone()
    rows = torch.stack([logits, logits.flip(0)])
    likely = next_token_distribution(rows, **options)
    wanted = torch.tensor([expected, expected[::-1]], dtype=dtype)
    torch.testing.assert_close(likely, wanted)
    assert (likely[wanted == 0] == 0).all()
    assert torch.equal(logits, kept)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.77, 0.95, 0.999])
def test_the_nucleus_is_the_smallest_set_that_reaches_p(p: float) -> None:
    for seed in range(20):
        logits = torch.randn(7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2
        likely = logits.softmax(-1)
        size = next(n for n in range(1, 8) if any(sum(c) >= p for c in itertools.combinations(likely.tolist(), n)))
        best = max(itertools.combinations(range(7), size), key=lambda chosen: likely[list(chosen)].sum().item())
        kept = next_token_distribution(logits, top_p=p)
        assert kept.nonzero().flatten().tolist() == sorted(best)
        torch.testing.assert_close(kept[list(best)], likely[list(best)] / likely[list(best)].sum())


@pytest.mark.parametrize("options", [{"top_k": 2}, {"top_p": 0.4}, {"temperature": 0}], ids=str)
def test_of_equal_logits_the_first_are_kept(options: dict[str, float]) -> None:
    kept = next_token_distribution(torch.zeros(40, dtype=torch.float64), **options).nonzero().flatten().tolist()
    assert kept == list(range({"top_k": 2, "top_p": 16, "temperature": 1}[next(iter(options))]))


def test_forbidden_tokens_and_huge_logits() -> None:
    logits = torch.tensor([3e38, -math.inf, 3e38, -3e38])
    assert next_token_distribution(logits).tolist() == [0.5, 0, 0.5, 0]
    assert next_token_distribution(logits, temperature=1e-300, top_p=0.9).tolist() == [0.5, 0, 0.5, 0]


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.6}, {"top_k": 3}, {"top_p": 0.7}, {"temperature": 2.0, "top_p": 0.8}], ids=str
)
def test_draws_are_as_frequent_as_the_probabilities_say(options: dict[str, float]) -> None:
    """Pearson's χ² for both tokens that are drawn, against its 0.1 % point for the pairs that are possible."""
    made, n = language_model(), 20_000
    drawn = sample(made, torch.tensor([[4]]).expand(n, 1), 2, generator=torch.Generator().manual_seed(7), **options)
    first = next_token_distribution(made(torch.tensor([[4]]))[0, -1], **options)
    pairs = torch.tensor([[4, token] for token in range(7)])
    expected = n * first[:, None] * next_token_distribution(made(pairs)[:, -1], **options)
    counts = torch.zeros(7, 7, dtype=torch.float64)
    counts.index_put_((drawn[:, 1], drawn[:, 2]), torch.ones(n, dtype=torch.float64), accumulate=True)
    assert (counts[expected == 0] == 0).all()
    possible = expected > 5
    assert expected[~possible].sum() < 0.02 * n
    statistic = ((counts - expected).square() / expected)[possible].sum().item()
    freedom = int(possible.sum()) - 1
    # Wilson & Hilferty's approximation; 3.09 is the normal distribution's 0.1 % point
    assert statistic < freedom * (1 - 2 / (9 * freedom) + 3.09 * (2 / (9 * freedom)) ** 0.5) ** 3
    assert freedom >= 3


@pytest.mark.parametrize("positions", POSITIONS)
def test_with_and_without_a_cache_the_same_tokens_are_drawn(positions: str) -> None:
    made, prompt = language_model(positions), torch.tensor([[1, 5, 3], [6, 0, 2]])
    state = torch.get_rng_state()
    with_cache, without = (
        sample(made, prompt, 11, generator=torch.Generator().manual_seed(5), cached=cached) for cached in (True, False)
    )
    assert torch.equal(with_cache, without)
    assert with_cache.shape == (2, 14)
    assert torch.equal(with_cache[:, :3], prompt)
    assert len(with_cache[:, 3:].unique()) > 3
    other = sample(made, prompt, 11, generator=torch.Generator().manual_seed(6))
    assert not torch.equal(with_cache, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(sample(made, prompt, 0, generator=torch.Generator()), prompt)


# --- What a token costs -------------------------------------------------------------------------------------------


def counted(call: Callable[[], object]) -> int:
    counter = FlopCounterMode(display=False)
    with counter:  # gradients on: under no_grad its hook stops at a module that returns a view of a parameter
        call()
    return counter.get_total_flops()


@pytest.mark.parametrize("hidden_width", [None, 0, 17])
@pytest.mark.parametrize("positions", POSITIONS)
def test_the_operations_of_a_token_are_those_that_torch_counts(positions: str, hidden_width: int | None) -> None:
    made = language_model(positions, hidden_width=hidden_width)
    tokens = torch.randint(0, 7, (1, 37), generator=torch.Generator().manual_seed(1))
    cache = ()
    for t in range(1, 38):
        before, (_, cache) = cache, made.step(tokens[:, t - 1 : t], cache)
        if t in (1, 2, 13, 37):
            assert counted(lambda t=t, past=before: made.step(tokens[:, t - 1 : t], past)) == flops_per_token(made, t)
            assert counted(lambda t=t: made(tokens[:, :t])) == flops_per_token(made, t, cached=False)


@pytest.mark.parametrize("cached", [True, False])
def test_a_whole_text_costs_the_sum_of_its_tokens(cached: bool) -> None:
    made = language_model("alibi")
    expected = sum(flops_per_token(made, t, cached=cached) for t in range(1, 24))
    options = {"generator": torch.Generator(), "cached": cached}
    assert counted(lambda: sample(made, torch.tensor([[2]]), 23, **options)) == expected


def test_what_multiplies_is_every_matrix_once() -> None:
    made = language_model("none", hidden_width=17)
    assert multiplied_parameters(made) == 4 * (4 * 12**2 + 2 * 12 * 17) + 7 * 12
    counts = count_parameters(made)
    biases_and_norms = 4 * (17 + 12 + 4 * 12) + 2 * 12
    assert multiplied_parameters(made) == sum(counts.values()) - biases_and_norms
    assert flops_per_token(made, 9) == 2 * multiplied_parameters(made) + 4 * 4 * 12 * 9


# --- What is refused ----------------------------------------------------------------------------------------------


def wrong_calls() -> dict[str, tuple[object, str]]:
    scores, logits, made = random_scores(1), torch.zeros(3, N), language_model()
    source, mask = source_and_mask()
    return {
        "no beam": (lambda: beam_search(scores, 4, beam=0), "beam: expected at least 1"),
        "no room": (lambda: greedy(scores, 0), "max_length, beam: expected at least 1"),
        "a negative alpha": (lambda: beam_search(scores, 4, beam=2, alpha=-1.0), "expected at least 0"),
        "a negative length": (lambda: length_penalty(-1, 1.0), "expected at least 0"),
        "several sources": (lambda: translator(talkative("pre", 1), source, mask), "one sentence"),
        "a negative temperature": (lambda: next_token_distribution(logits, temperature=-0.1), "temperature: expected"),
        "an endless temperature": (lambda: next_token_distribution(logits, temperature=math.inf), "temperature"),
        "the best none": (lambda: next_token_distribution(logits, top_k=0), "top_k: expected at least 1"),
        "no nucleus": (lambda: next_token_distribution(logits, top_p=0.0), "top_p: expected a share"),
        "more than all": (lambda: next_token_distribution(logits, top_p=1.1), "top_p: expected a share"),
        "logits of whole numbers": (lambda: next_token_distribution(logits.long()), "logits: expected floating"),
        "a negative number of tokens": (
            lambda: sample(made, torch.tensor([[1]]), -1, generator=torch.Generator()),
            "n_tokens: expected at least 0",
        ),
        "an empty prompt": (
            lambda: sample(made, torch.zeros(1, 0, dtype=torch.int64), 1, generator=torch.Generator()),
            "tokens: expected shape",
        ),
        "a position before the first": (lambda: flops_per_token(made, 0), "position: expected at least 1"),
    }


@pytest.mark.parametrize("what", wrong_calls())
def test_what_cannot_work_is_refused_in_one_line(what: str) -> None:
    call, message = wrong_calls()[what]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
