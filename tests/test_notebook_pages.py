"""Formulas as MathML: what the course's assignments have is drawn, and what a student writes stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import nbgrader.apps  # noqa: F401 - first: nbgrader's packages import each other in a circle
import pytest
from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell
from support import ROOT

from course_utils.grading.notebook_pages import LONGEST, LONGEST_FORMULA, MOST, Page, mathml

FORMULA = re.compile(r"\$\$.+?\$\$|(?<![\\$])\$[^$]+?\$", re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


class Parts(HTMLParser):
    """The tags, the names of attributes and the text of some markup."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_formula_is_drawn_inline_or_on_a_line_of_its_own() -> None:
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">' in mathml(r"$\frac{a}{b}$")
    assert 'display="block"' in mathml(r"$$\frac{a}{b}$$")
    assert "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>" in mathml(r"$\frac{a}{b}$")
    assert Parts(mathml(r"$$\begin{aligned}\alpha &= 1 \\ b &= 2\end{aligned}$$")).text == "α=1b=2"
    assert "<mo>−</mo><mi>∞</mi>" in mathml(r"$-\infty$")
    assert mathml(r"$$\begin{aligned}a &= 1 \\ b &= 2\end{aligned}$$").count("<mtr>") == 2


def test_every_formula_of_the_assignments_is_drawn() -> None:
    sources = [CODE.sub("", path.read_text(encoding="utf-8")) for path in ROOT.glob("solutions/*/*.md")]
    formulas = [formula for source in sources for formula in FORMULA.findall(source)]
    assert len(formulas) > 500
    made = [(formula, Parts(mathml(formula))) for formula in formulas]
    assert [formula for formula, parts in made if parts.tags[:1] != ["math"] or re.search(r"[\\&]", parts.text)] == []


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (r"$\text{<script>alert(1)</script>}$", "<script>alert(1)</script>"),
        (r"$\unicode{x3c}b>$", "<b>"),
        (r"$a < b$", "a<b"),
        (r"$\href{javascript:alert(1)}{x}$", "x"),
        (r"$\style{background:url(https://evil.example)}{x}$", "x"),
        ('$\\color{red" onload="alert(1)}{x}$', "x"),
        (r"$\class{a}{x}$", "x"),
    ],
)
def test_a_formula_brings_nothing_but_its_looks(formula: str, text: str) -> None:
    parts = Parts(mathml(formula))
    assert parts.text == text
    assert all(re.fullmatch("m[a-z]+", tag) for tag in parts.tags)
    assert not parts.attributes & {"href", "style", "class", "onload", "mathcolor"}


@pytest.mark.parametrize(
    "formula", [r"$\frac$", "${$", "$" + "{" * 900 + "}" * 900 + "$", f"${'<' * LONGEST_FORMULA}$", "$$$$"]
)
def test_what_is_no_formula_is_shown_as_it_is(formula: str) -> None:
    parts = Parts(mathml(formula))
    assert parts.text == formula or set(parts.tags) <= {"math", "mrow"}
    assert "<script" not in mathml(formula)


class Plain(Page):
    """A page with nothing taken out."""

    def finish(self, soup: BeautifulSoup) -> Tag:
        return soup.new_tag("meta")


def body(*cells: NotebookNode) -> Tag:
    page, _ = Plain().from_notebook_node(new_notebook(cells=cells))
    found = BeautifulSoup(page, features="html.parser").body
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("make", "kind", "text", "sign"),
    [(new_markdown_cell, "markdown", "**a** ", "strong"), (new_code_cell, "code", "if a:\n", "span.k")],
)
def test_what_would_be_slow_is_shown_as_it_is(
    make: Callable[[str], NotebookNode], kind: str, text: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LONGEST, kind, 1001)
    monkeypatch.setitem(MOST, kind, 2500)
    fits, long = text * (LONGEST[kind] // len(text)), text * (LONGEST[kind] // len(text) + 1)
    assert body(make(fits)).select(sign)
    shown = body(make(long))
    assert not shown.select(sign)
    assert long.strip() in shown.get_text()
    assert len(body(*(make(fits) for _ in range(5))).select(sign)) == 2 * fits.count(text)


def test_a_student_chooses_no_class_but_those_of_colours_and_no_id() -> None:
    span = '<span class="{}" id="mean">x</span>'
    shown = body(
        new_markdown_cell(span.format("full-credit") + span.format("k full-credit") + span.format("score")),
        new_raw_cell(span.format("full-credit")),
        new_code_cell(
            "1", outputs=[new_output("display_data", {"text/html": span.format("score"), "text/plain": "y"})]
        ),
    )
    assert not shown.select(".full-credit, .score, #mean")
    assert span.format("full-credit") in shown.get_text()


@pytest.mark.parametrize("language", ["ipython3", "html", "mermaid", "no-such", ""])
def test_only_python_is_coloured(language: str) -> None:
    shown = body(new_markdown_cell(f"```{language}\nif a < b: <i>c</i>\n```"))
    assert "if a < b: <i>c</i>" in shown.get_text()
    assert bool(shown.select(".k")) == (language == "ipython3")
    assert not shown.select("i, script, .mermaid, .jp-Mermaid")
