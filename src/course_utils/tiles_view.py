"""Flash attention's tiles, moved between a large slow memory and a small fast one, with what is moved counted.

Letters: `Q` queries, `K` keys, `D` width of a query or key, `V` of a value; a block of queries has `B_q` rows, one of
keys `B_k`, and the last of each may have fewer. `book/_static/course.js` brings the figure to life.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from course_utils.interactive import Html, figure, themed_svg
from course_utils.plotting import PALETTE
from course_utils.roofline import naive_traffic

__all__ = ["flash_tiles"]

MOST_ROWS, MOST_WIDTH, MOST_CHOICES = 12, 4, 5

# The still picture, in points: a number of a matrix is a square; names stand in lines of text.
CELL, GAP, LINE = 9, 7, 14
COLOURS = {"q": "orange", "k": "blue", "v": "green", "s": "seq-9", "o": "purple", "l": "purple"}
FULL, PALE, EMPTY = 1.0, 0.2, 0.0

NONE = range(0)


class Moment(NamedTuple):
    """What is done at a moment, and what was counted up to it, in numbers."""

    act: str  # start; load a block of queries; compute a tile; store a block of the output
    rows: range  # the block of queries, NONE at the start
    columns: range  # the block of keys, NONE without a tile
    tiles: int
    loaded: int
    stored: int
    held: int


@dataclass(frozen=True)
class Loop:
    """The forward loop of `course_utils.flash.flash_attention`, by its sizes."""

    queries: int
    keys: int
    width: int
    value_width: int
    blocks: tuple[int, int]
    causal: bool

    def rows(self) -> list[range]:
        """The blocks of queries."""
        return _blocks(self.queries, self.blocks[0])

    def columns(self) -> list[range]:
        """The blocks of keys."""
        return _blocks(self.keys, self.blocks[1])

    def columns_for(self, rows: range) -> list[range]:
        """The blocks of keys of which the last of some queries may look at one."""
        seen = rows.stop + self.keys - self.queries if self.causal else self.keys
        return [columns for columns in self.columns() if columns.start < seen]

    def moments(self) -> Iterator[Moment]:
        """All moments, in order. Scores become weights in their place, and what a tile adds is added to o at once."""
        pair = self.width + self.value_width  # of a key and its value
        tiles = loaded = stored = 0
        yield Moment("start", NONE, NONE, 0, 0, 0, 0)
        for rows in self.rows():
            kept = len(rows) * (self.width + 2 + self.value_width)  # q, m, l, o
            loaded += len(rows) * self.width
            yield Moment("load", rows, NONE, tiles, loaded, stored, kept)
            for columns in self.columns_for(rows):
                tiles, loaded = tiles + 1, loaded + len(columns) * pair
                held = kept + len(columns) * (pair + len(rows))
                yield Moment("tile", rows, columns, tiles, loaded, stored, held)
            stored += len(rows) * (self.value_width + 1)
            yield Moment("store", rows, NONE, tiles, loaded, stored, 0)

    def plain(self) -> dict[str, int]:
        """What the plain form loads and stores, and how much of both is scores and weights: each written and read."""
        moved = naive_traffic(self.queries, self.keys, self.width, self.value_width, element_size=1)
        return {"loaded": moved.loaded, "stored": moved.stored, "matrices": 4 * self.queries * self.keys}


def _blocks(length: int, size: int) -> list[range]:
    return [range(start, min(start + size, length)) for start in range(0, length, size)]


def flash_tiles(
    n_queries: int,
    n_keys: int,
    width: int,
    blocks: tuple[int, int],
    *,
    value_width: int | None = None,
    causal: bool = False,
    choices: tuple[Sequence[int], Sequence[int]] = ((1, 2, 4, 5), (2, 3, 5)),
    chosen: int | None = None,
) -> Html:
    """Return the figure in which a reader goes through flash attention tile by tile, and counts what is moved.

    A step loads a block of queries, or loads a block of keys and values and computes their tile of scores, or stores a
    block of the output and of the log-sum-exp: the forward loop of `course_utils.flash.flash_attention`, after Dao
    (2023), Algorithm 1. Counted are numbers, not bytes: those loaded and stored, and those held in fast memory, which
    are q, k, v, a tile of scores and the running m, l and o. Beside them stands what the plain form moves in three
    passes, which store scores and weights and load them again, all of them also under a causal mask. The reader
    chooses the sizes of the blocks, and the mask. Where no script runs, one moment is shown.

    Args:
        n_queries: Q, 1 to 12.
        n_keys: K, 1 to 12.
        width: D, 1 to 4.
        blocks: (B_q, B_k), at first; up to Q and K.
        value_width: V, 1 to 4; as `width` where None.
        causal: query i may look at the keys 0 to i + K − Q only, at first.
        choices: what the reader may choose for B_q and for B_k, beside `blocks`; sizes above Q or K are left out.
        chosen: the step at which the figure begins, counted from 0, before anything was loaded. Where None, the tile in
            the middle.

    Raises:
        ValueError: a number is not one of those, or there are more than five choices.
    """
    sizes = _sizes(n_queries, n_keys, width, width if value_width is None else value_width)
    offered = _choices(sizes, blocks, choices)
    loop = Loop(**sizes, blocks=(blocks[0], blocks[1]), causal=causal)
    moments = list(loop.moments())
    if chosen is None:
        tiles = [i for i, moment in enumerate(moments) if moment.act == "tile"] or [0]
        chosen = tiles[len(tiles) // 2]
    if not isinstance(chosen, int) or not 0 <= chosen < len(moments):
        raise ValueError(f"flash_tiles: chosen: expected a step, 0 to {len(moments) - 1}, got {chosen}")
    data = sizes | {"blocks": list(blocks), "causal": causal, "choices": offered, "chosen": chosen}
    alt = _alt(loop, moments[-1])
    still = themed_svg(
        _still(loop, moments, chosen), prefix="tiles", alt=f"{alt} Shown is step {chosen} of {len(moments) - 1}."
    )
    return figure("flash-tiles", data | {"plain": loop.plain()}, still, alt)


def _sizes(n_queries: int, n_keys: int, width: int, value_width: int) -> dict[str, int]:
    sizes = {"n_queries": n_queries, "n_keys": n_keys, "width": width, "value_width": value_width}
    for argument, size in sizes.items():
        most = MOST_ROWS if argument.startswith("n_") else MOST_WIDTH
        if not isinstance(size, int) or not 1 <= size <= most:
            raise ValueError(f"flash_tiles: {argument}: expected 1 to {most}, got {size}")
    return {argument.removeprefix("n_"): size for argument, size in sizes.items()}


def _choices(sizes: dict[str, int], blocks: Sequence[int], choices: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the sizes of blocks of queries and of keys that a reader may choose."""
    if len(blocks) != 2 or len(choices) != 2:
        raise ValueError(
            f"flash_tiles: blocks, choices: expected a pair, for queries and keys, got {blocks} and {choices}"
        )
    offered = []
    for most, block, others in zip((sizes["queries"], sizes["keys"]), blocks, choices, strict=True):
        if not isinstance(block, int) or not 1 <= block <= most:
            raise ValueError(f"flash_tiles: blocks: expected 1 to {most} rows, got {block}")
        if not all(isinstance(size, int) and size >= 1 for size in others):
            raise ValueError(f"flash_tiles: choices: expected 1 row or more, got {list(others)}")
        offered.append(sorted({block, *(size for size in others if size <= most)}))
        if len(offered[-1]) > MOST_CHOICES:
            raise ValueError(f"flash_tiles: choices: expected up to {MOST_CHOICES}, got {offered[-1]}")
    return offered


