"""The page *What we reproduced*: every claim that the book's pages checked, gathered as the pages are built."""

from __future__ import annotations

import html
import json
import re
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
        order = [each for each in app.env.toctree_includes.get(app.config.root_doc, ()) if each in known]
        place.replace_self(nodes.raw("", _markup(app, page, {each: known[each] for each in order}), format="html"))


def _markup(app: Sphinx, page: str, known: dict[str, list[dict[str, Any]]]) -> str:
    rows: dict[str, list[str]] = {heading: [] for heading in KINDS}
    for where, records in known.items():
        for record in records:
            verdict = record.pop("verdict")
            claim = Claim(**{**record, "within": tuple(record["within"]), "measured": tuple(record["measured"])})
            record["verdict"] = verdict
            heading = next(heading for heading, fits in KINDS.items() if fits(claim))
            link = f"{app.builder.get_relative_uri(page, where)}#claim-{claim.name}"
            rows[heading].append(_row(claim, link, app.env.titles[where].astext()))
    parts = [f"<h2>{heading} ({len(each)})</h2>{_table(each)}" for heading, each in rows.items() if each]
    return f'<div class="all-claims">{"".join(parts)}</div>'


def _row(claim: Claim, link: str, title: str) -> str:
    source = " ".join(filter(None, [claim.source and f"{claim.source}.", claim.reported]))
    statement = f'<a href="{html.escape(link)}">{html.escape(claim.statement)}</a>'
    cells = {
        "Claim": f"{statement} <small>{html.escape(title)}</small>{source and f'<p>{html.escape(source)}</p>'}",
        "Expected": html.escape(claim.interval),
        "Measured": html.escape(claim.spread),
        "Verdict": f"<strong>{html.escape(claim.verdict)}</strong>",
    }
    return "<tr>" + "".join(f'<td data-column="{name}">{text}</td>' for name, text in cells.items()) + "</tr>"


def _table(rows: list[str]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Claim", "Expected", "Measured", "Verdict"))
    return f'<table class="table"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


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
