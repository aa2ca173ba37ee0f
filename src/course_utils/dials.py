"""A position told by dials: the sinusoidal encoding beside a binary counter of the same position.

A dial is a pair of the encoding's numbers. Its hand starts at the top and turns clockwise, so that its tip stands
sin(2πt/λ) to the right and cos(2πt/λ) up, for position `t` and wave length λ. Letters: `E` model width.
`book/_static/course.js` brings the figure to life.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from course_utils.interactive import Html, figure, themed_svg
from course_utils.plotting import INK_SWITCH, PALETTE

__all__ = ["position_dials", "sinusoidal_wavelengths"]

MOST_DIALS = 8
MOST_POSITIONS = 256
STILL_POSITIONS = 4

# The still picture, in points: a column of names, one for each dial, and the heights of a position's rows.
NAMES, COLUMN = 48, 36
HEAD, DIAL, LAMP, CELL = 18, 36, 18, 15
BLOCK = DIAL + LAMP + 2 * CELL + 12
RADIUS = 15


def sinusoidal_wavelengths(width: int, *, base: float = 10_000.0) -> tuple[float, ...]:
    """Return the wave lengths 2π · base^(2i/E) of the sinusoidal encoding: Vaswani et al. (2017), Section 3.5.

    Args:
        width: E, even.
        base: the number to whose powers the wave lengths grow.

    Returns:
        E/2 wave lengths in positions, the shortest first; dial i is columns 2i (sine) and 2i + 1 (cosine).

    Raises:
        ValueError: `width` is not an even number of 2 or more, or `base` not a positive number.
    """
    if not isinstance(width, int) or width < 2 or width % 2:
        raise ValueError(f"sinusoidal_wavelengths: width: expected an even number of 2 or more, got {width}")
    if not (math.isfinite(base) and base > 0):
        raise ValueError(f"sinusoidal_wavelengths: base: expected a positive number, got {base}")
    return tuple(2 * math.pi * base ** (2 * i / width) for i in range(width // 2))


def position_dials(wavelengths: Sequence[float], *, length: int = 64, chosen: int = 5) -> Html:
    """Return the figure in which a reader moves a position and sees dials turn and a binary counter count.

    There are a dial and a lamp for each wave length (more lamps, where the positions need more bits), the lowest bit
    under the first dial, and below them the encoding's numbers. Where no script runs, `chosen` and the three positions
    after it stand one below the other.

    Args:
        wavelengths: 1 to 8 of them, how many positions a turn takes; dials stand in this order, so the fast ones first.
        length: the number of positions, 2 to 256.
        chosen: the position at which the figure begins, counted from 0.

    Raises:
        ValueError: a number is not one of those.
    """
    waves = [float(wave) for wave in wavelengths]
    if not 1 <= len(waves) <= MOST_DIALS or not all(math.isfinite(wave) and wave > 0 for wave in waves):
        raise ValueError(
            f"position_dials: wavelengths: expected 1 to {MOST_DIALS} positive numbers, got {list(wavelengths)}"
        )
    if not isinstance(length, int) or not 2 <= length <= MOST_POSITIONS:
        raise ValueError(f"position_dials: length: expected 2 to {MOST_POSITIONS} positions, got {length}")
    if not isinstance(chosen, int) or not 0 <= chosen < length:
        raise ValueError(f"position_dials: chosen: expected a position, 0 to {length - 1}, got {chosen}")
    names = [_name(wave) for wave in waves]
    bits = max(len(waves), (length - 1).bit_length())
    # Ten digits turn a hand the same way on every machine.
    rounded = [float(f"{wave:.10g}") for wave in waves]
    data = {"wavelengths": rounded, "names": names, "bits": bits, "length": length, "chosen": chosen}
    shown = range(chosen, min(chosen + STILL_POSITIONS, length))
    alt = _alt(names)
    still = themed_svg(
        _still(rounded, names, bits, shown), prefix="dials", alt=f"{alt} Positions {shown[0]} to {shown[-1]}."
    )
    return figure("position-dials", data, still, alt)


def _name(wave: float) -> str:
    """Write a wave length with three digits, and with more only what stands before the point."""
    return f"{wave:.3g}" if wave < 999.5 else f"{wave:.0f}" if wave < 99_999.5 else f"{wave:.1e}".replace("e+0", "e")


def _alt(names: Sequence[str]) -> str:
    dials = f"{len(names)} dials. The first turns once in {names[0]} positions, the last in {names[-1]}"
    if len(names) == 1:
        dials = f"A dial that turns once in {names[0]} positions"
    return f"{dials}. Below, the position in binary, as lamps, and the sine and cosine of each dial's angle."


def _still(waves: Sequence[float], names: Sequence[str], bits: int, positions: Sequence[int]) -> str:
    """Draw some positions, one below the other, under the dials' wave lengths."""
    width, height = NAMES + COLUMN * bits, HEAD + BLOCK * len(positions)
    head = [_text(0, 11, "turn", "muted", "start"), *(_text(_middle(i), 11, n, "muted") for i, n in enumerate(names))]
    blocks = [_position(t, HEAD + BLOCK * i, waves, bits) for i, t in enumerate(positions)]
    return (
        f'<svg viewBox="0 0 {width} {height}"><g font-family="Inter, sans-serif" font-size="9.5" text-anchor="middle">'
        f"{''.join(head + blocks)}</g></svg>"
    )


