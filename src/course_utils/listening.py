"""Sound on the page: players, and the figure in which a reader moves attention from one voice to another.

Sounds travel inside the page, as 16-bit WAV in data URIs, so that it needs neither a server nor a network. Shapes:
`N` samples, `K` filters set on a voice each, `V` voices. `book/_static/course.js` brings the figure to life.
"""

from __future__ import annotations

import base64
import html
import io
import wave
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from course_utils.interactive import Html, figure

__all__ = ["listening_figure", "sound_players", "wav"]

PEAK = 0.9  # of what 16 bits can hold


def wav(signal: Any, rate: int) -> bytes:
    """Write a signal as a WAV file with 16 bits a sample.

    Args:
        signal: shape (N,), or (2, N) for the left and the right ear; values from −1 to 1.
        rate: samples a second.

    Raises:
        ValueError: another shape, or a value that is not finite or lies beyond ±1.
    """
    samples = _signal("wav", signal)
    if np.abs(samples).max() > 1:
        raise ValueError(f"wav: values need to lie from -1 to 1, got up to {np.abs(samples).max():.3g}")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(samples.ndim)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        # Of two ears, the samples alternate.
        writer.writeframes(np.round(samples.T * 32767).astype("<i2").tobytes())
    return file.getvalue()


def sound_players(sounds: Mapping[str, Any], rate: int) -> Html:
    """Return a player for each sound, all at the same scale: what is louder sounds louder.

    Args:
        sounds: label → signal of shape (N,) or (2, N).
        rate: samples a second.

    Raises:
        ValueError: there is no sound, all are silent, or one is not a signal.
    """
    signals = {label: _signal("sound_players", signal) for label, signal in sounds.items()}
    scale = _scale("sound_players", list(signals.values()))
    players = "".join(_player(label, wav(signal * scale, rate)) for label, signal in signals.items())
    return Html(f'<div class="sounds">{players}</div>', f"Sounds: {', '.join(signals)}.")


def listening_figure(parts: Mapping[str, Any], rate: int, voices: Sequence[str], fallback_alt: str) -> Html:
    """Return the figure in which a reader moves attention between two voices while the sound plays on.

    A filter may be set on either voice. Set on voice k, it lets through a part of each voice; what one hears is the sum
    of these. The figure plays g₀ times what the filter on voice 0 lets through plus g₁ times what the one on voice 1
    does, with gains in [0, 1] that the reader chooses.

    Args:
        parts: name of a filter → array of shape (K, V, N) with K = V = 2: what the filter on voice k lets through of
            voice v.
        rate: samples a second.
        voices: two names, such as read well after "the".
        fallback_alt: what the figure shows, in words.

    Raises:
        ValueError: the shapes do not fit, a number is not finite, a voice is silent, or `fallback_alt` is empty.
    """
    if not fallback_alt.strip():
        raise ValueError("listening_figure: fallback_alt is empty; say in words what the figure does")
    arrays = {name: np.asarray(array, dtype=np.float64) for name, array in parts.items()}
    shapes = {array.shape[:2] if array.ndim == 3 else array.shape for array in arrays.values()}
    if shapes != {(2, 2)} or len(voices) != 2 or len({array.shape for array in arrays.values()}) != 1:
        raise ValueError(
            f"listening_figure: expected two voices and for each filter an array (2, 2, N), "
            f"got {len(voices)} voices and {[array.shape for array in arrays.values()]}"
        )
    heard = {name: array.sum(axis=1) for name, array in arrays.items()}  # (K, N)
    # Alone and together: the sum must fit as well.
    scale = _scale("listening_figure", [*heard.values(), *(signals.sum(axis=0) for signals in heard.values())])
    data = {"voices": list(voices), "filters": [{"name": name, **_energies(array)} for name, array in arrays.items()]}
    players = "".join(
        _player(f"{name} filter on the {voice}", wav(signal * scale, rate))
        for name, signals in heard.items()
        for voice, signal in zip(voices, signals, strict=True)
    )
    still = f'{_table(data)}<div class="sounds">{players}</div>'
    return figure("listening-figure", data, still, fallback_alt)


def _signal(name: str, signal: Any) -> np.ndarray:
    samples = np.asarray(signal, dtype=np.float64)
    if samples.size == 0 or samples.ndim not in (1, 2) or (samples.ndim == 2 and len(samples) != 2):
        raise ValueError(f"{name}: expected a signal of shape (N,) or (2, N), got {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return samples


def _scale(name: str, signals: Sequence[np.ndarray]) -> float:
    loudest = max((float(np.abs(signal).max()) for signal in signals), default=0.0)
    if not 0 < loudest < np.inf:
        raise ValueError(f"{name}: expected sounds, finite and not all silent, got a peak of {loudest}")
    return PEAK / loudest


def _energies(parts: np.ndarray) -> dict[str, Any]:
    """The energy of each voice, and ``through[v][k][l]``: with gains g, Σ g_k g_l through[v][k][l] of it is heard."""
    whole = np.square(parts.sum(axis=0)).sum(axis=-1)
    if not whole.all():
        raise ValueError("listening_figure: expected two voices, got silence from one")
    through = np.einsum("kvn, lvn -> vkl", parts, parts) / whole[:, None, None]
    # Ten digits say more than an ear hears, and are the same on every machine.
    return {"energy": _rounded(whole), "through": _rounded(through)}


def _rounded(array: np.ndarray) -> Any:
    return [_rounded(part) for part in array] if array.ndim else float(f"{array:.10g}")


def _table(data: Mapping[str, Any]) -> str:
    """What each filter lets through, as a table: for print, and for browsers without JavaScript."""
    voices = data["voices"]
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in ["filter", *(f"of the {v}" for v in voices)])
    rows = "".join(
        f'<tr><th scope="row">{html.escape(each["name"])}, on the {html.escape(voice)}</th>'
        + "".join(f"<td>{100 * of[k][k]:.1f} %</td>" for of in each["through"])
        + "</tr>"
        for each in data["filters"]
        for k, voice in enumerate(voices)
    )
    return f"<table><caption>Energy let through</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _player(label: str, content: bytes) -> str:
    name = html.escape(label)
    uri = f"data:audio/wav;base64,{base64.b64encode(content).decode()}"
    return (
        f'<div class="sound"><span>{name}</span>'
        f'<audio controls preload="none" aria-label="{name}" src="{uri}"></audio></div>'
    )
