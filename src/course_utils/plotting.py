"""One colour system for the page and for Matplotlib, and the two figures of attention that every chapter draws.

The functions take NumPy arrays, nested lists or torch tensors; nothing here imports torch or other modules of the
course. Letters: `Q` queries, `K` keys.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap

__all__ = ["FONTS", "PALETTE", "attention_heatmap", "course_style", "sequential_cmap", "use_style", "weight_bars"]

#: Name → colour in the light theme. `book/_static/course.css` holds the same names (`--c-ink`, …) with these values
#: and with a second set for the dark theme; a test compares them. Each colour is used once, so that the book can find
#: it in a figure and put the variable in its place. `blue`, `orange`, `green` and `purple` tell categories apart, also
#: for colour-blind readers. `seq-0` … `seq-11` is the map for weights, of even steps in lightness; `seq-ink-low` and
#: `seq-ink-high` are the inks for text on its lower and upper part.
PALETTE: dict[str, str] = {
    "paper": "#fcfcfa",
    "ink": "#1d2433",
    "muted": "#596273",
    "grid": "#dcdfe4",
    "blue": "#1a3f94",
    "orange": "#8a4800",
    "green": "#007f5f",
    "purple": "#9c4cb1",
    "seq-0": "#f1f4f8",
    "seq-1": "#d5e1f0",
    "seq-2": "#bacfe7",
    "seq-3": "#9ebdde",
    "seq-4": "#83aad4",
    "seq-5": "#6898cb",
    "seq-6": "#5387bd",
    "seq-7": "#4677ac",
    "seq-8": "#38679c",
    "seq-9": "#2c588b",
    "seq-10": "#1f497b",
    "seq-11": "#123a6b",
    "seq-ink-low": "#0b0e14",
    "seq-ink-high": "#fefefe",
}

#: The step of the sequential map from which text needs the other ink, in both themes.
INK_SWITCH = 7

CATEGORIES = ("blue", "orange", "green", "purple")
#: The folder of the fonts that figures are drawn with.
FONTS = Path(__file__).parent / "fonts"


def use_style() -> None:
    """Draw in the course's colours and fonts from here on.

    Registers Inter and Course Hangul from the package, sets Matplotlib's defaults, and inside IPython asks for SVG
    figures. The same data always gives the same bytes.
    """
    import matplotlib as mpl

    mpl.rcParams.update(course_style())
    _prefer_svg_in_ipython()


def course_style() -> dict[str, Any]:
    """Register the course's fonts and return its settings, for `matplotlib.rc_context`."""
    from cycler import cycler
    from matplotlib import font_manager

    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(FONTS.glob("*.ttf")):
        if str(path) not in known:
            font_manager.fontManager.addfont(path)
    ink, muted = PALETTE["ink"], PALETTE["muted"]
    colours: dict[str, Any] = dict.fromkeys(["text.color", "axes.labelcolor", "axes.titlecolor"], ink)
    colours |= dict.fromkeys(["axes.edgecolor", "xtick.color", "ytick.color"], muted)
    # The page shows through a figure, so that it needs no background of its own in either theme.
    colours |= dict.fromkeys(["figure.facecolor", "axes.facecolor", "savefig.facecolor"], "none")
    return colours | {
        "axes.prop_cycle": cycler(color=[PALETTE[name] for name in CATEGORIES]),
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "axes.titlelocation": "left",
        "figure.figsize": (5.6, 3.5),
        "figure.constrained_layout.use": True,
        # A glyph that Inter lacks (Greek, arrows) is taken from DejaVu Sans, Korean from Course Hangul.
        "font.family": ["Inter", "DejaVu Sans", "Course Hangul"],
        "font.size": 10.5,
        "grid.color": PALETTE["grid"],
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "lines.linewidth": 2.0,
        "mathtext.fontset": "stix",
        "svg.fonttype": "path",
        # Ids in an SVG are random unless salted.
        "svg.hashsalt": "attention-course",
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
    }


def _prefer_svg_in_ipython() -> None:
    """Make notebooks show SVG without a date in it; outside IPython do nothing."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("svg", metadata={"Date": None})


def sequential_cmap() -> ListedColormap:
    """Return the map for weights: twelve even steps, from the page's tone (0) to deep blue (1)."""
    from matplotlib.colors import ListedColormap

    return ListedColormap([PALETTE[f"seq-{step}"] for step in range(12)], name="course")