def _position(t: int, top: int, waves: Sequence[float], bits: int) -> str:
    """Draw a position: its dials, its bits with the lowest on the left, its sines and its cosines."""
    lamps, sines = top + DIAL + LAMP // 2, top + DIAL + LAMP
    parts = [_text(0, y, name, "muted", "start") for y, name in ((lamps + 3, "bits"), (sines + 11, "sin"))]
    parts += [
        _text(0, top + DIAL // 2 + 3, f"t = {t}", "ink", "start"),
        _text(0, sines + CELL + 11, "cos", "muted", "start"),
    ]
    parts += [_lamp(_middle(bit), lamps, t >> bit & 1) for bit in range(bits)]
    for i, wave in enumerate(waves):
        sine, cosine = math.sin(2 * math.pi * t / wave), math.cos(2 * math.pi * t / wave)
        parts += [
            _dial(_middle(i), top + DIAL // 2, sine, cosine),
            _cell(i, sines, sine),
            _cell(i, sines + CELL, cosine),
        ]
    return "".join(parts)


def _middle(column: int) -> int:
    return NAMES + COLUMN * column + COLUMN // 2


def _dial(x: int, y: int, sine: float, cosine: float) -> str:
    tip = f"{x + RADIUS * sine:.1f}", f"{y - RADIUS * cosine:.1f}"
    return (
        f'<circle cx="{x}" cy="{y}" r="{RADIUS}" fill="none" stroke="{PALETTE["muted"]}"/>'
        f'<path d="M{x} {y}L{tip[0]} {tip[1]}" stroke="{PALETTE["blue"]}" stroke-width="2"/>'
        f'<circle cx="{tip[0]}" cy="{tip[1]}" r="2.5" fill="{PALETTE["blue"]}"/>'
    )


def _lamp(x: int, y: int, bit: int) -> str:
    fill = PALETTE["orange"] if bit else "none"
    circle = f'<circle cx="{x}" cy="{y}" r="7" fill="{fill}" stroke="{PALETTE["orange" if bit else "muted"]}"/>'
    return circle + _text(x, y + 3, str(bit), "paper" if bit else "muted")


def _cell(column: int, y: int, value: float) -> str:
    """Draw a number from −1 to 1, rounded, on its step of the map, as `PositionDials.turn` in `course.js` does."""
    value = round(value, 2) + 0.0  # no negative zero
    step = min(11, int(6 * (value + 1)))
    box = f'x="{NAMES + COLUMN * column + 1}" y="{y + 1}" width="{COLUMN - 2}" height="{CELL - 2}"'
    ink = "seq-ink-low" if step < INK_SWITCH else "seq-ink-high"
    return f'<rect {box} fill="{PALETTE[f"seq-{step}"]}"/>' + _text(
        _middle(column), y + 11, f"{value:.2f}".replace("-", "−"), ink
    )


def _text(x: int, y: int, text: str, colour: str, anchor: str = "") -> str:
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x}" y="{y}" fill="{PALETTE[colour]}"{where}>{text}</text>'
