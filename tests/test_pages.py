"""The statistics page: all in one file, the same bytes for the same grades, and no student's text is run."""

from __future__ import annotations

import dataclasses
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from grades import HOSTILE, NAME, PROBLEMS, WORTH, refused, score
from playwright.sync_api import Browser
from support import ROOT

from course_utils.grading import plots
from course_utils.grading.gradebook import Score
from course_utils.grading.pages import statistics_page

LOST = [{}, {"mean-visible": "shape"}, {"mean-hidden": "seven", "mean-visible": "shape"}, {"spread-hidden": "negative"}]


def a_class(size: int = 12) -> list[Score]:
    return [score(f"s{number:02}", LOST[number % 4], penalty=float(number == 3)) for number in range(size)]


def page(scores: list[Score]) -> str:
    return statistics_page(NAME, scores, PROBLEMS)


def read(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")


def cells(text: str, region: str) -> list[list[str]]:
    rows = read(text).find(attrs={"aria-label": region}).select("tbody tr")
    return [[" ".join(cell.get_text().split()) for cell in row.select("th, td")] for row in rows]


def test_the_tables_say_in_numbers_what_the_plots_show() -> None:
    text = page([*a_class(), refused("zoe")])
    assert "Submissions: 12 graded, 1 refused, 1 pending review." in text
    assert cells(text, "Item statistics")[:2] == [
        ["The mean", "6 of 12", "50%", "-0.49", "70%", "100%"],
        ["mean-visible", "6 of 12", "50%", "0.00", "81%", "81%"],
    ]
    assert cells(text, "What went wrong first") == [
        ["The mean", "6", "shape"],
        ["The spread", "3", "negative"],
    ]
    assert cells(text, "Submissions")[3] == ["s03", "50", "20", "1", "69 of 100", ""]
    assert cells(text, "Submissions")[-1] == ["zoe", "0", "0", "0", "0 of 100", "pending review, refused: no notebook"]
    bins = [[cell.get_text() for cell in row.select("th, td")] for row in read(text).select(".beside tr")]
    assert bins == [["Points", "Submissions"], *([f"{low} to {low + 10}", str(n)] for low, n in BINS)]


BINS = [(0, 0), (10, 0), (20, 0), (30, 0), (40, 0), (50, 3), (60, 1), (70, 2), (80, 3), (90, 3)]


def test_no_order_shows_and_a_second_run_gives_the_same() -> None:
    scores = [*a_class(), refused("zoe")]
    assert page(scores) == page(scores[::-1]) == page(scores)


def test_what_students_wrote_is_text() -> None:
    scores = [score(HOSTILE, {"mean-visible": HOSTILE, "mean-hidden": "no"}), refused("<b>")]
    scores.append(dataclasses.replace(score("=1+1"), record=None))
    text = page(scores)
    assert not read(text).find("script")
    assert not read(text).find("b")
    assert "\x1b" not in text
    shown = HOSTILE.replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    assert cells(text, "What went wrong first") == [["The mean", "1", shown]]
    assert [row[0] for row in cells(text, "Submissions")] == [shown, "<b>", "=1+1"]


def test_nothing_is_fetched() -> None:
    text = page(a_class())
    assert "default-src 'none'" in text
    addresses = re.findall(r"""(?:href|src)=["']([^"']*)|url\(([^)]*)""", text)
    assert {first or second for first, second in addresses} == {
        address for pair in addresses for address in pair if address.startswith("#")
    }
    assert set(re.findall(r"https?://[\w./]+", text)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_every_plot_says_in_words_what_it_shows() -> None:
    images = read(page(a_class())).select("svg[role=img]")
    assert [image["aria-label"] for image in images] == [
        "Histogram of the totals of 12 submissions: from 50 to 100 points, half of them at 75 or more.",
        "Bars of the share of submissions that solved each problem: The mean 50%, The spread 75%.",
        "Dots of the mean share of all other points, of those who solved a problem against the others. "
        "The mean: 70% against 100%; The spread: 53% against 100%.",
    ]


@pytest.mark.parametrize("scores", [[], [refused("zoe")], [score("ann")], a_class(9), [score("a")] * 12])
def test_small_classes_have_a_page_too(scores: list[Score]) -> None:
    text = page(scores)
    graded = [each for each in scores if each.record and each.record.verdicts]
    assert len(read(text).select("svg[role=img]")) == (0 if not graded else 3 if len(graded) >= 10 else 2)
    assert len(cells(text, "Submissions")) == len(scores)
    assert len(cells(text, "Item statistics")) == (6 if graded else 2)


def test_extra_points_and_borders_have_their_place_in_the_histogram() -> None:
    assert [count for *_, count in plots.binned([0, 9.9, 10, 99, 100, 108], 100)] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 3]
    assert sum(count for *_, count in plots.binned([0, 0], 0)) == 2


def test_a_title_is_no_formula_of_a_plot() -> None:
    problems = [dataclasses.replace(PROBLEMS[0], title=r"$\frac{$ and a title that is far too long to stand beside")]
    assert "too long to stand beside" in statistics_page(NAME, a_class(), problems)


def test_points_by_hand_alone_are_a_class_too() -> None:
    scores = [Score(f"s{n}", NAME, points=dict.fromkeys(WORTH, 0.0), available=WORTH) for n in range(11)]
    assert "Histogram of the totals of 11 submissions: from 0 to 0 points" in page(scores)


def test_the_colours_are_the_books() -> None:
    ours = (ROOT / "src/course_utils/grading/templates/page.css").read_text(encoding="utf-8")
    book = (ROOT / "book/_static/course.css").read_text(encoding="utf-8")
    starts = ((r":root \{(.*?)\}", r":root \{(.*?)\}"), (r"@media.*?\{(.*?)\}", r'"dark"\] \{(.*?)\}'))
    for mine, theirs in starts:
        pair = [
            dict(re.findall(r"(--[\w-]+): (#\w+);", re.search(p, s, re.DOTALL)[1]))
            for p, s in ((mine, ours), (theirs, book))
        ]
        assert len(pair[0]) == 7
        assert pair[0].items() <= pair[1].items()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_breaks_no_rule_of_access(browser: Browser, tmp_path, theme: str) -> None:
    (tmp_path / "page.html").write_text(page([*a_class(), refused("zoe")]), encoding="utf-8")
    context = browser.new_context(color_scheme=theme, viewport={"width": 390, "height": 844})
    shown = context.new_page()
    shown.goto((tmp_path / "page.html").as_uri())
    assert shown.evaluate("document.documentElement.scrollWidth") == 390
    broken = Axe().run(shown, options={"resultTypes": ["violations"]}).response["violations"]
    context.close()
    assert [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in broken] == []
