"""What the book says to those who do not read it: previews and search engines; and the page for a wrong address."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx

# What the page for a wrong address offers: page and words.
OFFERED = {
    "index": "What this book is, and where to begin",
    "01-selective-attention": "The first chapter, on selective attention",
    "00-warm-up": "The warm-up, for whom PyTorch is new",
    "grading": "How to check an answer",
}


def take_the_address(app: Sphinx, config: Any) -> None:
    """Tell the extensions where the book is published; without an address it lies at the root of its server."""
    config.ogp_site_url = config.html_baseurl
    config.notfound_urls_prefix = urlsplit(config.html_baseurl).path or "/"
    config.notfound_context = {"title": "Page not found", "body": _not_found(config.notfound_urls_prefix)}


def _not_found(root: str) -> str:
    """The page for a wrong address: from wherever it is asked for, its links begin at the root."""
    root = html.escape(root)
    links = "".join(f'<li><a href="{root}{page}.html">{words}</a></li>' for page, words in OFFERED.items())
    return (
        "<h1>There is no page at this address</h1>"
        "<p>It may be misspelt, or the page has another name now. Search for what you meant, or begin here:</p>"
        f'<form class="not-found" role="search" action="{root}search.html" method="get">'
        '<input type="search" name="q" aria-label="Search the book" /><button type="submit">Search</button></form>'
        f"<ul>{links}</ul>"
    )


def drop_half_addresses(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Leave out the tags that need a full address where there is none."""
    if not app.config.html_baseurl:
        context["metatags"] = re.sub(r'<meta property="og:(url|image)"[^>]*>\n', "", context.get("metatags", ""))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts: before the extensions read the settings, and after they wrote their tags."""
    app.connect("config-inited", take_the_address, priority=100)
    app.connect("html-page-context", drop_half_addresses, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