def _alt(loop: Loop, end: Moment) -> str:
    plain = loop.plain()
    skipped = ", tiles of a causal mask skipped" if loop.causal else ""
    return (
        f"Scores of {loop.queries} queries and {loop.keys} keys in tiles of {loop.blocks[0]} × {loop.blocks[1]}"
        f"{skipped}. A small fast memory holds one tile at a time, its blocks of queries, keys and values, and a "
        f"running result. To the end {end.loaded} numbers are loaded from the large slow memory and {end.stored} "
        f"stored; the plain form loads {plain['loaded']} and stores {plain['stored']}."
    )


# --- The still picture ---


def _still(loop: Loop, moments: Sequence[Moment], chosen: int) -> str:
    """Draw a moment: slow memory on the left, fast memory on the right, the counters below."""
    widths = (loop.width + loop.keys + loop.value_width + 1, loop.width + loop.blocks[1] + loop.value_width + 2)
    left, right = (CELL * units + 3 * GAP for units in widths)
    width = max(left + right + 5 * GAP, 300)
    top = CELL * (loop.width + loop.value_width) + GAP + 2 * LINE + 8  # of the lower matrices
    counters = top + CELL * loop.queries + 3 * LINE
    parts = [
        _text(0, 11, "Slow memory, large", weight=600, size=11),
        _slow(loop, moments, chosen, top),
        f'<g transform="translate({left + 5 * GAP})">',
        _text(0, 11, "Fast memory, small", weight=600, size=11),
        _fast(loop, moments[chosen], top),
        "</g>",
        _counters(moments, moments[chosen], loop.plain(), width, counters),
    ]
    view = f"-1 0 {width + 2} {counters + 6 * LINE + 4}"
    return f'<svg viewBox="{view}"><g font-family="Inter, sans-serif">{"".join(parts)}</g></svg>'


