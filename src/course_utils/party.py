"""Forty voices and one listener: the figure of the book's first page, in which a reader moves what is listened for.

The listener's place is the query, the guests' places are the keys, what they say are the values. Letters: `K` voices.
`book/_static/course.js` brings the figure to life.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from course_utils.interactive import Html, figure
from course_utils.plotting import as_array

__all__ = ["loudest", "party_figure"]

TOLERANCE = 1e-4  # of the sum of the weights


def party_figure(
    words: Sequence[str], places: Any, listener: Any, weights: Any, temperature: float, fallback_alt: str
) -> Html:
    """Return the figure in which a reader walks through a room of voices, and turns the temperature.

    A voice is as large as its weight, the softmax of −distance² / temperature.

    Args:
        words: K words, what each voice says.
        places: shape (K, 2), where each stands.
        listener: shape (2,), where the listener begins.
        weights: shape (K,), those of the beginning; the script computes the others.
        temperature: that of the beginning, from 0.05 to 100.
        fallback_alt: what the figure shows, in words.

    Raises:
        ValueError: the shapes do not fit, a number is not finite, the weights do not sum to 1, the temperature is
            outside its range, or `fallback_alt` is empty.
    """
    if not fallback_alt.strip():
        raise ValueError("party_figure: fallback_alt is empty; say in words what the figure does")
    keys, query, shares = (as_array(part, "party_figure") for part in (places, listener, weights))
    count, shapes = len(words), (keys.shape, query.shape, shares.shape)
    if count == 0 or shapes != ((count, 2), (2,), (count,)):
        raise ValueError(
            f"party_figure: expected shapes (K, 2), (2,) and (K,) of places, listener and weights for K = {count} "
            f"words, got {shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    if not all(np.isfinite(part).all() for part in (keys, query, shares)):
        raise ValueError("party_figure: places, listener and weights must be finite numbers")
    if shares.min() < 0 or abs(shares.sum() - 1) > TOLERANCE:
        raise ValueError(f"party_figure: weights: expected a sum of 1, none below 0, got {shares.sum():g}")
    if not 0.05 <= temperature <= 100:
        raise ValueError(f"party_figure: temperature: expected a number from 0.05 to 100, got {temperature}")
    data = {
        "words": list(words),
        "places": np.round(keys, 4).tolist(),
        "listener": np.round(query, 4).tolist(),
        "temperature": temperature,
    }
    return figure("voice-party", data, _still(list(words), keys, shares), fallback_alt)


def loudest(words: Sequence[str], weights: Any, count: int = 3) -> str:
    """Say what one hears: the `count` loudest words with their shares, and the share of all others together."""
    shares = as_array(weights, "loudest")
    top = np.argsort(-shares, kind="stable")[:count]
    parts = [f"{words[i]} {100 * shares[i]:.0f} %" for i in top]
    rest = len(words) - len(parts)
    return " · ".join([*parts, f"{rest} others {100 * (1 - shares[top].sum()):.0f} %"] if rest else parts)


def _still(words: list[str], keys: np.ndarray, shares: np.ndarray) -> str:
    """Set the words where their voices stand, as large as they are heard at the beginning."""
    low, high = keys.min(axis=0) - 0.5, keys.max(axis=0) + 0.5
    spots = 100 * (keys - low) / (high - low)
    voices = "".join(
        f'<span class="voice" style="--x:{x:.2f};--y:{y:.2f};--w:{share:.4f}">{html.escape(word)}</span>'
        for word, (x, y), share in zip(words, spots, shares, strict=True)
    )
    return f'<div class="room">{voices}</div><p class="heard">You hear: {html.escape(loudest(words, shares))}</p>'
