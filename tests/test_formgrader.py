"""nbgrader's formgrader on a class that `course grade` has graded, in a real browser.

What an instructor gives there is in the report and in feedback, and a regrade keeps it; what a student wrote is only
shown.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from browsing import jupyter, open_page, save_field
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell
from playwright.sync_api import Browser, Page, expect
from support import ROOT, SMALL, small_repository, submission

from course_utils import release

NAME = "01-sums"
COURSE = Path(sys.executable).parent / "course"
MEAN = r"""Without `math.fsum`.

$$
\bar x = \frac{1}{n} \sum_{i=1}^n x_i
$$"""
OVER_ALL = '<span class="full-credit modal-backdrop fade">x</span>'
HOSTILE = [
    new_markdown_cell("Mine: $a < b$ <script>window.evil = 1</script><img src=x onerror='window.evil = 2'>"),
    new_raw_cell("<script>window.evil = 3</script>"),
    # What nbgrader's style would lay over the whole page, for its script to take a click on it as one on its button.
    new_raw_cell(f'<div class="nbgrader_cell"><span id="mean-hidden"></span>{OVER_ALL}</div>'),
    new_markdown_cell(f'<div class="nbgrader_cell"><span id="mean-hidden"></span>{OVER_ALL}</div>'),
    new_markdown_cell(f'<a href="/formgrader">{OVER_ALL}</a>'),
    new_code_cell("1", outputs=[new_output("display_data", {"text/html": OVER_ALL, "text/plain": "an object"})]),
]
ODD = '김 [2] <b title="x">'
STUDENTS = {"ann": {}, "ben": {"mean": "def mean(numbers):\n    return 0.0"}, ODD: {}}


def course(root: Path, *words: object) -> str:
    done = subprocess.run([COURSE, *map(str, words)], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one assignment that has a formula."""
    root = small_repository(tmp_path_factory.mktemp("repository"), SMALL.replace("Without `math.fsum`.", MEAN))
    (root / "nbgrader_config.py").write_bytes((ROOT / "nbgrader_config.py").read_bytes())
    return root


@pytest.fixture(scope="module")
def folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course folder with three submissions, graded."""
    folder, made = tmp_path_factory.mktemp("class"), release.build(root, NAME)
    for student, answers in STUDENTS.items():
        handed_in = submission(made, answers)
        handed_in.cells += HOSTILE
        path = folder / "submitted" / student / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(handed_in), encoding="utf-8")
    course(root, "grade", NAME, "--course", folder, "--workers", 1)
    return folder


@pytest.fixture(scope="module")
def address(root: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `course formgrader` prints for a browser to open."""
    with jupyter(tmp_path_factory.mktemp("home"), "course", "formgrader", "--course", folder, cwd=root) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The formgrader's first page; at the end nothing went wrong, and nothing was asked of another host."""
    page, troubles = open_page(browser)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    yield page
    here = address.partition("/formgrader")[0]
    assert [url for url in asked if not url.startswith(here)] == []
    assert troubles == []
    page.context.close()


def open_submission(page: Page, student: str) -> None:
    """By the way that an instructor takes."""
    page.get_by_role("link", name="Manual Grading").click()
    for _ in ("assignment", "notebook"):
        page.locator("td").get_by_role("link", name=NAME).click()
    row = page.get_by_role("row").filter(has=page.get_by_text(student, exact=True))
    row.locator(".glyphicon-eye-open").click()
    row.get_by_role("link", name=student, exact=True).click()
    expect(page.locator("input.score")).to_have_count(4)
    expect(page.locator("textarea.comment")).to_have_count(2)


def points(root: Path, folder: Path) -> dict[str, str]:
    rows = csv.DictReader(course(root, "report", NAME, "--course", folder, "--format", "csv").splitlines())
    return {row["student"]: row["score"] for row in rows}


def formulas_are_drawn(page: Page) -> None:
    """A fraction has its two parts one above the other, which no text has."""
    fraction = page.locator("math mfrac").first
    above, below = (fraction.locator("xpath=*").nth(place).bounding_box() for place in (0, 1))
    assert above is not None
    assert below is not None
    assert above["height"] > 0
    assert above["y"] + above["height"] <= below["y"] + 1