def _slow(loop: Loop, moments: Sequence[Moment], chosen: int, top: int) -> str:
    """Draw the matrices: full are the blocks that are in use, and of the output those that were stored."""
    now, past = moments[chosen], moments[: chosen + 1]
    at = _places(loop, loop.keys, top)
    held = NONE if now.act == "store" else now.rows
    stored = {moment.rows for moment in past if moment.act == "store"}
    parts = [_names(at, "QKVSOL")]
    parts.append(_text(at["s"][0], top + CELL * loop.queries + LINE, "S: the scores, stored nowhere"))
    for rows in loop.rows():
        strength = FULL if rows in stored else EMPTY
        parts += [
            _block("q", at, range(loop.width), rows, FULL if rows == held else PALE),
            _block("o", at, range(loop.value_width), rows, strength),
            _block("l", at, range(1), rows, strength),
        ]
    for columns in loop.columns():
        strength = FULL if columns == now.columns else PALE
        parts += [
            _block("k", at, columns, range(loop.width), strength),
            _block("v", at, columns, range(loop.value_width), strength),
        ]
    done = {(moment.rows, moment.columns) for moment in past}
    for rows, columns in itertools.product(loop.rows(), loop.columns()):
        colour = "seq-9" if (rows, columns) == (now.rows, now.columns) else "seq-2"
        fill = PALETTE[colour] if (rows, columns) in done else "none"
        parts.append(_rect(at["s"], columns, rows, f'fill="{fill}" stroke="{PALETTE["muted"]}"'))
        if columns not in loop.columns_for(rows):
            parts.append(_hatch(at["s"], columns, rows))
    return "".join(parts)


def _fast(loop: Loop, now: Moment, top: int) -> str:
    """Draw what is held, each block with its count of numbers; dashed is what is empty."""
    at = _places(loop, loop.blocks[1], top)
    rows, columns = range(len(now.rows) or loop.blocks[0]), range(len(now.columns) or loop.blocks[1])
    width, value_width = range(loop.width), range(loop.value_width)
    shapes = {"q": (width, rows), "k": (columns, width), "v": (columns, value_width)}
    shapes |= {"s": (columns, rows), "o": (value_width, rows), "l": (range(2), rows)}
    held = {"load": "qol", "tile": "qkvsol"}.get(now.act, "")
    parts = [_names(at, ["q", "k", "v", "s", "o", "m, l"])]
    for name, (across, down) in shapes.items():
        parts.append(_block(name, at, across, down, FULL if name in held else EMPTY))
        if name in held and min(len(across), len(down)) > 1:
            x, y = (corner + CELL * len(side) / 2 for corner, side in zip(at[name], (across, down), strict=True))
            ink = "seq-ink-high" if name == "s" else "paper"
            parts.append(_text(x, y + 3.5, str(len(across) * len(down)), colour=ink, anchor="middle"))
    return "".join(parts)


