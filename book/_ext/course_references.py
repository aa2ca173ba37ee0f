"""The page of references says of each work which chapters, and which pages of the package, cite it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from course_chapters import numbered
from docutils import nodes
from sphinx.application import Sphinx


def cited_in(app: Sphinx) -> dict[str, list[str]]:
    """For the id of each work's entry, the pages that cite it, in the order of the book."""
    domain = app.env.domains["cite"]
    pages = defaultdict(set)
    for reference in domain.citation_refs:
        for target in reference.targets:
            pages[target.key].add(reference.docname)
    order = {page: i for i, page in enumerate(app.env.toctree_includes.get(app.config.root_doc, []))}
    return {
        citation.citation_id: sorted(pages[citation.key], key=lambda page: (order.get(page, len(order)), page))
        for citation in domain.citations
    }


def say_where(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Add to each work's entry the chapters that cite it."""
    citations = list(doctree.findall(nodes.citation))
    pages = cited_in(app) if citations else {}
    for citation in citations:
        links = [_link(app, page, each) for name in citation["ids"] for each in pages.get(name, [])]
        if links:
            between = [node for link in links for node in (nodes.Text("; "), link)][1:]
            citation += nodes.paragraph("", "Cited in ", *between, classes=["cited-in"])


def _link(app: Sphinx, page: str, target: str) -> nodes.reference:
    title = numbered(app.env, target)
    if target.startswith("api/"):  # of itself it does not say that it is no chapter
        title = f"{app.env.titles['api/index'].astext()}: {title}"
    return nodes.reference("", title, refuri=app.builder.get_relative_uri(page, target), internal=True)


def pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """The references are written whenever a page was read: it may cite another work."""
    return sorted({key.docname for key in env.domains["cite"].bibliographies})


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.connect("doctree-resolved", say_where)
    app.connect("env-updated", pages_to_write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
