"""A syllabus: what is read, handed in and talked about in each week, with the hours that the pages themselves give.

    ```{syllabus}
    02-soft-dictionary | 01-selective-attention | Why a softmax and not the largest?
    ```

A line is a week: chapters to read, assignments to hand in, a question for the meeting; any may be empty.
"""

from __future__ import annotations

import html
from typing import Any

from course_chapters import ASSIGNMENTS, assignments_of, duration, number_of, numbered, reading_minutes
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

WEEKS = "syllabus"  # in the metadata of the page
HEADS = ("Week", "Read", "Hand in", "In the meeting", "Hours")


class syllabus(nodes.General, nodes.Element):  # noqa: N801 - as docutils names its nodes
    """Stands where the table will be."""


class Syllabus(SphinxDirective):
    """``{syllabus}``: a row for each week."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Keep the weeks: titles and lengths of pages are known once all are read."""
        weeks = [[part.strip() for part in line.split("|")] for line in self.content if line.strip()]
        for week in weeks:
            if len(week) != len(HEADS) - 2:
                raise self.error(f"syllabus: expected `read | hand in | question`, got {' | '.join(week)!r}")
        self.env.metadata[self.env.docname][WEEKS] = True
        return [syllabus(weeks=weeks)]


def pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """The page is written whenever another was read: a title or a length may be another."""
    return [page for page, known in env.metadata.items() if WEEKS in known]


def fill(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the table in its place."""
    for place in list(doctree.findall(syllabus)):
        solving = {each: time for known in app.env.found_docs for each, time in _assignments(app.env, known).items()}
        rows = [_row(app, page, place.source, number, week, solving) for number, week in enumerate(place["weeks"], 1)]
        total = sum(minutes for _, minutes in rows)
        heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
        markup = (
            f'<div class="pst-scrollable-table-container"><table class="table syllabus"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{''.join(row for row, _ in rows)}</tbody>"
            f'<tfoot><tr><th scope="row" colspan="4">All, estimated</th><td>{duration(total)}</td></tr></tfoot>'
            "</table></div>"
        )
        place.replace_self(nodes.raw("", markup, format="html"))


def _assignments(env: Any, page: str) -> dict[str, int]:
    return assignments_of(env, page) if number_of(page) else {}


def _row(
    app: Sphinx, page: str, source: str | None, number: int, week: list[str], solving: dict[str, int]
) -> tuple[str, int]:
    """A week as markup, and its minutes."""
    chapters, handed = week[0].split(), [f"{ASSIGNMENTS}{name}/{name}" for name in week[1].split()]
    for each in [*chapters, *handed]:
        if each not in app.env.found_docs:
            raise ValueError(f"{source}: syllabus: week {number}: there is no page {each!r}")

    def links(pages: list[str]) -> str:
        addresses = {each: html.escape(app.builder.get_relative_uri(page, each)) for each in pages}
        return "<br>".join(
            f'<a href="{address}">{html.escape(numbered(app.env, each))}</a>' for each, address in addresses.items()
        )

    minutes = sum(reading_minutes(app.env, each) for each in chapters) + sum(solving[each] for each in handed)
    cells = (links(chapters), links(handed), html.escape(week[2]), duration(minutes) if minutes else "–")
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{number}</th>{row}</tr>', minutes


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.add_node(syllabus)
    app.add_directive("syllabus", Syllabus)
    app.connect("env-updated", pages_to_write)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