def _places(loop: Loop, columns: int, top: int) -> dict[str, tuple[int, int]]:
    """Where matrices begin, for some columns of scores: k and v above the scores, q on the left, o on the right."""
    scores = CELL * loop.width + GAP
    output = scores + CELL * columns + GAP
    values = top - LINE - CELL * loop.value_width - 2
    return {
        "q": (0, top),
        "k": (scores, values - GAP - CELL * loop.width),
        "v": (scores, values),
        "s": (scores, top),
        "o": (output, top),
        "l": (output + CELL * loop.value_width + GAP, top),
    }


def _names(at: dict[str, tuple[int, int]], names: Sequence[str]) -> str:
    """Write what matrices are called: k and v to their left, the others above."""
    return "".join(
        _text(x - 5, y + 10, name, anchor="end") if part in "kv" else _text(x, y - 4, name)
        for (part, (x, y)), name in zip(at.items(), names, strict=True)
    )


def _block(name: str, at: dict[str, tuple[int, int]], columns: range, rows: range, strength: float) -> str:
    colour = PALETTE[COLOURS[name]]
    stroke = PALETTE["paper"] if strength == FULL else colour
    dashes = "" if strength else ' stroke-dasharray="2 2"'
    return _rect(at[name], columns, rows, f'fill="{colour}" fill-opacity="{strength:g}" stroke="{stroke}"{dashes}')


def _rect(at: tuple[int, int], columns: range, rows: range, style: str) -> str:
    corner = f'x="{at[0] + CELL * columns.start}" y="{at[1] + CELL * rows.start}"'
    size = f'width="{CELL * len(columns)}" height="{CELL * len(rows)}"'
    return f'<rect {corner} {size} {style} stroke-width="0.8"/>'


def _hatch(at: tuple[int, int], columns: range, rows: range) -> str:
    places = itertools.product(columns, rows)
    lines = "".join(f"M{at[0] + CELL * column} {at[1] + CELL * (row + 1)}l{CELL}-{CELL}" for column, row in places)
    return f'<path d="{lines}" stroke="{PALETTE["muted"]}" stroke-width="0.8"/>'


def _counters(moments: Sequence[Moment], now: Moment, plain: dict[str, int], width: int, top: int) -> str:
    """Write the counters: so far, at the end, and of the plain form."""
    end, most = moments[-1], max(moment.held for moment in moments)
    lines = [
        ("", "so far", "at the end", "plain form"),
        ("tiles done", now.tiles, end.tiles, "–"),
        ("numbers loaded", now.loaded, end.loaded, plain["loaded"]),
        ("numbers stored", now.stored, end.stored, plain["stored"]),
        ("moved in all", now.loaded + now.stored, end.loaded + end.stored, plain["loaded"] + plain["stored"]),
        ("of these, scores and weights", 0, 0, plain["matrices"]),
        ("held in fast memory", f"{now.held} now", f"{most} at most", "–"),
    ]
    parts = []
    for i, (name, *cells) in enumerate(lines):
        parts.append(_text(0, top + LINE * i, name))
        for x, cell in zip((width - 130, width - 62, width), cells, strict=True):
            parts.append(_text(x, top + LINE * i, str(cell), anchor="end"))
    return "".join(parts)


def _text(
    x: float, y: float, text: str, *, colour: str = "ink", anchor: str = "start", size: float = 9.5, weight: int = 400
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{PALETTE[colour]}" text-anchor="{anchor}" font-size="{size:g}" '
        f'font-weight="{weight}">{text}</text>'
    )
