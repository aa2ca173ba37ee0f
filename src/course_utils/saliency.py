"""Where to look first: the saliency map, the fovea, and displays to search.

A saliency map gives each place of an image one number: how much it stands out from what surrounds it. Nothing is
learned. Only NumPy is used. Everything follows Itti, Koch & Niebur (1998), "A model of saliency-based visual
attention for rapid scene analysis", unless a docstring says otherwise.

Shapes: ``H`` rows, ``W`` columns. Images are ``[H, W]`` or, in red, green and blue, ``[H, W, 3]``; values lie in
[0, 1]. Places are ``(row, column)``, row 0 on top. Level σ of a pyramid has every 2^σ-th row and column of the
image, beginning with the first: its pixel ``(i, j)`` stands at ``(2^σ·i, 2^σ·j)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

ANGLES = (0, 45, 90, 135)
#: Of the Gabor filters, in radians per pixel: a period of four pixels.
FREQUENCY = np.pi / 2
#: A local maximum counts as a peak from this share of the highest one.
PEAK_FLOOR = 0.1

Kind = Literal["colour", "orientation", "conjunction"]


# --- Pyramids and differences across them -----------------------------------------------------------------------


def gaussian_pyramid(image: Array, levels: int) -> list[Array]:
    """Blur and halve an image again and again.

    Burt & Adelson (1983): each level is the one before it, convolved with a kernel of 5 × 5 weights, of which every
    second row and column is kept. Beyond its border an image is continued by its mirror image.

    Args:
        image: ``[H, W]`` or ``[H, W, channels]``.
        levels: how many, the image itself included.

    Returns:
        ``levels`` arrays; level σ has ``⌈H/2^σ⌉`` rows and ``⌈W/2^σ⌉`` columns.

    Raises:
        ValueError: the image has other dimensions or no pixel, is not finite, or ``levels`` is less than 1.
    """
    _require_image("gaussian_pyramid", image, (2, 3))
    if levels < 1:
        raise ValueError(f"gaussian_pyramid: levels needs to be at least 1, got {levels}")
    pyramid = [np.array(image, dtype=np.float64)]
    while len(pyramid) < levels:
        pyramid.append(_blur(pyramid[-1], step=2))
    return pyramid


def centre_surround(pyramid: Sequence[Array], centre: int, delta: int, *, rectify: bool = False) -> Array:
    """Compare each place with its surroundings: a fine level of a pyramid minus a coarse one.

    Their c is ``centre``, their s is ``centre + delta``, their ⊖ is the difference after the coarse level has been
    interpolated, here linearly, to the size of the fine one. The paper takes the absolute value everywhere.

    Args:
        pyramid: levels ``[H, W]``, as from :func:`gaussian_pyramid`.
        centre: the fine level.
        delta: how many levels coarser the surround is, at least 1.
        rectify: keep only where the centre exceeds its surround, with 0 elsewhere, instead of the absolute value.

    Returns:
        Not negative, of the shape of level ``centre``.

    Raises:
        ValueError: the levels do not exist, or are not ``[H, W]``.
    """
    if not (delta >= 1 and 0 <= centre <= centre + delta < len(pyramid)):
        raise ValueError(
            f"centre_surround: expected levels from 0 to {len(pyramid) - 1}, the surround above the centre, "
            f"got centre {centre} and surround {centre + delta}"
        )
    fine, coarse = pyramid[centre], pyramid[centre + delta]
    _require_image("centre_surround", fine, (2,))
    _require_image("centre_surround", coarse, (2,))
    difference = fine - _enlarge(coarse, fine.shape, 2**delta)
    return np.maximum(difference, 0) if rectify else np.abs(difference)


# --- Features ---------------------------------------------------------------------------------------------------


def colour_opponents(image: Array) -> dict[str, Array]:
    """How much redder than green, greener than red, bluer than yellow, yellower than blue each pixel is.

    With r, g, b divided by the intensity: R = r − (g + b)/2, G = g − (r + b)/2, B = b − (r + g)/2 and
    ``Y = (r + g)/2 − |r − g|/2 − b``, negative values set to 0. Brightness has no influence, but for pixels darker than
    a tenth of the brightest: they count as black, since hue is not seen in the dark.

    Args:
        image: ``[H, W, 3]``.

    Returns:
        ``red`` = R − G, ``green`` = G − R, ``blue`` = B − Y and ``yellow`` = Y − B where these are positive, else 0;
        each ``[H, W]``, in [0, 3]. The paper keeps R − G and B − Y as one signed channel each.

    Raises:
        ValueError: the shape is another, or a value does not lie in [0, 1].
    """
    _require_colour("colour_opponents", image)
    intensity = _intensity(image)
    bright = intensity > intensity.max() / 10
    scale = bright / np.where(bright, intensity, 1)
    r, g, b = (image[..., k] * scale for k in range(3))
    red, green, blue = r - (g + b) / 2, g - (r + b) / 2, b - (r + g) / 2
    yellow = (r + g) / 2 - np.abs(r - g) / 2 - b
    red, green, blue, yellow = (np.maximum(channel, 0) for channel in (red, green, blue, yellow))
    pairs = {"red": red - green, "green": green - red, "blue": blue - yellow, "yellow": yellow - blue}
    return {name: np.maximum(difference, 0) for name, difference in pairs.items()}


def oriented_energy(image: Array, angle: float) -> Array:
    """How strongly lines of one orientation are present at each place, whether light or dark, edge or bar.

    The magnitude of a complex Gabor filter with a period of four pixels, after the mean of the surroundings has been
    taken away. It is computed as by Greenspan et al. (1994): multiply by a complex wave, then blur.

    Args:
        image: ``[H, W]``, for instance a level of a pyramid.
        angle: of the lines, in degrees counter-clockwise: 0 is horizontal, 90 vertical, 45 rises to the right.

    Returns:
        Not negative, ``[H, W]``.

    Raises:
        ValueError: the image is not ``[H, W]`` or not finite.
    """
    _require_image("oriented_energy", image, (2,))
    detail = image - _blur(image)
    row, column = np.indices(detail.shape)
    across = np.sin(np.deg2rad(angle)) * column + np.cos(np.deg2rad(angle)) * row
    return np.abs(_blur(_blur(detail * np.exp(-1j * FREQUENCY * across))))


# --- From features to one map -----------------------------------------------------------------------------------


def rescale(feature_map: Array) -> Array:
    """Stretch a map so that it goes from 0 to 1; a flat one becomes 0 everywhere.

    Args:
        feature_map: ``[H, W]``.

    Returns:
        ``[H, W]``, in [0, 1].

    Raises:
        ValueError: the map is not ``[H, W]`` or not finite.
    """
    _require_image("rescale", feature_map, (2,))
    low, high = float(feature_map.min()), float(feature_map.max())
    # What rounding leaves of a flat map is not a feature.
    if high - low <= 1e-9 * max(1.0, abs(low), abs(high)):
        return np.zeros(feature_map.shape)
    return (feature_map - low) / (high - low)


def normalise_peaks(feature_map: Array) -> Array:
    """Their operator N(·): promote a map with one strong peak, suppress one with many alike.

    The map is stretched to [0, 1] and multiplied by (1 − m)², where m is the mean of all its other local maxima: 0 if
    there are none. A local maximum is a pixel that no neighbour, of eight, exceeds; of a plateau one pixel counts. It
    counts from a tenth of the highest, a threshold that the paper does not give.

    Args:
        feature_map: ``[H, W]``.

    Returns:
        ``[H, W]``, in [0, 1].

    Raises:
        ValueError: the map is not ``[H, W]`` or not finite.
    """
    stretched = rescale(feature_map)
    peaks = stretched[_local_maxima(stretched) & (stretched >= PEAK_FLOOR)]
    others = np.sort(peaks)[:-1]
    mean = others.mean() if others.size else 0.0
    return stretched * (1 - mean) ** 2


def conspicuity_maps(
    image: Array,
    *,
    centres: Sequence[int] = (2, 3),
    deltas: Sequence[int] = (3, 4),
    scale: int = 3,
    normalise: Callable[[Array], Array] = normalise_peaks,
) -> dict[str, Array]:
    """Three maps of what stands out: in intensity, in colour, in orientation.

    Departs from the paper: its centres are levels 2, 3 and 4 and its maps of level 4; here red, green, blue and yellow
    have maps of their own, in which only the centre excites, where its Equations 2 and 3 make two of the four.

    Args:
        image: ``[H, W, 3]``.
        centres: levels of the centres.
        deltas: how many levels coarser the surrounds are.
        scale: the level whose size the maps have.
        normalise: from one ``[H, W]`` to another; :func:`rescale` shows what is lost without N(·).

    Returns:
        ``intensity``, ``colour`` and ``orientation``, each ``[⌈H/2^scale⌉, ⌈W/2^scale⌉]``, not negative.

    Raises:
        ValueError: the image is not ``[H, W, 3]`` with values in [0, 1].
    """
    _require_colour("conspicuity_maps", image)
    levels = max(max(centres) + max(deltas), scale) + 1
    intensity = gaussian_pyramid(_intensity(image), levels)
    # A hue that does not occur stands out nowhere.
    colours = [gaussian_pyramid(channel, levels) for channel in colour_opponents(image).values() if channel.any()]
    # Energies are computed from the finest centre on; the levels below it only fill their places.
    first, shape = min(centres), intensity[scale].shape
    energies = [intensity[:first] + [oriented_energy(level, angle) for level in intensity[first:]] for angle in ANGLES]

    def across_scales(pyramid: Sequence[Array], rectify: bool = False) -> Array:
        total = np.zeros(shape)
        for centre, delta in itertools.product(centres, deltas):
            difference = normalise(centre_surround(pyramid, centre, delta, rectify=rectify))
            total += _to_level(difference, centre, scale, shape)
        return total

    return {
        "intensity": across_scales(intensity),
        "colour": sum((across_scales(colour, rectify=True) for colour in colours), np.zeros(shape)),
        "orientation": np.sum([normalise(across_scales(energy)) for energy in energies], axis=0),
    }


def saliency_map(
    image: Array,
    *,
    centres: Sequence[int] = (2, 3),
    deltas: Sequence[int] = (3, 4),
    scale: int = 3,
    normalise: Callable[[Array], Array] = normalise_peaks,
) -> Array:
    """How much each place of an image stands out: the mean of the normalised conspicuity maps.

    Their Equation 8. Arguments and errors are those of :func:`conspicuity_maps`.

    Args:
        image: ``[H, W, 3]``.
        centres: levels of the centres.
        deltas: how many levels coarser the surrounds are.
        scale: the level whose size the map has.
        normalise: N(·), or what stands in for it.

    Returns:
        ``[⌈H/2^scale⌉, ⌈W/2^scale⌉]``, in [0, 1].
    """
    maps = conspicuity_maps(image, centres=centres, deltas=deltas, scale=scale, normalise=normalise)
    return np.mean([normalise(conspicuity) for conspicuity in maps.values()], axis=0)


def winner_take_all(saliency: Array, n_fixations: int, radius: float) -> Array:
    """Look where the map is highest, forbid that place and what is near, look again.

    Departs from the paper, where the winner comes out of a network of integrate-and-fire neurons, the inhibition
    fades after a while, and a slight excitation favours places near the last one.

    Args:
        saliency: ``[H, W]``.
        n_fixations: how many to make at most; fewer if no place is left.
        radius: of the disc that is inhibited, in pixels of the map; a place at exactly this distance is inhibited.

    Returns:
        Integer ``[F, 2]``, row and column of each fixation, in the order in which they are made.

    Raises:
        ValueError: the map is not ``[H, W]`` or not finite, or a number is negative.
    """
    _require_image("winner_take_all", saliency, (2,))
    if n_fixations < 0 or radius < 0:
        raise ValueError(
            f"winner_take_all: expected n_fixations and radius of at least 0, got {n_fixations} and {radius}"
        )
    remaining = np.array(saliency, dtype=np.float64)
    row, column = np.indices(remaining.shape)
    fixations: list[tuple[int, int]] = []
    while len(fixations) < n_fixations and np.isfinite(remaining).any():
        i, j = np.unravel_index(remaining.argmax(), remaining.shape)
        fixations.append((int(i), int(j)))
        remaining[(row - i) ** 2 + (column - j) ** 2 <= radius**2] = -np.inf
    return np.array(fixations, dtype=int).reshape(-1, 2)


# --- The fovea --------------------------------------------------------------------------------------------------


def foveate(image: Array, fixation: Sequence[float], half_resolution: float) -> Array:
    """Show an image as an eye sees it that rests on one place: sharp there, coarser with the distance.

    At the distance e from the fixation the resolution is 1 / (1 + e / ``half_resolution``) of the full one. So level
    log2(1 + e / ``half_resolution``) of a Gaussian pyramid is shown, blended from the two nearest.

    Args:
        image: ``[H, W]`` or ``[H, W, channels]``.
        fixation: row and column; it may lie outside.
        half_resolution: the distance, in pixels, at which the resolution has fallen to a half; more than 0.

    Returns:
        Of the shape of ``image``.

    Raises:
        ValueError: the image has other dimensions, no pixel, or is not finite; or ``half_resolution`` is not positive.
    """
    _require_image("foveate", image, (2, 3))
    if not half_resolution > 0:
        raise ValueError(f"foveate: half_resolution needs to be more than 0 pixels, got {half_resolution}")
    row, column = np.indices(image.shape[:2])
    distance = np.hypot(row - fixation[0], column - fixation[1])
    level = np.log2(1 + distance / half_resolution)
    seen = np.zeros(image.shape)
    for sigma, coarse in enumerate(gaussian_pyramid(image, int(np.ceil(level.max())) + 1)):
        share = np.maximum(1 - np.abs(level - sigma), 0)
        seen += share.reshape(share.shape + (1,) * (image.ndim - 2)) * _enlarge(coarse, image.shape[:2], 2**sigma)
    return seen


# --- Displays to search -----------------------------------------------------------------------------------------


class SearchDisplay(NamedTuple):
    """A picture with one target among distractors.

    Attributes:
        image: ``[512, 512, 3]``, in [0, 1].
        target: row and column of the target's middle, in pixels.
        items: ``[distractors + 1, 2]``, the middles of all bars, the target first.
    """

    image: Array
    target: tuple[int, int]
    items: Array


def search_display(kind: Kind, distractors: int, seed: int) -> SearchDisplay:
    """Draw an upright red bar among other bars on black, after the tasks of Treisman & Gelade (1980).

    The target is the same for all kinds, the distractors differ: ``"colour"``, all green and upright;
    ``"orientation"``, all red and lying; ``"conjunction"``, half green and upright, half red and lying (the odd one
    green). Bars of 8 × 28 pixels stand in the cells of an 8 × 8 grid, up to 8 pixels from its middle. Treisman &
    Gelade showed letters, on cards.

    Args:
        kind: what tells the target from the distractors.
        distractors: from 0 to 63.
        seed: of the places.

    Raises:
        ValueError: the kind is unknown, or there are too many or too few distractors.
    """
    if kind not in ("colour", "orientation", "conjunction"):
        raise ValueError(f"search_display: kind: expected colour, orientation or conjunction, got {kind!r}")
    if not 0 <= distractors <= 63:
        raise ValueError(f"search_display: distractors: expected 0 to 63, got {distractors}")
    random = np.random.default_rng(seed)
    cells = random.permutation(64)[: distractors + 1]
    middles = np.stack(np.divmod(cells, 8), axis=-1) * 64 + 32
    items = middles + random.integers(-8, 9, size=middles.shape)
    image = np.zeros((512, 512, 3))
    for (row, column), (channel, upright) in zip(items, _looks(kind, distractors), strict=True):
        tall, wide = (14, 4) if upright else (4, 14)
        image[row - tall : row + tall, column - wide : column + wide, channel] = 1
    return SearchDisplay(image, (int(items[0, 0]), int(items[0, 1])), items)


def fixations_to_target(fixations: Array, target: Sequence[float], radius: float) -> int:
    """Count the fixations up to the first that lands near the target.

    Args:
        fixations: ``[F, 2]``, rows and columns in pixels of the image.
        target: row and column.
        radius: how near, in pixels.

    Returns:
        1 if the first lands there; F + 1 if none does.

    Raises:
        ValueError: ``fixations`` is not ``[F, 2]``.
    """
    if fixations.ndim != 2 or fixations.shape[1] != 2:
        raise ValueError(f"fixations_to_target: fixations: expected shape [F, 2], got {list(fixations.shape)}")
    near = np.hypot(*(fixations - np.asarray(target)).T) <= radius
    return int(near.argmax()) + 1 if near.any() else len(fixations) + 1


def _looks(kind: Kind, distractors: int) -> Iterator[tuple[int, bool]]:
    """Colour channel (0 red, 1 green) of each bar, and whether it stands upright; the target first."""
    red, green, upright, lying = 0, 1, True, False
    yield red, upright
    for number in range(distractors):
        if kind == "colour" or (kind == "conjunction" and number % 2 == 0):
            yield green, upright
        else:
            yield red, lying


# --- Below ------------------------------------------------------------------------------------------------------


def _intensity(image: Array) -> Array:
    """Mean of red, green and blue."""
    return (image[..., 0] + image[..., 1] + image[..., 2]) / np.float64(3)


def _blur(image: Array, step: int = 1) -> Array:
    """Convolve with (1, 4, 6, 4, 1)/16 along rows and columns, mirrored at the border; keep every step-th place."""
    for axis in (0, 1):
        length = image.shape[axis]
        period = max(2 * (length - 1), 1)
        place = np.arange(-2, length + 2) % period
        padded: Array = image.take(np.minimum(place, period - place), axis)
        far, near, same, near_too, far_too = (
            padded[(slice(None),) * axis + (slice(k, k + length, step),)] for k in range(5)
        )
        image = (far + far_too) / 16 + (near + near_too) / 4 + same * 0.375
    return image


def _enlarge(coarse: Array, shape: tuple[int, ...], factor: int) -> Array:
    """Interpolate linearly to a finer level; beyond the last pixel its value holds."""
    if factor == 1:
        return coarse
    for axis in (0, 1):
        place = np.arange(shape[axis]) / factor
        lower = place.astype(int)
        upper = np.minimum(lower + 1, coarse.shape[axis] - 1)
        share = (place - lower).reshape([-1 if each == axis else 1 for each in range(coarse.ndim)])
        coarse = (1 - share) * coarse.take(lower, axis) + share * coarse.take(upper, axis)
    return coarse


def _to_level(feature_map: Array, level: int, wanted: int, shape: tuple[int, ...]) -> Array:
    """Bring a map from one level of a pyramid to another."""
    if level <= wanted:
        return gaussian_pyramid(feature_map, wanted - level + 1)[-1]
    return _enlarge(feature_map, shape, 2 ** (level - wanted))


def _local_maxima(feature_map: Array) -> Array:
    """Pixels that no neighbour exceeds; of equal neighbours the first in reading order."""
    height, width = feature_map.shape
    padded = np.full((height + 2, width + 2), -np.inf)
    padded[1:-1, 1:-1] = feature_map
    is_peak: Array = np.ones(feature_map.shape, dtype=bool)
    for i, j in itertools.product(range(3), range(3)):
        neighbour = padded[i : i + height, j : j + width]
        is_peak &= feature_map > neighbour if (i, j) < (1, 1) else feature_map >= neighbour
    return is_peak


def _require_image(name: str, image: Array, dimensions: tuple[int, ...]) -> None:
    """Raise ValueError unless this is an array with pixels, of so many dimensions, without NaN or infinity."""
    if image.ndim not in dimensions or image.size == 0:
        shapes = " or ".join({2: "[H, W]", 3: "[H, W, channels]"}[each] for each in dimensions)
        raise ValueError(f"{name}: image: expected shape {shapes} with at least one pixel, got {list(image.shape)}")
    if not np.isfinite(image).all():
        raise ValueError(f"{name}: image: expected finite values, got NaN or infinity")


def _require_colour(name: str, image: Array) -> None:
    """Raise ValueError unless this is an image in red, green and blue, with values in [0, 1]."""
    if image.ndim != 3 or image.shape[-1] != 3 or image.size == 0:
        raise ValueError(f"{name}: image: expected shape [H, W, 3] with at least one pixel, got {list(image.shape)}")
    low, high = image.min(), image.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{name}: image: expected values from 0 to 1, got {low:.4g} to {high:.4g}")
