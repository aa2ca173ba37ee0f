"""Figures that readers play with: HTML elements which `book/_static/course.js` brings to life.

Each carries its data as JSON and a still picture, which is what print, JupyterLab and a browser without JavaScript
show. Letters: `K` keys.
"""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_utils.plotting import PALETTE, course_style, weight_bars

__all__ = ["Html", "figure", "soft_dictionary_figure", "themed_svg"]

_VARIABLES = {colour: f"var(--c-{name}, {colour})" for name, colour in PALETTE.items()}


@dataclass(frozen=True)
class Html:
    """Markup that a notebook shows as it is.

    Attributes:
        markup: the HTML.
        alt: what it shows, in words.
    """

    markup: str
    alt: str

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.alt


def themed_svg(svg: str, *, prefix: str, alt: str) -> str:
    """Make an SVG of Matplotlib's fit to stand inside a page, in both themes and at any width.

    Colours of the palette become CSS variables with the colour itself as fallback; ids get a prefix, so that two
    figures of a page never share one; width and height give way to the view box.

    Args:
        svg: the text of an SVG file.
        prefix: put before every id.
        alt: what the figure shows, for those who do not see it.

    Raises:
        ValueError: there is no view box, or no text in `alt`.
    """
    if not alt.strip():
        raise ValueError("themed_svg: alt is empty; say in words what the figure shows")
    box = re.search(r'viewBox="([^"]+)"', svg)
    if box is None:
        raise ValueError("themed_svg: expected an SVG with a viewBox, found none")
    body = svg[svg.index(">", box.end()) + 1 :]
    # Inside a page Matplotlib's style sheet would hold for everything on it; the root's style says the same.
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", body)
    body = re.sub(r"#[0-9a-f]{6}\b", lambda colour: _VARIABLES.get(colour[0], colour[0]), body)
    # Matplotlib's unit is the point, of which 72 make an inch; CSS has 96 pixels to the inch.
    width = float(box[1].split()[2]) * 96 / 72
    return (
        f'<svg class="course-figure" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'role="img" aria-label="{html.escape(alt)}" viewBox="{box[1]}" '
        f'style="--own-width:{width:.0f}px;width:100%;max-width:{width:.0f}px;stroke-linejoin:round">' + body.strip()
    )


def figure(element: str, data: Any, still: str, alt: str) -> Html:
    """Put a figure together: a custom element with its data and what stands in its place where no script runs.

    Args:
        element: the name of the custom element.
        data: what JSON can hold.
        still: markup.
        alt: what the figure shows, in words.
    """
    # "<" is the one character that could end the script element from inside.
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    markup = (
        f'<{element} role="group" aria-label="{html.escape(alt)}"><script type="application/json">{text}</script>'
        f'<div class="still">{still}</div></{element}>'
    )
    return Html(markup, alt)


def soft_dictionary_figure(keys: Any, labels: Sequence[str], values: Any, query: Any, fallback_alt: str) -> Html:
    """Return the figure in which a reader drags a query over a plane of keys.

    Args:
        keys: array of shape (K, 2), where the keys stand.
        labels: K names.
        values: array of shape (K,), what the keys hold.
        query: array of shape (2,), where the query begins.
        fallback_alt: what the figure shows, in words.

    Raises:
        ValueError: the shapes do not fit, a number is not finite, or `fallback_alt` is empty.
    """
    points, numbers, start = (np.asarray(part, dtype=np.float64) for part in (keys, values, query))
    count = len(labels)
    shapes = (points.shape, numbers.shape, start.shape)
    if count == 0 or shapes != ((count, 2), (count,), (2,)):
        raise ValueError(
            f"soft_dictionary_figure: expected shapes (K, 2), (K,) and (2,) of keys, values and query for "
            f"K = {count} labels, got {shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    if not all(np.isfinite(part).all() for part in (points, numbers, start)):
        raise ValueError("soft_dictionary_figure: keys, values and query must be finite numbers")
    data = {"keys": points.tolist(), "labels": list(labels), "values": numbers.tolist(), "query": start.tolist()}
    still = themed_svg(_still(points, labels, numbers, start), prefix="soft-dictionary", alt=fallback_alt)
    return figure("soft-dictionary", data, still, fallback_alt)


def _still(points: np.ndarray, labels: Sequence[str], numbers: np.ndarray, query: np.ndarray) -> str:
    """Draw the figure's first state: the plane, and the weights of a dot product at temperature 1."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    scores = points @ query
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    with mpl.rc_context(course_style()):
        figure = Figure(figsize=(6.4, 3.0), layout="constrained")
        plane, bars = figure.subplots(1, 2, width_ratios=(1.1, 1))
        plane.scatter(*points.T, s=1200 * weights, color=PALETTE["blue"], alpha=0.25, linewidths=0)  # the halos
        plane.scatter(*points.T, color=PALETTE["blue"], zorder=3)
        plane.annotate("", query, (0, 0), arrowprops={"arrowstyle": "->", "color": PALETTE["orange"], "lw": 2})
        plane.annotate("query", query, (6, -11), textcoords="offset points", color=PALETTE["orange"])
        for rank, place in enumerate(np.argsort(points[:, 0], kind="stable")):  # neighbours above and below in turns
            words, offset = f"{labels[place]}: {numbers[place]:g}", (5, -13 if rank % 2 else 5)
            plane.annotate(words, points[place], offset, textcoords="offset points")
        plane.set_aspect("equal", adjustable="datalim")
        plane.margins(0.2)
        weight_bars(weights, labels, ax=bars)
        bars.set_title(f"weights; answer {weights @ numbers:.2f}")
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
