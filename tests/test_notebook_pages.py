"""Formulas as MathML: what the course's assignments have is drawn, and what a student writes stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from support import ROOT

from course_utils.grading.notebook_pages import LONGEST_FORMULA, mathml

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
