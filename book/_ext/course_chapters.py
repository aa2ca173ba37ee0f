"""What is known of a chapter: its number, its times, its assignments, what it needs. Two lines about its title say it.

The same numbers stand before its title wherever other pages name it.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from course_numbers import CHAPTER
from docutils import nodes
from sphinx.application import Sphinx

WORDS_A_MINUTE = 238  # read silently, English non-fiction: Brysbaert (2019)
ASSIGNMENTS = "exercises/"
# An assignment goes with the chapter of its number; a lab has none.
LABS = {"lab-1-timing": "08", "lab-2-flash-vs-naive": "08", "lab-3-triton": "08b"}
# In the metadata of a page, which Sphinx forgets and merges by itself: the rows of the map; how many words it has.
MAP, WORDS = "chapter-map", "course-words"


# --- Names ---


def number_of(page: str) -> str:
    """The number of a chapter; nothing for another page."""
    found = CHAPTER.match(page)
    return found[0] if found else ""


def numbered(env: Any, page: str) -> str:
    """The title of a page, that of a chapter after its number, as the side bar has it."""
    return f"{number_of(page)} {env.titles[page].astext()}".strip()


def chapter_of(assignment: str) -> str:
    """The number of the chapter that an assignment goes with."""
    return LABS.get(assignment) or assignment.split("-")[0]


# --- How long a chapter takes ---


def count_words(app: Sphinx, doctree: nodes.document) -> None:
    """Keep how many words of a page are read: its text, without code, outputs and folded solutions."""
    app.env.metadata[app.env.docname][WORDS] = sum(
        len(paragraph.astext().split()) for paragraph in doctree.findall(nodes.paragraph) if not _is_aside(paragraph)
    )


def _is_aside(node: nodes.Element) -> bool:
    """Whether a paragraph stands in an output, a solution or a box that is folded."""
    classes: set[str] = set()
    while node.parent is not None:
        node = node.parent
        classes |= {node.tagname, *node.get("classes", [])}
    return not classes.isdisjoint({"cell", "dropdown", "toggle", "solution", "solution_node"})


def reading_minutes(env: Any, page: str) -> int:
    """Minutes that the words of a page take, to the nearest five."""
    return max(5, 5 * round(env.metadata[page][WORDS] / WORDS_A_MINUTE / 5))


def assignments_of(env: Any, page: str) -> dict[str, int]:
    """The pages of a chapter's assignments and labs, with the minutes that the headers of their sources say."""
    solutions = Path(env.srcdir).parent / "solutions"
    named = {each: each.rpartition("/")[2] for each in sorted(env.found_docs) if each.startswith(ASSIGNMENTS)}
    return {
        each: _minutes(solutions / name / f"{name}.md")
        for each, name in named.items()
        if chapter_of(name) == number_of(page)
    }


def _minutes(source: Path) -> int:
    return int(re.search(r"^  minutes: (\d+)$", source.read_text(encoding="utf-8"), re.MULTILINE)[1])


def duration(minutes: int) -> str:
    """Minutes, and from a hundred on hours to the nearest half, as one says them."""
    if minutes < 100:
        return f"{minutes} min"
    halves = round(minutes / 30)
    return f"{halves // 2}{'½' * (halves % 2)} h"


# --- About the title ---


def line_of(app: Sphinx, page: str) -> str:
    """Below the title: how long the chapter takes, what it needs, and where to run it."""

    def link(target: str, words: str) -> str:
        address, title = app.builder.get_relative_uri(page, target), app.env.titles[target].astext()
        return f'<a href="{html.escape(address)}" title="{html.escape(title)}">{words}</a>'

    def links(pages: list[str]) -> str:
        return f"chapter{'s' * (len(pages) > 1)} {', '.join(link(each, number_of(each)) for each in pages)}"

    chapters = {name: rest for known in app.env.metadata.values() for row in known.get(MAP, []) for name, *rest in row}
    needs, helps = chapters[page]
    parts = [
        f"{duration(reading_minutes(app.env, page))} to read",
        *(f"{link(each, _short(each))}: {duration(time)}" for each, time in assignments_of(app.env, page).items()),
        *([f"needs {links(needs)}"] if needs else []),
        *([f"{links(helps)} help{'s' * (len(helps) == 1)}"] if helps else []),
    ]
    run = f'<span class="on-screen"> · {link("running", "run it yourself")}</span>'
    return f'<p class="chapter-line">{" · ".join(parts)}{run}</p>'


def _short(assignment: str) -> str:
    """``assignment 05`` or ``lab 1``."""
    first, second, *_ = assignment.rpartition("/")[2].split("-")
    return f"lab {second}" if first == "lab" else f"assignment {first}"


def pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """The chapters whose line is another than at the last build: an assignment or the map may have changed."""
    before = getattr(env, "course_lines", {})
    env.course_lines = {page: line_of(app, page) for page in sorted(env.found_docs) if number_of(page)}
    return [page for page, line in env.course_lines.items() if line != before.get(page)]


def frame_title(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the number of a chapter above its title, and the line below it."""
    if not number_of(page):
        return
    title = doctree.next_node(nodes.title)
    place, number = title.parent.index(title), f'<p class="chapter-number">Chapter {number_of(page)}</p>'
    title.parent.insert(place + 1, nodes.raw("", app.env.course_lines[page], format="html"))
    title.parent.insert(place, nodes.raw("", number, format="html"))


def name_neighbours(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put their numbers before the titles of the chapters that come before and after a page."""
    _, *neighbours = app.builder.relations.get(page, [None, None, None])
    for side, neighbour in zip(("prev", "next"), neighbours, strict=True):
        if neighbour:
            context[side] = {**context[side], "title": f"{number_of(neighbour)} {context[side]['title']}".strip()}


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.connect("doctree-read", count_words)
    app.connect("env-updated", pages_to_write)
    app.connect("doctree-resolved", frame_title, priority=950)  # after the chapter's notebook was written
    app.connect("html-page-context", name_neighbours)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
