from pathlib import Path

import pytest
from docutils import nodes
from docutils.utils import new_document

ROOT = Path(__file__).parents[1]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    import course_lines

    return course_lines


def page(*parts: nodes.Node) -> nodes.document:
    document = new_document("page")
    document += nodes.paragraph("", "", *parts)
    return document


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("takes 3 ms and 400 kB", "takes 3~ms and 400~kB"),
        ("loses 12 % of it", "loses 12~% of it"),
        ("see Figure 3, Table B and chapter 04", "see Figure~3, Table~B and chapter~04"),
        ("3 msgs, Figure of speech, Table Salt", "3 msgs, Figure of speech, Table Salt"),
    ],
)
def test_no_line_ends_before_a_unit_or_a_number(lines, text: str, kept: str) -> None:
    document = page(nodes.Text(text))
    lines.KeepNumbers(document).apply()
    assert document.astext().replace(lines.SPACE, "~") == kept


def test_a_unit_after_a_number_that_is_glued_in_stays_with_it(lines) -> None:
    document = page(nodes.inline("", "12"), nodes.Text(" % of the words"))
    lines.KeepNumbers(document).apply()
    assert document.astext().replace(lines.SPACE, "~") == "12~% of the words"


def test_code_is_left_as_it_is(lines) -> None:
    document = page(nodes.literal("", "12 % 5"))
    lines.KeepNumbers(document).apply()
    assert document.astext() == "12 % 5"


def test_a_formula_is_held_with_the_marks_around_it(lines) -> None:
    document = page(nodes.Text("the score ("), nodes.math("", "s_i"), nodes.Text("), or "), nodes.math("", "w"))
    lines.KeepMarks(document).apply()
    (held,) = document.findall(nodes.inline)
    assert held["classes"] == ["kept"]
    assert [child.astext() for child in held] == ["(", "s_i", "),"]
    assert document.astext() == "the score (s_i), or w"