def test_it_lists_the_assignment_and_its_submissions(page: Page) -> None:
    page.locator("td").get_by_role("link", name="3", exact=True).click()
    for student, score in (("ann", "100 / 100"), ("ben", "50 / 100"), (ODD, "100 / 100")):
        row = page.get_by_role("row").filter(has=page.get_by_text(student, exact=True))
        expect(row).to_contain_text(score)
        expect(row).to_contain_text("graded")


def test_what_a_student_wrote_is_shown_and_not_run(page: Page) -> None:
    open_submission(page, ODD)
    expect(page.get_by_text("<script>window.evil = 1</script>")).to_be_visible()
    expect(page.get_by_text("<script>window.evil = 3</script>")).to_be_visible()
    assert page.evaluate("window.evil") is None
    assert page.locator(".live-notebook .name-shown").first.text_content().strip() == ODD
    assert page.locator(".live-notebook b").count() == 0
    assert page.locator("math").last.text_content() == "a<b"
    formulas_are_drawn(page)


def test_a_click_on_the_page_is_no_click_on_a_button_that_a_student_made(page: Page) -> None:
    open_submission(page, "ann")
    expect(page.locator("input.score[placeholder]")).not_to_have_count(0)
    written, here = [], page.url
    page.on("request", lambda request: written.append(request.url) if request.method != "GET" else None)
    assert page.locator(".modal-backdrop").count() == 0
    assert page.locator("[id=mean-hidden]").count() == 1
    for place in (300, 500, 700):
        page.mouse.click(1270, place)
    page.wait_for_load_state("networkidle")
    assert (written, page.url) == ([], here)


@pytest.mark.parametrize("where", ["manage_students", "gradebook", "manage_submissions"])
@pytest.mark.parametrize(
    "name", ["<img src=x onerror=evil=1>", '";window.evil=1;"', "</script><script>evil=1</script>"]
)
def test_a_link_with_a_script_in_it_runs_nothing(browser: Browser, address: str, where: str, name: str) -> None:
    page, _ = open_page(browser)
    page.goto(address)
    page.goto(f"{address.partition('/formgrader')[0]}/formgrader/{where}/{quote(name, safe='')}")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.evil") is None
    page.context.close()


def test_points_and_a_comment_given_by_hand_stay(page: Page, browser: Browser, root: Path, folder: Path) -> None:
    open_submission(page, "ben")
    save_field(page, "mean-hidden", "12.5")
    save_field(page, "spread-visible_extra_credit", "1")
    save_field(page, "mean-comment", r"The **idea** is right: $\frac{a}{b}$")
    assert points(root, folder) == {"ann": "100", "ben": "63.5", ODD: "100"}
    assert "3 to grade" in course(root, "grade", NAME, "--course", folder, "--workers", 1, "--regrade")
    page.reload()
    expect(page.locator("#mean-hidden")).to_have_value("12.5")
    assert points(root, folder) == {"ann": "100", "ben": "63.5", ODD: "100"}

    course(root, "feedback", NAME, "--course", folder, "--student", "ben")
    feedback, troubles = open_page(browser)
    feedback.goto((folder / "feedback" / "ben" / NAME / f"{NAME}.html").as_uri())
    expect(feedback.get_by_role("heading").first).to_have_text("01-sums (Score: 63.5 / 100.0)")
    comment = feedback.locator(".panel-footer").filter(has_text="Comments")
    expect(comment.locator("strong")).to_have_text("idea")
    expect(comment.locator("math mfrac")).to_be_visible()
    formulas_are_drawn(feedback)
    assert troubles == []
    feedback.context.close()


def test_its_button_for_feedback_makes_a_page_that_runs_nothing(page: Page, folder: Path) -> None:
    page.locator("td").get_by_role("link", name="3", exact=True).click()
    page.get_by_role("row").filter(has=page.get_by_text("ann", exact=True)).locator(".generate-feedback a").click()
    expect(page.locator(".modal-title")).to_have_text("Success", timeout=30_000)
    text = (folder / "feedback" / "ann" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in text
    assert "<script" not in text
    assert "<mfrac>" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--course", "nowhere"), "there is no course folder"),
        (("--db", "sqlite:////proc/none.db"), "none.db"),
        (("--port", "0"), "--port"),
    ],
)
def test_what_is_wrong_is_one_line(root: Path, words: tuple[str, ...], said: str) -> None:
    done = subprocess.run([COURSE, "formgrader", *words], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("course: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
