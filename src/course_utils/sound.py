"""Sound as numbers: synthetic voices, the short-time Fourier transform, and masks that select one voice of several.

Shapes: `N` samples of a signal, `F` frequencies, `T` frames in time, `S` sources. Signals are real arrays (N,), with
`RATE` samples a second unless said otherwise; a spectrogram is a complex array (F, T). Everything is NumPy, and
nothing is random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "HIGH_VOICE",
    "LOW_VOICE",
    "RATE",
    "Voice",
    "binary_masks",
    "energy",
    "hann",
    "istft",
    "ratio_db",
    "ratio_masks",
    "snr_db",
    "speak",
    "stft",
]

#: Samples a second: that of a telephone, so that frequencies up to 4,000 Hz can be told apart.
RATE = 8000


# --- voices -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Voice:
    """How a synthetic voice sounds. It says syllables, not words.

    Attributes:
        pitch: its fundamental frequency, in Hz.
        melody: how far each syllable lies above `pitch`, in semitones; over and over.
        syllable: how long a syllable lasts, in seconds.
        pause: the silence after each, in seconds.
        vowels: for each syllable the resonances of the mouth, in Hz; over and over.
    """

    pitch: float
    melody: tuple[float, ...]
    syllable: float
    pause: float
    vowels: tuple[tuple[float, ...], ...]


#: A low voice.
LOW_VOICE = Voice(
    pitch=112,
    melody=(0, 3, 1, -2, 2, -1, -4),
    syllable=0.3,
    pause=0.07,
    vowels=((700, 1150, 2500), (320, 2000, 2600), (420, 850, 2400)),
)
#: A high voice, to be told from the low one.
HIGH_VOICE = Voice(
    pitch=215,
    melody=(4, 0, -2, 3, 5),
    syllable=0.17,
    pause=0.05,
    vowels=((850, 1500, 2900), (380, 2500, 3100), (600, 1900, 2800), (480, 1050, 2700)),
)


def speak(voice: Voice, seconds: float, *, rate: int = RATE) -> np.ndarray:
    """Let a voice say as many whole syllables as there is time for.

    A syllable is a sum of harmonics, the multiples of a pitch that falls a little, each as loud as the resonances
    let it be. The mean square of the result is 1, so that all voices are equally loud.

    Args:
        voice: who speaks.
        seconds: for how long.
        rate: samples a second.

    Returns:
        The signal, shape (N,) with N = `seconds` · `rate`.

    Raises:
        ValueError: there is no time for a syllable.
    """
    count, length = round(seconds * rate), round(voice.syllable * rate)
    if count < length:
        raise ValueError(f"speak: seconds needs to be at least {voice.syllable}, one syllable, got {seconds}")
    signal = np.zeros(count)
    starts = range(0, count - length + 1, round((voice.syllable + voice.pause) * rate))
    for number, start in enumerate(starts):
        pitch = voice.pitch * 2 ** (voice.melody[number % len(voice.melody)] / 12)
        vowel = voice.vowels[number % len(voice.vowels)]
        signal[start : start + length] = _syllable(pitch, vowel, length, rate)
    return signal / math.sqrt(energy(signal) / count)


def _syllable(pitch: float, vowel: tuple[float, ...], length: int, rate: int) -> np.ndarray:
    share = np.arange(length) / length  # of the syllable that is over
    seconds = share * length / rate
    cycles = pitch * seconds * (1 - 0.05 * share)  # its derivative, the pitch, falls by a tenth
    harmonics = np.arange(1, int(0.45 * rate / pitch) + 1)[:, None]
    loudness = _resonance(harmonics * pitch, vowel) / harmonics
    return np.sin(np.pi * share) * (loudness * np.sin(2 * np.pi * harmonics * cycles)).sum(axis=0)


def _resonance(frequency: np.ndarray, vowel: tuple[float, ...], width: float = 90.0) -> np.ndarray:
    return 0.02 + sum(1 / (1 + ((frequency - peak) / width) ** 2) for peak in vowel)


# --- the short-time Fourier transform ---------------------------------------------------------------------------


def hann(frame: int) -> np.ndarray:
    """The Hann window ½ − ½ cos(2πn / frame), which fades a frame in and out; shape (frame,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)


def stft(signal: Any, *, frame: int = 512, hop: int = 128) -> np.ndarray:
    """Cut a signal into overlapping frames, and take each apart into frequencies.

    Frame t begins at sample t · `hop` − (`frame` − `hop`), so that every sample lies in `frame` / `hop` frames; beyond
    its ends the signal is silent. Frequency f is f · rate / `frame` Hz.

    Args:
        signal: shape (N,), real.
        frame: samples in a frame, even.
        hop: samples from one frame to the next; divides `frame`, and is at most half of it.

    Returns:
        The spectrogram, complex, shape (F, T) with F = `frame` / 2 + 1 and T = (N − 1) // `hop` + `frame` / `hop`.

    Raises:
        ValueError: the signal is not a real array (N,) with N ≥ 1, or `frame` and `hop` do not fit.
    """
    samples = np.asarray(signal)
    if (
        samples.ndim != 1
        or samples.size == 0
        or not np.issubdtype(samples.dtype, np.number)
        or np.iscomplexobj(samples)
    ):
        raise ValueError(f"stft: signal needs shape (N,), real, got {samples.shape}, {samples.dtype}")
    _require_frames("stft", frame, hop)
    count = (len(samples) - 1) // hop + frame // hop
    padded = np.zeros((count - 1) * hop + frame)
    padded[frame - hop : frame - hop + len(samples)] = samples
    frames = padded[hop * np.arange(count)[:, None] + np.arange(frame)]
    return np.fft.rfft(frames * hann(frame), axis=1).T


