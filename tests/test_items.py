"""Item statistics: the same as computed anew from the raw matrix, and nothing said where nothing can be."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from grades import NAME, PROBLEMS, WORTH, refused, score

from course_utils.grading.gradebook import Score
from course_utils.grading.items import Item, cells_of, discrimination, items


def item(scores: list[Score], name: str) -> Item:
    (found,) = [each for each in items(scores, PROBLEMS) if each.name == name]
    return found


def a_class(size: int, seed: int = 3) -> list[Score]:
    """Students of different strength, each cell at random, some points given by hand."""
    chance = random.Random(seed)
    found = []
    for number in range(size):
        strength = chance.random()
        points = {cell: worth * (chance.random() < strength) for cell, worth in WORTH.items()}
        points["spread-visible"] = round(20 * strength, 1)
        found.append(Score(f"s{number:02}", NAME, points=points, available=WORTH))
    return found


def test_discrimination_is_that_of_the_raw_matrix() -> None:
    scores = a_class(25)
    matrix = np.array([[each.points[cell] for cell in WORTH] for each in scores])
    columns = {cell: [place] for place, cell in enumerate(WORTH)}
    columns |= {problem.name: [columns[cell][0] for cell in cells_of(problem)[1:]] for problem in PROBLEMS}
    for name, places in columns.items():
        mine = matrix[:, places].sum(axis=1)
        rest = np.delete(matrix, places, axis=1).sum(axis=1)
        expected = np.corrcoef(mine, rest)[0, 1]
        assert item(scores, name).discrimination == pytest.approx(expected, abs=1e-12)
        assert abs(expected - np.corrcoef(mine, matrix.sum(axis=1))[0, 1]) > 0.02  # with itself it would be another


def test_an_item_that_only_the_weak_solve_is_negative() -> None:
    strong, weak = {"mean-hidden": "no"}, {"mean-visible": "no", "spread-visible": "no", "spread-hidden": "no"}
    scores = [score(f"s{number}", strong if number % 2 else weak) for number in range(10)]
    assert item(scores, "mean-hidden").discrimination == pytest.approx(-1)


@pytest.mark.parametrize(
    ("mine", "rest"),
    [
        ([0.0, 1.0] * 4 + [1.0], [0.0, 2.0] * 4 + [3.0]),  # nine
        ([1.0] * 12, list(range(12))),
        (list(range(12)), [0.1 + 0.2] * 12),
        ([], []),
    ],
)
def test_nothing_is_said_of_few_or_of_no_variance(mine: list[float], rest: list[float]) -> None:
    assert discrimination(mine, rest) is None


def test_sums_of_the_same_points_are_no_variance() -> None:
    """Thirds in another order: sums that differed in their last digit would be a correlation of noise."""
    parts = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    problem = dataclasses.replace(PROBLEMS[0], solutions=[], visible={"a": 0.1}, hidden={})
    scores = [
        Score(f"s{n:02}", NAME, points=dict(random.Random(n).sample([*parts.items()], 4)), available=parts)
        for n in range(12)
    ]
    scores[0] = dataclasses.replace(scores[0], points={**parts, "a": 0.0})
    assert items(scores, [problem])[0].discrimination is None


def test_refused_ones_are_left_out_and_no_order_shows() -> None:
    scores = a_class(12)
    assert items([*scores, refused("zoe")], PROBLEMS) == items(scores, PROBLEMS) == items(scores[::-1], PROBLEMS)
    assert item([*scores, refused("zoe")], "mean").taken == 12


def test_solved_share_and_how_the_rest_was() -> None:
    scores = [
        score("a"),
        score("b", {"mean-hidden": "no", "spread-hidden": "no"}),
        score("c", {"mean-visible": "no", "mean-hidden": "no", "spread-visible": "no"}),
        score("d", {"spread-visible": "no", "spread-hidden": "no"}),
    ]
    mean = item(scores, "mean")
    assert (mean.solved, mean.taken, mean.share) == (2, 4, 0.5)
    assert mean.rest == (pytest.approx(50 / 100), pytest.approx((20 + 30) / 100))
    assert item(scores, "mean-visible").rest == (pytest.approx((80 + 20 + 30) / 240), pytest.approx(30 / 80))
    assert [each.name for each in items(scores, PROBLEMS)] == [
        *("mean", "mean-visible", "mean-hidden"),
        *("spread", "spread-visible", "spread-hidden"),
    ]


def test_first_messages_are_counted_the_most_frequent_first() -> None:
    lost = ["zero", "zero", "alpha", "beta", "gamma\nmore"]
    scores = [score(f"s{n}", {"mean-visible": words, "mean-hidden": "later"}) for n, words in enumerate(lost)]
    assert item(scores, "mean").messages == (("zero", 2), ("alpha", 1), ("beta", 1))
    assert item(scores, "mean-hidden").messages == (("later", 5),)
    assert item(scores, "spread").messages == ()


def test_a_long_message_is_cut() -> None:
    assert item([score("a", {"mean-visible": "x" * 301})], "mean").messages == (("x" * 299 + "…", 1),)


def test_of_nobody_nothing_is_said() -> None:
    for each in items([], PROBLEMS):
        assert (each.solved, each.taken, each.share, each.discrimination, each.rest) == (0, 0, None, None, (None, None))
