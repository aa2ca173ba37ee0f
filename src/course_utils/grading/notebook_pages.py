"""How a browser is shown what a student wrote: in nbgrader's formgrader, to its instructor, and in feedback.

nbgrader's own pages hold a student's Markdown as it is, scripts and all, and fetch MathJax from another host. Here
Markdown goes through bleach, a raw cell is shown as code, of outputs text and images pass, and formulas become MathML,
which every browser draws without a script. Nothing of a student's has an id, or a class but those of colours in code:
nbgrader's script knows the buttons of the page by them, and its style could lay a student's words over all of it.

What is written to be slow is shown without colours or as it is: the time that it takes to read Markdown, or code, grows
with the square of its length.
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
from nbformat.v4 import new_code_cell, new_output
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from pygments.token import STANDARD_TYPES
from traitlets import Bool, default

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
TABLES = ("table", "thead", "tbody", "tr", "th", "td")
TAGS = {*ALLOWED_TAGS, *HEADINGS, *TABLES, "br", "dd", "del", "div", "dl", "dt", "hr", "img", "p", "pre", "span"}
LINK = re.compile(r"(https?://|mailto:|#)[^\s<>]*", re.IGNORECASE)
IMAGE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")

IMAGES = ("image/png", "image/jpeg")
COLOURS = {name for name in STANDARD_TYPES.values() if name}  # the classes of words in code
PYTHON = ("python", "python3", "ipython3", "py")
LONGEST = {"markdown": 10_000, "code": 30_000}  # characters of a cell; twice the longest of ours, at least
MOST = {"markdown": 100_000, "code": 100_000}  # of a notebook's cells together

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

    @default("filters")
    def _filters(self) -> dict[str, Any]:
        return {"highlight_code": self.coloured}

    def coloured(self, source: str, language: Any = None, metadata: Any = None) -> str:
        """Code as markup; always as Python, whatever language a cell says that it is in."""
        return _coloured(source) if self._may_take("code", source) else _plain(source)

    def _may_take(self, kind: str, source: str) -> bool:
        """Whether there is time for this, too."""
        self.left[kind] -= len(source)
        return len(source) <= LONGEST[kind] and self.left[kind] >= 0

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Render Markdown, also where its author wanted no such thing."""
        if not self._may_take("markdown", source):
            return _plain(source)
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = _Renderer(escape=False, attachments=attachments, exclude_anchor_links=True)
        try:
            rendered = MarkdownWithMath(renderer=renderer).render(source)
        except Exception:  # a missing attachment, lists a thousand deep
            return _plain(source)
        return Cleaner(TAGS, attributes=_allowed, protocols={"http", "https", "mailto", "data"}).clean(rendered)

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[str, dict[str, Any]]:
        """Convert, put in the formulas, and let `finish` have the page."""
        self.left = dict(MOST)
        shown = NotebookNode({**nb, "cells": [as_text(cell) for cell in nb.cells]})
        page, resources = super().from_notebook_node(shown, resources, **kw)
        soup = BeautifulSoup(page, features="html.parser")
        for span in soup.find_all("span", class_=FORMULA):
            span.replace_with(BeautifulSoup(mathml(span.get_text()), features="html.parser"))
        assert soup.head is not None  # every template has one
        soup.head.insert(0, self.finish(soup))
        return str(soup), resources

    def finish(self, soup: BeautifulSoup) -> Tag:
        """Take out what a page of this kind must not have, and return what its head is to begin with."""
        raise NotImplementedError


def as_text(cell: NotebookNode) -> NotebookNode:
    """A cell as it may be shown: a raw one, which a page would hold as it is, as code, and outputs made anew."""
    if cell.cell_type == "markdown":
        return cell
    outputs = [made for made in map(_shown_output, cell.get("outputs", [])) if made]
    return new_code_cell(cell.source, id=cell.get("id", ""), metadata=cell.metadata, outputs=outputs)


def _shown_output(output: NotebookNode) -> NotebookNode | None:
    """An output as text or an image in the page, else nothing."""
    if output.output_type == "stream":
        return new_output("stream", name="stderr" if output.name == "stderr" else "stdout", text=str(output.text))
    if output.output_type == "error":
        return new_output("error", ename="", evalue="", traceback=[str(line) for line in output.traceback])
    kept = {kind: str(output.data[kind]) for kind in (*IMAGES, "text/plain") if kind in output.data}
    return new_output("display_data", data=kept) if kept else None


def _plain(source: str) -> str:
    return f"<pre>{html.escape(source)}</pre>"


def _coloured(source: str) -> str:
    return highlight(source, PythonLexer(), HtmlFormatter())


class _Renderer(IPythonRenderer):
    """Marks formulas; they are made only when all else has been cleaned."""

    def block_code(self, code: str, info: str | None = None) -> str:
        """Colour Python; for the rest, a student would choose what reads it."""
        return _coloured(code) if (info or "").strip() in PYTHON else _plain(code)

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
    if (tag, attribute) == ("span", "class"):
        return value == FORMULA or value in COLOURS
    return (tag, attribute) in {("img", "alt"), ("a", "title")}