def istft(spectrogram: Any, length: int, *, hop: int = 128) -> np.ndarray:
    """Put a signal together from its spectrogram: the inverse of `stft`, exact up to rounding.

    Each frame is turned back into samples, windowed once more and added where it came from; then each sample is
    divided by the sum of the squared windows there. For a spectrogram that was changed, and may belong to no signal at
    all, this is the signal whose spectrogram comes closest to it: Griffin & Lim (1984), Equation 6.

    Args:
        spectrogram: shape (F, T).
        length: N, the number of samples.
        hop: as given to `stft`.

    Returns:
        The signal, shape (N,).

    Raises:
        ValueError: the shape is not that of a spectrogram of `length` samples.
    """
    columns = np.asarray(spectrogram)
    if columns.ndim != 2 or columns.shape[0] < 2:
        raise ValueError(f"istft: spectrogram needs shape (F, T), got {columns.shape}")
    frame = 2 * (columns.shape[0] - 1)
    _require_frames("istft", frame, hop)
    count = (length - 1) // hop + frame // hop
    if length < 1 or columns.shape[1] != count:
        raise ValueError(f"istft: {length} samples have {count} frames at hop {hop}, got {columns.shape[1]}")
    window = hann(frame)
    total, weight = np.zeros((2, (count - 1) * hop + frame))
    for start, samples in zip(hop * np.arange(count), np.fft.irfft(columns.T, n=frame, axis=1), strict=True):
        total[start : start + frame] += window * samples
        weight[start : start + frame] += window**2
    inside = slice(frame - hop, frame - hop + length)
    return total[inside] / weight[inside]


def _require_frames(name: str, frame: int, hop: int) -> None:
    if frame < 2 or frame % 2 or hop < 1 or frame % hop or 2 * hop > frame:
        raise ValueError(
            f"{name}: expected an even frame, and a hop that goes into it twice or more, got {frame} and {hop}"
        )


# --- masks ------------------------------------------------------------------------------------------------------


def binary_masks(spectrograms: Any) -> np.ndarray:
    """For each source the cells in which it is the loudest of all: hard selection (the *ideal binary mask*).

    "Ideal" because it needs the sources one by one, which a listener does not have.

    Args:
        spectrograms: of the sources, shape (S, F, T).

    Returns:
        Boolean, shape (S, F, T), True = let through. Every cell is True for one source: of several that are equally
        loud, the first.

    Raises:
        ValueError: the shape has not three dimensions.
    """
    magnitude = _magnitude("binary_masks", spectrograms)
    return magnitude.argmax(axis=0) == np.arange(len(magnitude))[:, None, None]


def ratio_masks(spectrograms: Any, *, exponent: float = 2.0) -> np.ndarray:
    """For each source its share of each cell: soft selection (the *ideal ratio mask*).

    Args:
        spectrograms: of the sources, shape (S, F, T).
        exponent: shares are those of magnitude ** exponent. 2 shares out the energy; 0 gives all the same; the larger
            it is, the nearer to `binary_masks`.

    Returns:
        Weights in [0, 1] that sum to 1 over the sources, shape (S, F, T). Where all sources are silent: 1 / S.

    Raises:
        ValueError: the shape has not three dimensions, or the exponent is negative or not finite.
    """
    magnitude = _magnitude("ratio_masks", spectrograms)
    if not 0 <= exponent < math.inf:
        raise ValueError(f"ratio_masks: exponent needs to be a finite number of at least 0, got {exponent}")
    loudest = np.broadcast_to(magnitude.max(axis=0), magnitude.shape)
    # Relative to the loudest, so that no power can overflow; in silence all are equal.
    relative = np.divide(magnitude, loudest, out=np.ones_like(magnitude), where=loudest > 0)
    shares = relative**exponent
    return shares / shares.sum(axis=0)


def _magnitude(name: str, spectrograms: Any) -> np.ndarray:
    array = np.asarray(spectrograms)
    if array.ndim != 3 or len(array) == 0:
        raise ValueError(f"{name}: spectrograms needs shape (S, F, T), got {array.shape}")
    return np.abs(array).astype(np.float64)


# --- how much gets through --------------------------------------------------------------------------------------


def energy(signal: Any) -> float:
    """The sum of the squared magnitudes, of a signal or a spectrogram of any shape."""
    return float(np.square(np.abs(signal)).sum())


def ratio_db(signal: Any, rest: Any) -> float:
    """How many decibels the energy of one signal lies above that of another: 10 · log₁₀ of their ratio.

    Args:
        signal: any shape.
        rest: any shape.

    Returns:
        0 for equal energies, 10 for ten times the energy; ±inf where one of the two is silent.

    Raises:
        ValueError: both are silent.
    """
    above, below = energy(signal), energy(rest)
    if above == 0 == below:
        raise ValueError("ratio_db: expected a sound in at least one of the two, got silence in both")
    if above == 0 or below == 0:
        return math.inf if below == 0 else -math.inf
    return 10 * math.log10(above / below)


def snr_db(reference: Any, estimate: Any) -> float:
    """Signal-to-noise ratio of an estimate in decibels, where the noise is whatever differs from the reference.

    Args:
        reference: the clean signal.
        estimate: of the same shape.

    Returns:
        `ratio_db` of the reference and the difference; inf if there is none.

    Raises:
        ValueError: the shapes differ, or the reference is silent.
    """
    clean, guess = np.asarray(reference), np.asarray(estimate)
    if clean.shape != guess.shape:
        raise ValueError(f"snr_db: estimate needs shape {clean.shape}, as the reference, got {guess.shape}")
    if energy(clean) == 0:
        raise ValueError("snr_db: reference is silent")
    return ratio_db(clean, guess - clean)
