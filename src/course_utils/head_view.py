"""Heads that readers explore: a grid of small heat maps, a row for each layer, and the chosen one as attention view.

Letters: `L` layers, `H` heads, `T` target tokens (queries), `S` source tokens (keys). The element is that of
`attention_view`, with a grid as its chooser; `book/_static/course.js` brings it to life.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from course_utils.attention_view import TOLERANCE, tokens_of
from course_utils.interactive import Html, figure, themed_svg
from course_utils.plotting import PALETTE, as_array

__all__ = ["head_view"]

MOST_LAYERS, MOST_HEADS = 12, 8
MOST_DRAWN = 20  # matrices in the still picture: of more, one layer stands for all
DIGITS = 3

# The still picture of a head, in points.
CELL, TITLE = 14, 18


def head_view(
    source: Sequence[str],
    target: Sequence[str],
    weights: Any,
    fallback_alt: str,
    *,
    first: tuple[int, int] = (0, 0),
    chosen: int = 0,
    sides: tuple[str, str] = ("source", "target"),
    languages: tuple[str, str] = ("en", "en"),
) -> Html:
    """Return the figure in which a reader chooses a layer, a head and a token, and sees where the head looks.

    Layers and heads stand in a grid of small heat maps, counted from 1; the last column is the mean of a layer's heads.
    The chosen one shows large, as `attention_view` shows its matrices. Where no script runs, the heads of one layer
    stand as heat maps.

    Args:
        source: S tokens, those that are looked at.
        target: T tokens, those that look; the same as `source` for self-attention.
        weights: array or tensor of shape (L, H, T, S), or a sequence of L of shape (H, T, S), with L up to 12 and H up
            to 8. Every row sums to 1, to within 0.02, or to 0. They are kept to three digits.
        fallback_alt: what the figure shows, in words.
        first: layer and head that are chosen first, counted from 0; the still picture shows this layer.
        chosen: the target token that is chosen first, counted from 0.
        sides: what the figure calls source and target.
        languages: their language tags, such as "ko", "fr" or "en", for fonts and for readers aloud.

    Raises:
        ValueError: there is no token, a shape does not fit, a weight is negative or not finite, a row sums neither to
            1 nor to 0, `first` or `chosen` is not a place, or `fallback_alt` is empty.
    """
    words = {"source": tokens_of("head_view", "source", source), "target": tokens_of("head_view", "target", target)}
    heads = _heads(weights, (len(words["target"]), len(words["source"])))
    _require_places(heads, first, chosen)
    if not fallback_alt.strip():
        raise ValueError("head_view: fallback_alt: expected what the figure shows in words, got an empty text")
    names, shown = _with_mean(heads)
    layer = first[0]
    data = {
        side: {"name": name, "language": language, "words": words[side]}
        for side, name, language in zip(words, sides, languages, strict=True)
    } | {
        "sets": [
            {"name": f"layer {layer + 1}, {name}", "weights": matrix.tolist()}
            for layer, row in enumerate(shown)
            for name, matrix in zip(names, row, strict=True)
        ],
        "chooser": "Layer and head",
        "columns": [name.removeprefix("head ") for name in names],
        "set": layer * len(names) + first[1],
        "chosen": chosen,
    }
    drawn = range(len(shown)) if len(shown) * len(names) <= MOST_DRAWN else [layer]
    still = "".join(_row(f"Layer {each + 1}", names, shown[each], words) for each in drawn)
    return figure("attention-view", data, still, fallback_alt)


def _heads(weights: Any, shape: tuple[int, int]) -> np.ndarray:
    """Return checked weights of shape (L, H, T, S)."""
    layers = [as_array(layer, "head_view") for layer in weights]
    shapes = sorted({layer.shape for layer in layers})
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][1:] != shape or not 1 <= shapes[0][0] <= MOST_HEADS:
        raise ValueError(
            f"head_view: weights: expected of every layer shape (H, {shape[0]}, {shape[1]}) with up to {MOST_HEADS} "
            f"heads, got {', '.join(map(str, shapes)) or 'no layer'}"
        )
    if len(layers) > MOST_LAYERS:
        raise ValueError(f"head_view: weights: expected up to {MOST_LAYERS} layers, got {len(layers)}")
    heads = np.stack(layers)
    sums = heads.sum(axis=-1)
    for wrong, what in (
        (~np.isfinite(heads).all(axis=-1) | (heads < 0).any(axis=-1), "finite weights of 0 or more"),
        ((np.abs(sums - 1) > TOLERANCE) & (sums != 0), "every row to sum to 1 or to 0"),
    ):
        if wrong.any():
            layer, head, row = (int(place) for place in np.argwhere(wrong)[0])
            where = f"[{layer}, {head}, {row}]"
            raise ValueError(
                f"head_view: weights: expected {what}, got the row {where} with least weight "
                f"{heads[layer, head, row].min():g} and sum {sums[layer, head, row]:g}"
            )
    return heads


def _require_places(heads: np.ndarray, first: tuple[int, int], chosen: int) -> None:
    n_layers, n_heads, n_targets, _ = heads.shape
    if len(first) != 2 or not (0 <= first[0] < n_layers and 0 <= first[1] < n_heads):
        raise ValueError(
            f"head_view: first: expected a layer, 0 to {n_layers - 1}, and a head, 0 to {n_heads - 1}, got {first}"
        )
    if not 0 <= chosen < n_targets:
        raise ValueError(f"head_view: chosen: expected the place of a target token, 0 to {n_targets - 1}, got {chosen}")


def _with_mean(heads: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return names of a layer's heads and their rounded weights, the mean last; of a single head, itself alone."""
    names = [f"head {head + 1}" for head in range(heads.shape[1])]
    if len(names) > 1:
        names.append("mean")
        heads = np.concatenate([heads, heads.mean(axis=1, keepdims=True)], axis=1)
    return names, heads.round(DIGITS).clip(max=1)


