"""The page *What we reproduced*: every claim that the book's pages checked, gathered as the pages are built."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

from course_chapters import numbered
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from course_utils.claims import Claim

KINDS: dict[str, Callable[[Claim], Any]] = {
    "papers": lambda claim: claim.kind == "empirical" and claim.source,
    "predictions": lambda claim: claim.kind == "empirical" and not claim.source,
    "theorems": lambda claim: claim.kind == "theorem",
    "partly": lambda claim: claim.verdict.startswith("partly"),
    "not": lambda claim: claim.verdict.startswith("not"),
}
COLUMNS = ("Claim", "Expected", "Measured", "Verdict")
# In the metadata of a page, which Sphinx forgets and merges by itself: that it gathers claims; those it makes.
TABLE, CLAIMS = "claims-table", "course-claims"
_DATA = re.compile(r'data-claim="([^"]*)"')


class claims_table(nodes.General, nodes.Element):  # noqa: N801 - as docutils names its nodes
    """Stands where the claims of all pages will be."""


class ClaimsTable(SphinxDirective):
    """``{claims-table} KIND``: the claims of a kind, by page. Without a kind: how many there are of each verdict."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Leave a place for them: other pages may not have been read yet."""
        if self.arguments and self.arguments[0] not in KINDS:
            raise self.error(f"claims-table: expected one of {', '.join(KINDS)}, got {self.arguments[0]}")
        self.env.metadata[self.env.docname][TABLE] = ""
        return [claims_table(kind="".join(self.arguments))]


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Keep the claims of a page that was read."""
    texts = [raw.astext() for raw in doctree.findall(nodes.raw) if raw.get("format") == "html"]
    found = [json.loads(html.unescape(data)) for text in texts for data in _DATA.findall(text)]
    app.env.metadata[app.env.docname][CLAIMS] = found


def pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """The pages that show all claims are written whenever a page was read."""
    return [page for page, known in env.metadata.items() if TABLE in known]


def fill(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the claims in their place, in the order of the pages."""
    ordered = {
        each: [_claim(record) for record in app.env.metadata[each][CLAIMS]]
        for each in _in_order(app, app.config.root_doc)
    }
    for place in list(doctree.findall(claims_table)):
        markup = _table(app, page, ordered, KINDS[place["kind"]]) if place["kind"] else _summary(ordered)
        place.replace_self(nodes.raw("", f'<div class="all-claims">{markup}</div>', format="html"))


def _in_order(app: Sphinx, page: str) -> list[str]:
    """The pages below one, each followed by those below it."""
    below = app.env.toctree_includes.get(page, [])
    return [each for child in below for each in (child, *_in_order(app, child))]


def _summary(known: dict[str, list[Claim]]) -> str:
    """How many claims came out, and how many did not: a line for each kind."""
    every = [claim for claims in known.values() for claim in claims]
    papers, own, theorems = (list(filter(KINDS[kind], every)) for kind in ("papers", "predictions", "theorems"))
    lines = [
        f"Of {len(papers)} statements of papers {_verdicts(papers, 'reproduced')}.",
        f"Of {len(own)} predictions of our own {_verdicts(own, 'as predicted')}.",
        f"All {len(theorems)} theorems and counts hold.",
    ]
    return "".join(f"<p>{line}</p>" for line in lines)


def _verdicts(claims: list[Claim], success: str) -> str:
    def count(verdict: str) -> int:
        return sum(claim.verdict == verdict for claim in claims)

    partly = f'<a href="#claims-partly"><b>{count(f"partly {success}")}</b> partly</a>'
    no = f'<a href="#claims-not"><b>{count(f"not {success}")}</b> not</a>'
    return f"<b>{count(success)}</b> came out {success}, {partly} and {no}"


def _claim(record: dict[str, Any]) -> Claim:
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
    return Claim(**{key: value for key, value in fields.items() if key != "verdict"})


def _body(app: Sphinx, page: str, where: str, claims: list[Claim]) -> str:
    """The rows of one chapter, below its title."""
    address, title = app.builder.get_relative_uri(page, where), html.escape(numbered(app.env, where))
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


def _table(app: Sphinx, page: str, known: dict[str, list[Claim]], fits: Callable[[Claim], Any]) -> str:
    fitting = {where: list(filter(fits, claims)) for where, claims in known.items()}
    bodies = (_body(app, page, where, claims) for where, claims in fitting.items() if claims)
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    return f'<table class="table"><thead><tr>{head}</tr></thead>{"".join(bodies)}</table>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.add_node(claims_table)
    app.add_directive("claims-table", ClaimsTable)
    app.connect("doctree-read", collect)
    app.connect("env-updated", pages_to_write)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
