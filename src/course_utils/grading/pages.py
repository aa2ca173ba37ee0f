"""Pages for instructors, each one file that runs and fetches nothing, and the one on what a class found hard.

Names, messages and code are students' text: the templates escape all that is put into them, and only the plots, which
hold nothing of theirs, go in as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from course_utils.grading import plots
from course_utils.grading.items import FEWEST, cells_of, graded, items, points_of
from course_utils.grading.report import by_student, decimal, number, one_line, percent, remarks

if TYPE_CHECKING:
    from course_utils.grading.gradebook import Score
    from course_utils.notebooks import Problem


def statistics_page(name: str, scores: Sequence[Score], problems: Sequence[Problem]) -> str:
    """What a class made of an assignment: totals, item statistics with plots, first messages, and every submission.

    Args:
        name: the assignment's.
        scores: of the assignment; in whatever order, the page is the same.
        problems: the assignment's, in their order.
    """
    run, found = graded(scores), items(scores, problems)
    totals = [score.total for score in run]
    most = max((score.max_score for score in run), default=0.0)
    return rendered(
        "statistics.html",
        title=f"{name}: grades and statistics",
        counts=_counts(scores, run),
        items=found,
        plotted=bool(run and most),
        problems=problems,
        fewest=FEWEST,
        bins=[(f"{number(low)} to {number(high)}", count) for low, high, count in plots.binned(totals, most)],
        histogram=Markup(plots.histogram(totals, most)) if run and most else "",
        shares=Markup(plots.shares(found)) if run else "",
        rests=Markup(plots.rests([item for item in found if not item.cell])),
        messages=[(item.title, *each) for item in found if not item.cell for each in item.messages],
        rows=[_row(score, problems) for score in by_student(scores)],
    )


def rendered(template: str, **values: Any) -> str:
    """A page from one of the templates, everything that is put in escaped.

    Args:
        template: its name in ``grading/templates``.
        values: what it asks for; one that is missing is an error.
    """
    loader = PackageLoader("course_utils.grading")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"percent": percent, "decimal": decimal, "one_line": one_line}
    return made.get_template(template).render(values)


def _counts(scores: Sequence[Score], run: Sequence[Score]) -> str:
    refused, pending = len(scores) - len(run), sum(score.pending for score in scores)
    counts = [
        f"{len(run)} graded",
        *[f"{refused} refused"] * bool(refused),
        *[f"{pending} pending review"] * bool(pending),
    ]
    later = " Points of those pending review may still change." if pending else ""
    return f"Submissions: {', '.join(counts)}.{later}"


def _row(score: Score, problems: Sequence[Problem]) -> tuple[str, list[str], str, str, str]:
    points = [number(points_of(score, cells_of(problem))) for problem in problems]
    total = f"{number(score.total)} of {number(score.max_score)}"
    return score.student, points, number(score.penalty), total, ", ".join(remarks(score))
