"""How a browser is shown what a student wrote: in nbgrader's formgrader, to its instructor, and in feedback.

nbgrader's own pages hold a student's Markdown as it is, scripts and all, and fetch MathJax from another host. Here
Markdown goes through bleach, raw cells and outputs through nbconvert's own sanitiser, and formulas become MathML,
which every browser draws without a script.
"""

from __future__ import annotations

import html
import re
from typing import Any
from xml.etree.ElementTree import Element, tostring

from bleach.sanitizer import ALLOWED_TAGS, Cleaner  # type: ignore[import-untyped]
from bs4 import BeautifulSoup, Tag
from jinja2 import pass_context
from latex2mathml.converter import convert_to_element
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from traitlets import Bool

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
TABLES = ("table", "thead", "tbody", "tr", "th", "td")
TAGS = {*ALLOWED_TAGS, *HEADINGS, *TABLES, "br", "dd", "del", "div", "dl", "dt", "hr", "img", "p", "pre", "span"}
LINK = re.compile(r"(https?://|mailto:|#)[^\s<>]*", re.IGNORECASE)
IMAGE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")

FORMULA = "formula"  # the class of what is to become MathML
LONGEST_FORMULA = 2000  # characters; a longer one stays as it was written
LOOKS = {
    *("accent", "columnalign", "columnlines", "columnspacing", "depth", "display", "displaystyle", "fence", "form"),
    *("height", "linebreak", "linethickness", "lspace", "mathsize", "mathvariant", "maxsize", "minsize", "rowlines"),
    *("movablelimits", "rspace", "scriptlevel", "separator", "stretchy", "symmetric", "width", "xmlns"),
}
NO_OPERATORS = ("∞", "⊤", "…")  # the library gives them an operator's room on both sides


class Page(HTMLExporter):
    """An HTML exporter whose Markdown is sanitised, with formulas that need no script."""

    sanitize_html = Bool(True).tag(config=True)

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Render Markdown, also where its author wanted no such thing."""
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = _Renderer(escape=False, attachments=attachments, exclude_anchor_links=True)
        try:
            rendered = MarkdownWithMath(renderer=renderer).render(source)
        except Exception:  # a missing attachment, lists a thousand deep
            rendered = f"<pre>{html.escape(source)}</pre>"
        return Cleaner(TAGS, attributes=_allowed, protocols={"http", "https", "mailto", "data"}).clean(rendered)

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[str, dict[str, Any]]:
        """Convert, put in the formulas, and let `finish` have the page."""
        page, resources = super().from_notebook_node(nb, resources, **kw)
        soup = BeautifulSoup(page, features="html.parser")
        for span in soup.find_all("span", class_=FORMULA):
            span.replace_with(BeautifulSoup(mathml(span.get_text()), features="html.parser"))
        assert soup.head is not None  # every template has one
        soup.head.insert(0, self.finish(soup))
        return str(soup), resources

    def finish(self, soup: BeautifulSoup) -> Tag:
        """Take out what a page of this kind must not have, and return what its head is to begin with."""
        raise NotImplementedError


class _Renderer(IPythonRenderer):
    """Marks formulas; they are made only when all else has been cleaned."""

    def inline_math(self, body: str) -> str:
        return self._formula(f"${body}$")

    def block_math(self, body: str) -> str:
        return self._formula(f"$${body}$$")

    def latex_environment(self, name: str, body: str) -> str:
        return self._formula(rf"$$\begin{{{name}}}{body}\end{{{name}}}$$")

    def _formula(self, text: str) -> str:
        return f'<span class="{FORMULA}">{self.escape_html(text)}</span>'


def mathml(formula: str) -> str:
    """A formula as MathML markup; one that cannot be read, as the text that it is.

    Args:
        formula: LaTeX between dollar signs, one on each side or, for a line of its own, two.
    """
    if len(formula) > LONGEST_FORMULA:
        return html.escape(formula)
    # The library knows aligned by this name only.
    latex = re.sub(r"(begin|end)\{aligned\}", r"\1{align*}", formula.strip("$"))
    try:
        made = convert_to_element(latex, display="block" if formula.startswith("$$") else "inline")
        for element in made.iter():
            _disarm(element)
        return tostring(made, encoding="unicode", method="html")
    except Exception:  # many types, RecursionError among them
        return html.escape(formula)


def _disarm(element: Element) -> None:
    """Leave an element its looks; its text is text, whatever it says (the library writes characters as `&#x3B1;`)."""
    for name in set(element.attrib) - LOOKS:
        del element.attrib[name]
    element.text = html.unescape(element.text) if element.text else None
    if element.tag == "mo" and element.text in NO_OPERATORS:
        element.tag = "mi"


def _allowed(tag: str, attribute: str, value: str) -> bool:
    """The attributes that Markdown may have: links a reader can follow, images that are in the page."""
    if (tag, attribute) == ("a", "href"):
        return LINK.fullmatch(value) is not None
    if (tag, attribute) == ("img", "src"):
        return IMAGE.fullmatch(value) is not None
    return (tag, attribute) in {("img", "alt"), ("a", "title"), ("span", "class")}
