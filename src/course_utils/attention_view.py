"""Attention that readers explore: a word of one sentence is chosen, and its weights on the words of another show.

Letters: `T` target tokens, whose rows the weights are (queries); `S` source tokens, their columns (keys).
`book/_static/course.js` brings the figure to life.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from course_utils.interactive import Html, figure, themed_svg
from course_utils.plotting import as_array, attention_heatmap, course_style

__all__ = ["attention_view"]

TOLERANCE = 0.02  # of the sum of a row: weights from a paper are rounded
MOST_MATRICES = 6  # in the still picture
MOST_WRITTEN = 10  # columns whose numbers the still picture writes in the cells
NARROW = 4  # columns of which two such matrices fit beside each other


def attention_view(
    source: Sequence[str],
    target: Sequence[str],
    weights: Any,
    fallback_alt: str,
    *,
    chosen: int = 0,
    chooser: str = "Weights",
    sides: tuple[str, str] = ("source", "target"),
    languages: tuple[str, str] = ("en", "en"),
) -> Html:
    """Return the figure in which a reader chooses a target token and sees its weights on the source tokens.

    The weights show as links, as shades and as numbers, and the whole matrix as a table with the chosen row marked.
    Where no script runs, the matrices stand as heat maps; of more than four, the first alone.

    Args:
        source: S tokens, those that are looked at.
        target: T tokens, those that look; the same as `source` for self-attention.
        weights: array or tensor of shape (T, S), or a mapping from names to such, between which the reader chooses.
            Every row sums to 1, to within 0.02, or to 0.
        fallback_alt: what the figure shows, in words.
        chosen: the target token that is chosen first, counted from 0.
        chooser: what the names of `weights` are, such as "Score function"; unused where there is one matrix.
        sides: what the figure calls source and target.
        languages: their language tags, such as "ko", "fr" or "en", for fonts and for readers aloud.

    Raises:
        ValueError: there is no token, a shape does not fit, a weight is negative or not finite, a row sums neither to
            1 nor to 0, `chosen` is not the place of a target token, or `fallback_alt` is empty.
    """
    words = {"source": tokens_of("attention_view", "source", source)}
    words["target"] = tokens_of("attention_view", "target", target)
    matrices = _matrices(weights, (len(words["target"]), len(words["source"])))
    last = len(words["target"]) - 1
    if not 0 <= chosen <= last:
        raise ValueError(f"attention_view: chosen: expected the place of a target token, 0 to {last}, got {chosen}")
    data = {
        side: {"name": name, "language": language, "words": words[side]}
        for side, name, language in zip(words, sides, languages, strict=True)
    } | {
        "sets": [{"name": name, "weights": matrix.tolist()} for name, matrix in matrices.items()],
        "chooser": chooser,
        "chosen": chosen,
    }
    # A page may hold several of these figures, whose ids must differ.
    mark = hashlib.sha256(json.dumps(data).encode()).hexdigest()[:8]
    still = themed_svg(_still(words, matrices, sides), prefix=f"attention-view-{mark}", alt=fallback_alt)
    return figure("attention-view", data, still, fallback_alt)


def tokens_of(function: str, name: str, tokens: Sequence[str]) -> list[str]:
    """Return the tokens of one side as a list, or raise unless they are strings, and at least one."""
    if isinstance(tokens, str) or len(tokens) == 0 or not all(isinstance(token, str) for token in tokens):
        raise ValueError(f"{function}: {name}: expected a sequence of one token or more, got {tokens!r}")
    return list(tokens)


def _matrices(weights: Any, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return name → checked matrix; a matrix that came alone has the empty name."""
    if isinstance(weights, Mapping):
        if not weights:
            raise ValueError("attention_view: weights: expected at least one matrix, got an empty mapping")
        return {str(name): _matrix(f"weights[{name!r}]", matrix, shape) for name, matrix in weights.items()}
    return {"": _matrix("weights", weights, shape)}


def _matrix(name: str, weights: Any, shape: tuple[int, int]) -> np.ndarray:
    """Return weights as an array with six digits after the point, the same on every machine."""
    array = as_array(weights, "attention_view")
    if array.shape != shape:
        raise ValueError(
            f"attention_view: {name}: expected shape {shape}, a row for each target token and a column for each "
            f"source token, got {array.shape}"
        )
    if not np.isfinite(array).all() or array.min() < 0:
        raise ValueError(f"attention_view: {name}: expected finite weights of 0 or more, got {_first_bad(array)}")
    sums = array.sum(axis=1)
    wrong = (np.abs(sums - 1) > TOLERANCE) & (sums != 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"attention_view: {name}: expected every row to sum to 1 or to 0, got {sums[row]:g} in row {row}"
        )
    return np.round(array, 6).clip(max=1)


def _first_bad(array: np.ndarray) -> str:
    row, column = (int(place) for place in np.argwhere(~np.isfinite(array) | (array < 0))[0])
    return f"{array[row, column]:g} in row {row}, column {column}"


def _still(words: Mapping[str, list[str]], matrices: Mapping[str, np.ndarray], sides: tuple[str, str]) -> str:
    """Draw the matrices as heat maps, one below the other; in two columns where they are narrow or without numbers."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    source, target = words["source"], words["target"]
    drawn = list(matrices.items())
    if len(drawn) > MOST_MATRICES:
        drawn = [(f"{drawn[0][0]} (the first of {len(drawn)})", drawn[0][1])]
    written = len(source) <= MOST_WRITTEN
    columns = 1 if NARROW < len(source) <= MOST_WRITTEN else min(2, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    width = min((1.8 + 0.6 * len(source)) * columns, 6.6)
    height = 1.3 + (0.36 if written or columns == 1 else 0.18) * len(target)
    with mpl.rc_context(course_style()):
        canvas = Figure(figsize=(width, height * rows), layout="constrained")
        grid: Any = canvas.subplots(rows, columns, squeeze=False)
        for empty in grid.flat[len(drawn) :]:
            empty.remove()
        for axes, (_, matrix) in zip(canvas.axes, drawn, strict=True):
            attention_heatmap(matrix, target, source, ax=axes, at_least=0 if written else math.inf)
        _name_axes(canvas.axes, [name for name, _ in drawn], sides, columns)
        if not written:
            _read_by_colour(canvas)
        file = io.StringIO()
        canvas.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _name_axes(grid: Sequence[Any], names: Sequence[str], sides: tuple[str, str], columns: int) -> None:
    """Write the names of the matrices and of the sides; the target's words stand in the first column only."""
    for place, (axes, name) in enumerate(zip(grid, names, strict=True)):
        axes.xaxis.set_label_position("top")
        axes.set(title=name, xlabel=sides[0])
        if place % columns == 0:
            axes.set_ylabel(sides[1])
        else:
            axes.set_yticklabels([])


def _read_by_colour(canvas: Any) -> None:
    """Add the scale that stands in for the numbers, and turn the words, which are longer than a column is wide."""
    for axes in canvas.axes:
        axes.set_xticks(axes.get_xticks(), axes.get_xticklabels(), rotation=90, ha="center", rotation_mode="default")
    bar = canvas.colorbar(canvas.axes[0].collections[0], ax=canvas.axes, label="weight", ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