def _row(layer: str, names: list[str], row: np.ndarray, words: Mapping[str, list[str]]) -> str:
    """Draw a layer's heads beside each other, as many as there is room for."""
    panels = [_panel(f"{layer}, {name}", matrix, words) for name, matrix in zip(names, row, strict=True)]
    return f'<div class="row-of-heads">{"".join(panels)}</div>'


def _panel(name: str, matrix: np.ndarray, words: Mapping[str, list[str]]) -> str:
    """Draw a head as a heat map under its name, at its own size: a phone shows fewer of them beside each other."""
    left, top = (max(map(_length, words[side])) + 5 for side in ("target", "source"))
    top += TITLE
    labels = [
        f'<text x="{left - 4:g}" y="{top + CELL * row + 10:g}" text-anchor="end">{html.escape(word)}</text>'
        for row, word in enumerate(words["target"])
    ] + [
        f'<text transform="translate({left + CELL * column + 10:g} {top - 4:g}) rotate(-90)">{html.escape(word)}</text>'
        for column, word in enumerate(words["source"])
    ]
    width, height = max(left + CELL * len(words["source"]), 90), top + CELL * len(words["target"])
    drawing = themed_svg(
        f'<svg viewBox="0 0 {width:g} {height:g}"><g font-family="Inter, Course Hangul, sans-serif" font-size="9.5" '
        f'fill="{PALETTE["ink"]}"><text y="10" font-weight="600">{name}</text>{"".join(labels)}</g>'
        f'<g transform="translate({left:g} {top:g})" shape-rendering="crispEdges">{_cells(matrix)}</g></svg>',
        prefix="head",
        alt=name,
    )
    return f'<div style="flex:0 1 {width * 96 / 72:.0f}px">{drawing}</div>'


def _cells(matrix: np.ndarray) -> str:
    """Draw the weights' cells, a path for each step of the map, as `AttentionView.thumbnail` does."""
    steps = np.minimum(11, np.floor(12 * matrix)).astype(int)
    paths = []
    for step in np.unique(steps):
        places = np.argwhere(steps == step)
        outline = "".join(f"M{CELL * column} {CELL * row}h{CELL}v{CELL}h-{CELL}z" for row, column in places)
        paths.append(f'<path fill="{PALETTE[f"seq-{step}"]}" d="{outline}"/>')
    return "".join(paths)


def _length(word: str) -> float:
    """About how many points a word takes: letters of East Asia are wider."""
    return sum(9.5 if unicodedata.east_asian_width(letter) in "WF" else 5.6 for letter in word)
