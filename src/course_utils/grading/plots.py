"""The plots of the statistics page: SVG in the course's style, for both themes, the same bytes on every run."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from course_utils.grading.items import FEWEST, Item, cut
from course_utils.interactive import themed_svg
from course_utils.plotting import PALETTE, course_style

BINS = 10
LONGEST_LABEL = 34  # letters


def binned(totals: Sequence[float], most: float) -> list[tuple[float, float, int]]:
    """Ten equal steps from 0 to ``most``, each with its lower and upper end and how many totals lie in it.

    A total on a border is in the upper step; what is above all steps, by extra points, is in the last.
    """
    width = most / BINS
    places = [min(int(total / width), BINS - 1) if width else 0 for total in totals]
    return [(place * width, (place + 1) * width, places.count(place)) for place in range(BINS)]


def histogram(totals: Sequence[float], most: float) -> str:
    """How many submissions have how many points.

    Args:
        totals: at least one.
        most: points that there are.
    """
    bins = binned(totals, most)

    def draw(ax: Axes) -> None:
        width = most / BINS
        ax.bar([low + width / 2 for low, _, _ in bins], [count for *_, count in bins], 0.92 * width)
        ax.set(xlabel=f"points, of {most:g}", ylabel="submissions", xlim=(0, most))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="x", visible=False)

    middle, lowest, highest = statistics.median(totals), min(totals), max(totals)
    alt = (
        f"Histogram of the totals of {len(totals)} submissions: from {lowest:g} to {highest:g} points, "
        f"half of them at {middle:g} or more."
    )
    return _svg("totals", alt, 3.2, draw)


def shares(items: Sequence[Item]) -> str:
    """The share of submissions that solved each problem and each cell, as bars.

    Args:
        items: of at least one submission.
    """

    def draw(ax: Axes) -> None:
        for kind, colour, label in ((False, "blue", "problem"), (True, "orange", "one of its cells")):
            places = [place for place, item in enumerate(items) if item.cell is kind]
            widths = [items[place].share for place in places]
            ax.barh(places, widths, 0.5 if kind else 0.8, color=PALETTE[colour], label=label)
        _rows(ax, [item.title for item in items])
        _percent(ax, "share of submissions with all points")
        ax.figure.legend(loc="outside upper left", ncols=2)

    solved = [item for item in items if not item.cell]
    words = ", ".join(f"{item.title} {item.share:.0%}" for item in solved)
    return _svg("shares", f"Bars of the share of submissions that solved each problem: {words}.", _height(items), draw)


def rests(items: Sequence[Item]) -> str:
    """For each problem, how those who solved it did in the rest, and those who did not; nothing where too few did.

    Args:
        items: problems, no cells.
    """
    told = [item for item in items if item.taken >= FEWEST and any(side is not None for side in item.rest)]
    if not told:
        return ""

    def draw(ax: Axes) -> None:
        for place, item in enumerate(told):
            if None not in item.rest:
                ax.plot(item.rest, (place, place), color=PALETTE["muted"], linewidth=1.2, zorder=1)
        for side, fill, label in ((0, PALETTE["blue"], "solved it"), (1, "none", "did not")):
            dots = [(item.rest[side], place) for place, item in enumerate(told) if item.rest[side] is not None]
            across, down = [dot[0] for dot in dots], [dot[1] for dot in dots]
            ax.scatter(across, down, s=64, facecolor=fill, edgecolor=PALETTE["blue"], label=label, zorder=2)
        _rows(ax, [item.title for item in told])
        _percent(ax, "mean share of all other points")
        ax.figure.legend(loc="outside upper left", ncols=2)

    words = "; ".join(f"{item.title}: {_said(item.rest[0])} against {_said(item.rest[1])}" for item in told)
    alt = f"Dots of the mean share of all other points, of those who solved a problem against the others. {words}."
    return _svg("rests", alt, _height(told), draw)


def _said(share: float | None) -> str:
    return "nobody" if share is None else f"{share:.0%}"


def _height(items: Sequence[Item]) -> float:
    return 1.3 + 0.27 * len(items)


def _rows(ax: Axes, labels: Sequence[str]) -> None:
    """Name the rows, the first on top; a title is text, and no mathematics."""
    ax.set_yticks(range(len(labels)), [cut(label, LONGEST_LABEL) for label in labels], parse_math=False)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)


def _percent(ax: Axes, label: str) -> None:
    ax.set(xlabel=label, xlim=(-0.02, 1.02))
    ax.xaxis.set_major_formatter(PercentFormatter(1))


def _svg(prefix: str, alt: str, height: float, draw: Callable[[Axes], None]) -> str:
    with mpl.rc_context(course_style()):
        figure = Figure(figsize=(6.6, height))
        draw(figure.subplots())
        written = io.StringIO()
        figure.savefig(written, format="svg")
    return themed_svg(written.getvalue(), prefix=prefix, alt=alt)
