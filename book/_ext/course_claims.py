"""The page *What we reproduced*: every claim that the book's pages checked, gathered as the pages are built."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from course_utils.claims import Claim

KINDS = {  # heading, and which claims stand below it
    "Statements of papers": lambda claim: claim.kind == "empirical" and claim.source,
    "Predictions of our own": lambda claim: claim.kind == "empirical" and not claim.source,
    "Theorems and counts": lambda claim: claim.kind == "theorem",
}
COLUMNS = ("Claim", "Expected", "Measured", "Verdict")
_DATA = re.compile(r'data-claim="([^"]*)"')


class claims_table(nodes.General, nodes.Element):  # noqa: N801 - as docutils names its nodes
    """Stands where the claims of all pages will be."""


class ClaimsTable(Directive):
    """``{claims-table}``: all claims, by kind and page."""

    def run(self) -> list[nodes.Node]:
        """Leave a place for them: other pages may not have been read yet."""
        return [claims_table()]


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Keep the claims of a page that was read."""
    texts = [raw.astext() for raw in doctree.findall(nodes.raw) if raw.get("format") == "html"]
    found = [json.loads(html.unescape(data)) for text in texts for data in _DATA.findall(text)]
    claims_of(app.env)[app.env.docname] = found


def claims_of(env: Any) -> dict[str, list[dict[str, Any]]]:
    """The claims by page."""
    if not hasattr(env, "course_claims"):
        env.course_claims = {}
    return env.course_claims


def forget(app: Sphinx, env: Any, page: str) -> None:
    """A page that is read again brings its claims again."""
    claims_of(env).pop(page, None)


def merge(app: Sphinx, env: Any, pages: set[str], other: Any) -> None:
    """Take over what another process read."""
    claims_of(env).update({page: claims_of(other)[page] for page in pages if page in claims_of(other)})


def pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """The pages that show all claims are written whenever a page was read."""
    return [page for page in env.found_docs if env.get_doctree(page).next_node(claims_table) is not None]


def fill(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the claims in their place, in the order of the pages."""
    for place in list(doctree.findall(claims_table)):
        known = claims_of(app.env)
        order = [each for each in _in_order(app, app.config.root_doc) if each in known]
        place.replace_self(nodes.raw("", _markup(app, page, {each: known[each] for each in order}), format="html"))


def _in_order(app: Sphinx, page: str) -> list[str]:
    """The pages below one, each followed by those below it."""
    below = app.env.toctree_includes.get(page, [])
    return [each for child in below for each in (child, *_in_order(app, child))]


def _markup(app: Sphinx, page: str, known: dict[str, list[dict[str, Any]]]) -> str:
    parts = []
    for heading, fits in KINDS.items():
        claims = {where: [claim for claim in map(_claim, records) if fits(claim)] for where, records in known.items()}
        count = sum(map(len, claims.values()))
        if count:
            bodies = (_body(app, page, where, found) for where, found in claims.items() if found)
            parts.append(f"<h2>{heading} ({count})</h2>{_table(bodies)}")
    return f'<div class="all-claims">{"".join(parts)}</div>'


def _claim(record: dict[str, Any]) -> Claim:
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
    return Claim(**{key: value for key, value in fields.items() if key != "verdict"})


def _body(app: Sphinx, page: str, where: str, claims: list[Claim]) -> str:
    """The rows of one chapter, below its title."""
    address, title = app.builder.get_relative_uri(page, where), html.escape(app.env.titles[where].astext())
    rows = "".join(_row(claim, f"{address}#claim-{claim.name}") for claim in claims)
    return f'<tbody><tr><th scope="rowgroup" colspan="{len(COLUMNS)}">{title}</th></tr>{rows}</tbody>'


def _row(claim: Claim, link: str) -> str:
    source = " ".join(filter(None, [claim.source and f"{claim.source}.", claim.reported]))
    statement = f'<a href="{html.escape(link)}">{html.escape(claim.statement)}</a>'
    cells = [
        statement + (f"<p>{html.escape(source)}</p>" if source else ""),
        html.escape(claim.interval),
        html.escape(claim.spread),
        f"<strong>{html.escape(claim.verdict)}</strong>",
    ]
    named = zip(COLUMNS, cells, strict=True)
    return "<tr>" + "".join(f'<td data-column="{name}">{text}</td>' for name, text in named) + "</tr>"


def _table(bodies: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    return f'<table class="table"><thead><tr>{head}</tr></thead>{"".join(bodies)}</table>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.add_node(claims_table)
    app.add_directive("claims-table", ClaimsTable)
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("env-updated", pages_to_write)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