def attention_heatmap(
    weights: Any,
    queries: Sequence[str],
    keys: Sequence[str],
    *,
    ax: Axes | None = None,
    annotate: bool = True,
    at_least: float = 0.0,
) -> Axes:
    """Draw attention weights as a table of cells: a row per query from the top, a column per key.

    Args:
        weights: array or tensor of shape (Q, K), each between 0 and 1.
        queries: Q labels, for the rows.
        keys: K labels, for the columns.
        ax: axes to draw on; a new figure of fitting size without it.
        annotate: write each weight, to two digits, in its cell; a colour bar stands beside the cells without it.
        at_least: the smallest weight that is written.

    Returns:
        The axes.

    Raises:
        ValueError: the shape does not fit the labels, or a value is not a finite number between 0 and 1.
    """
    array = as_array(weights, "attention_heatmap")
    if array.shape != (len(queries), len(keys)):
        raise ValueError(
            f"attention_heatmap: weights has shape {array.shape}, "
            f"but there are {len(queries)} queries and {len(keys)} keys"
        )
    _require_weights(array, "attention_heatmap")
    if ax is None:
        ax = _new_axes(1.3 + 0.58 * len(keys), 0.8 + 0.42 * len(queries))
    mesh = ax.pcolormesh(array, cmap=sequential_cmap(), vmin=0, vmax=1, edgecolors="none")
    _label_cells(ax, queries, keys)
    if annotate:
        _annotate_cells(ax, array, at_least)
    else:
        bar = ax.figure.colorbar(mesh, ax=ax, label="weight", ticks=[0, 0.5, 1])
        bar.outline.set_visible(False)
    return ax


def weight_bars(weights: Any, labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Draw weights as horizontal bars, the first on top, each with its label and its value.

    Args:
        weights: array or tensor of shape (K,), each between 0 and 1.
        labels: K labels.
        ax: axes to draw on; a new figure of fitting size without it.

    Returns:
        The axes.

    Raises:
        ValueError: the shape does not fit the labels, or a value is not a finite number between 0 and 1.
    """
    array = as_array(weights, "weight_bars")
    if array.shape != (len(labels),):
        raise ValueError(f"weight_bars: weights has shape {array.shape}, but there are {len(labels)} labels")
    _require_weights(array, "weight_bars")
    if ax is None:
        ax = _new_axes(4.6, 0.35 + 0.36 * len(labels))
    places = np.arange(len(labels))
    ax.barh(places, array, height=0.62, color=PALETTE["blue"])
    for place, value in zip(places, array, strict=True):
        ax.annotate(f"{value:.2f}", (value, place), (4, 0), textcoords="offset points", va="center")
    ax.set_yticks(places, labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_xlim(0, 1.18 * max(array.max(), 1e-9))
    # The values stand at the bars: an axis would say them again.
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(length=0)
    ax.grid(False)
    return ax


def as_array(values: Any, function: str) -> np.ndarray:
    """Return the values as a float64 array; a tensor is taken off its graph and its device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double()
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{function}: weights must be numbers in an array without gaps: {error}") from None


def _require_weights(array: np.ndarray, function: str) -> None:
    """Raise unless there are values, all finite and between 0 and 1 (a rounding error is forgiven)."""
    if array.size == 0:
        raise ValueError(f"{function}: expected at least one weight, got shape {array.shape}")
    bad = ~np.isfinite(array) | (array < -1e-6) | (array > 1 + 1e-6)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{function}: weights must lie between 0 and 1, but weights{list(place)} is {array[place]:g}")


def _new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure, kept between sizes that a page and a phone can show (inches)."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(min(max(width, 2.6), 6.6), min(max(height, 1.2), 6.6)))[1]


def _label_cells(ax: Axes, queries: Sequence[str], keys: Sequence[str]) -> None:
    """Name rows and columns at the middle of their cells, the first row on top."""
    ax.set_yticks(np.arange(len(queries)) + 0.5, queries)
    crowded = max(map(len, keys)) * len(keys) > 40
    slant: dict[str, Any] = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"} if crowded else {}
    ax.set_xticks(np.arange(len(keys)) + 0.5, keys, **slant)
    ax.invert_yaxis()
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _annotate_cells(ax: Axes, array: np.ndarray, at_least: float) -> None:
    """Write each such weight in its cell, in the ink that is readable on its step of the map in both themes."""
    for (row, column), value in np.ndenumerate(array):
        if value < at_least:
            continue
        ink = "seq-ink-low" if value * 12 < INK_SWITCH else "seq-ink-high"
        ax.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", color=PALETTE[ink], size="small")
