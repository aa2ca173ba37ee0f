"""The chapters as a map of what needs what, each a link with its times, and the times as a table.

    ```{chapter-map}
    01-one | 02-two
    03-three < 02-two (01-one)
    ```

A line is a row of the map. After `<` stands what a chapter needs, in brackets what helps it.
"""

from __future__ import annotations

import html
import re
import textwrap
from typing import Any

from course_chapters import MAP, assignments_of, duration, number_of, numbered, reading_minutes
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# Of the drawing, in its own units, of which a phone shows one as a pixel.
WIDTH, BOX, HEIGHT, STEP = 360, 172, 66, 98


class chapter_map(nodes.General, nodes.Element):  # noqa: N801 - as docutils names its nodes
    """Stands where the map will be."""


class ChapterMap(SphinxDirective):
    """``{chapter-map}``: rows of chapters with what they need."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Keep the rows: titles and lengths of pages are known once all are read."""
        rows = [[_read(entry) for entry in line.split("|")] for line in self.content if line.strip()]
        self.env.metadata[self.env.docname][MAP] = rows
        return [chapter_map(rows=rows)]


def _read(entry: str) -> tuple[str, list[str], list[str]]:
    """A chapter, what it needs and what helps it."""
    name, _, rest = (part.strip() for part in entry.partition("<"))
    return (
        name,
        re.sub(r"\(.*?\)", "", rest).split(),
        [word for each in re.findall(r"\((.*?)\)", rest) for word in each.split()],
    )


# --- The page ---


def pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """The page with the map is written whenever a page was read: a title or a length may be another."""
    return [page for page, known in env.metadata.items() if MAP in known]


def fill(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the map and the table in their place."""
    for place in list(doctree.findall(chapter_map)):
        chapters = [entry[0] for row in place["rows"] for entry in row]
        times = {c: (reading_minutes(app.env, c), sum(assignments_of(app.env, c).values())) for c in chapters}
        titles = {c: numbered(app.env, c) for c in chapters}
        links = {c: app.builder.get_relative_uri(page, c) for c in chapters}
        markup = _drawing(place["rows"], titles, links, times) + _table(sorted(chapters), titles, links, times)
        place.replace_self(nodes.raw("", f'<div class="chapter-map">{markup}</div>', format="html"))


Times = dict[str, tuple[int, int]]


def _drawing(rows: list[Any], titles: dict[str, str], links: dict[str, str], times: Times) -> str:
    """The map: lines from a chapter down to those that need it, and the chapters as boxes over them."""
    spots = {
        entry[0]: (WIDTH * (2 * column + 1) / (2 * len(row)), HEIGHT / 2 + 4 + STEP * number)
        for number, row in enumerate(rows)
        for column, entry in enumerate(row)
    }
    lines = [
        _line(spots[start], spots[name], kind)
        for row in rows
        for name, needs, helps in row
        for kind, starts in (("needs", needs), ("helps", helps))
        for start in starts
    ]
    # In the order of the chapters, which is that of the Tab key.
    boxes = [_box(name, titles[name], links[name], spots[name], times[name]) for name in sorted(spots)]
    head = (
        '<marker id="map-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z"/></marker>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 8 + STEP * (len(rows) - 1)}" role="group" '
        f'aria-label="Map of the chapters: lines lead from a chapter to those that build on it">'
        f"<defs>{head}</defs>{''.join(lines)}{''.join(boxes)}</svg>"
    )


def _line(start: tuple[float, float], end: tuple[float, float], kind: str) -> str:
    (x1, y1), (x2, y2) = (start[0], start[1] + HEIGHT / 2), (end[0], end[1] - HEIGHT / 2 - 1)
    middle = (y1 + y2) / 2
    path = f"M{x1:g} {y1:g}C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}"
    return f'<path class="{kind}" d="{path}" marker-end="url(#map-head)"/>'


def _box(name: str, title: str, link: str, spot: tuple[float, float], times: tuple[int, int]) -> str:
    x, y = spot
    number = number_of(name)
    lines = textwrap.wrap(title.split(":")[0], 25)
    lines[0] = f'<tspan class="number">{number}</tspan>{html.escape(lines[0].removeprefix(number))}'
    top = y - 7 * len(lines) + 1
    text = "".join(f'<text x="{x:g}" y="{top + 16 * i:g}">{line}</text>' for i, line in enumerate(lines))
    read, work = times
    minutes = f"read {duration(read)}" + (f", solve {duration(work)}" if work else "")
    return (
        f'<a href="{html.escape(link)}" aria-label="{html.escape(f"{title}: {minutes}")}">'
        f'<rect x="{x - BOX / 2:g}" y="{y - HEIGHT / 2:g}" width="{BOX}" height="{HEIGHT}" rx="6"/>{text}'
        f'<text class="minutes" x="{x:g}" y="{y + HEIGHT / 2 - 9:g}">{minutes}</text></a>'
    )


def _table(chapters: list[str], titles: dict[str, str], links: dict[str, str], times: Times) -> str:
    rows = "".join(
        f'<tr><th scope="row"><a href="{html.escape(links[name])}">'
        f"{html.escape(titles[name])}</a></th>"
        + "".join(f"<td>{duration(minutes) if minutes else '–'}</td>" for minutes in times[name])
        + "</tr>"
        for name in chapters
    )
    sums = "".join(f"<td>{duration(sum(each))}</td>" for each in zip(*times.values(), strict=True))
    return (
        '<div class="pst-scrollable-table-container"><table class="table"><thead><tr><th scope="col">Chapter</th>'
        '<th scope="col">to read</th><th scope="col">to solve</th></tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><th scope="row">All, estimated</th>{sums}</tr></tfoot></table></div>'
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.add_node(chapter_map)
    app.add_directive("chapter-map", ChapterMap)
    app.connect("env-updated", pages_to_write)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
