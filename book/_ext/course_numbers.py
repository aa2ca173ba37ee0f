"""Figures, equations and exercises are numbered by chapter: Figure 05.3 is the third of `05-self-attention`.

Sphinx counts through the whole book, unless its sections are numbered. A number that begins with the chapter's own
says where to look, and stays when another chapter gets a figure more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment.collectors.toctree import TocTreeCollector

Assign = Callable[[TocTreeCollector, Any], list[str]]
CHAPTER = re.compile(r"\d\d[a-z]?(?=-)")


def by_chapter(assign: Assign) -> Assign:
    """Wrap the function that numbers: count anew on each page, and name those whose numbers changed."""

    def assigned(collector: TocTreeCollector, env: Any) -> list[str]:
        before = env.toc_fignumbers
        assign(collector, env)
        env.toc_fignumbers = {page: _counted(page, kinds) for page, kinds in env.toc_fignumbers.items()}
        return [page for page, kinds in env.toc_fignumbers.items() if kinds != before.get(page)]

    return assigned


def _counted(page: str, kinds: dict[str, dict[str, Any]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """The numbers of a page: kind → id → the chapter's number, on a chapter, and the place among its like."""
    chapter = CHAPTER.match(page)
    before = (chapter[0],) if chapter else ()
    return {
        kind: {name: (*before, str(place)) for place, name in enumerate(sorted(ids, key=ids.__getitem__), 1)}
        for kind, ids in kinds.items()
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    TocTreeCollector.assign_figure_numbers = by_chapter(TocTreeCollector.assign_figure_numbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
