"""Item statistics: of each problem and each graded cell who solved it, how it discriminates, what went wrong first.

An *item* is anything with points of its own: a problem, or one of its graded cells. Refused submissions are left out,
since nothing of them was run. Points given by hand count, penalties do not: they say nothing of an item.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_utils.grading.gradebook import Score
    from course_utils.notebooks import Problem

FEWEST = 10  # submissions: a correlation of fewer says nothing
LONGEST_MESSAGE = 300
MOST_MESSAGES = 3


@dataclass(frozen=True)
class Item:
    """What a class made of one problem or one graded cell.

    Attributes:
        name: the problem's, or the cell's grade_id.
        title: the problem's title; the grade_id of a cell.
        cell: whether it is a single cell.
        solved: how many have all its points.
        taken: how many submissions there are.
        discrimination: see :func:`discrimination`.
        rest: what share of the points of the rest of the test they have on average who solved the item, and who did
            not; None for nobody, and where there is no rest.
        messages: the commonest first messages of those who did not solve it, each with its count.
    """

    name: str
    title: str
    cell: bool
    solved: int
    taken: int
    discrimination: float | None
    rest: tuple[float | None, float | None]
    messages: tuple[tuple[str, int], ...]

    @property
    def share(self) -> float | None:
        """The share of submissions that solved it; None where there are none."""
        return self.solved / self.taken if self.taken else None


def graded(scores: Sequence[Score]) -> list[Score]:
    """The submissions that were not refused, in the order of the students' ids."""
    run = (score for score in scores if not (score.record and score.record.refusal))
    return sorted(run, key=lambda score: score.student)


def items(scores: Sequence[Score], problems: Sequence[Problem]) -> list[Item]:
    """Every problem, each followed by those of its cells that have points.

    Args:
        scores: of one assignment, from :meth:`course_utils.grading.gradebook.Book.scores`.
        problems: the assignment's, in their order.
    """
    run, found = graded(scores), []
    for problem in problems:
        cells = cells_of(problem)
        found.append(_item(run, problem.name, cells, title=problem.title or problem.name))
        found += [_item(run, cell, [cell]) for cell in cells if any(cell in score.available for score in run)]
    return found


def cells_of(problem: Problem) -> list[str]:
    """All its cells that may have points; a solution cell has them where a person grades it."""
    return [*problem.solutions, *problem.visible, *problem.hidden]


def points_of(score: Score, cells: Sequence[str]) -> float:
    """The points of a submission in these cells."""
    return math.fsum(score.points.get(cell, 0.0) for cell in cells)


def cut(words: str, most: int) -> str:
    """The words, at most so many letters of them."""
    return words if len(words) <= most else words[: most - 1] + "…"


def discrimination(item: Sequence[float], rest: Sequence[float]) -> float | None:
    """The corrected item-total correlation: Pearson's, of the points of an item with those of the rest of the test.

    The item itself is not in the total that it is compared with, since it would correlate with itself (J. P.
    Guilford, "The correlation of an item with a composite of the remaining items in a test", Educational and
    Psychological Measurement 13, 1953, pages 87 to 93). The rest of a cell holds the other cells of its problem, which
    judge the same answer, so that cells tend to have higher values than problems.

    Args:
        item: points of each submission in the item.
        rest: points of the same submissions in everything else.

    Returns:
        Between -1 and 1; None where there are fewer than ten submissions, or where the one or the other is the same
        for all, so that it is not defined.
    """
    if len(item) < FEWEST or len(set(item)) == 1 or len(set(rest)) == 1:
        return None
    return statistics.correlation(item, rest)


def _item(scores: Sequence[Score], name: str, cells: Sequence[str], title: str = "") -> Item:
    full = [_has_all(score, cells) for score in scores]
    rest = [points_of(score, [cell for cell in score.points if cell not in cells]) for score in scores]
    most = [math.fsum(worth for cell, worth in score.available.items() if cell not in cells) for score in scores]
    shares = [(mine / all_, has) for mine, all_, has in zip(rest, most, full, strict=True) if all_]
    counted = Counter(filter(None, (_first_message(score, cells) for score in scores)))
    return Item(
        name,
        title or name,
        cell=not title,
        solved=sum(full),
        taken=len(scores),
        discrimination=discrimination([points_of(score, cells) for score in scores], rest),
        rest=(_mean([share for share, has in shares if has]), _mean([share for share, has in shares if not has])),
        messages=tuple(sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:MOST_MESSAGES]),
    )


def _mean(numbers: Sequence[float]) -> float | None:
    return math.fsum(numbers) / len(numbers) if numbers else None


def _has_all(score: Score, cells: Sequence[str]) -> bool:
    return all(score.points.get(cell, 0.0) >= score.available.get(cell, 0.0) for cell in cells)


def _first_message(score: Score, cells: Sequence[str]) -> str:
    failed = (each for each in score.record.verdicts if not each.passed) if score.record else ()
    verdict = next((each for each in failed if each.grade_id in cells), None)
    return cut(verdict.message.strip().split("\n")[0], LONGEST_MESSAGE) if verdict else ""
