"""One form for all chapters, as written and as built: goals, figures, equations, recap, assignment, further reading."""

import re
from itertools import pairwise
from pathlib import Path

import bs4
import pytest
import yaml
from browsing import HTML, ROOT

CHAPTERS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "book").glob("[0-9]*.md"))}
PAGES = CHAPTERS | {
    name: (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8") for name in ("grading", "notation")
}
PLAYED = ["soft-dictionary", "listening-figure", "family-tree", "attention-view", "position-dials", "flash-tiles"]
WITHOUT_ASSIGNMENT = {"00-warm-up"}  # a self-test stands in its place
LAB_OF_08B = "exercises/lab-3-triton/lab-3-triton"  # chapter 08 looks ahead to it
BOX = re.compile(r"^(`{3,}|:{3,})\{(admonition|exercise|solution)\}.*?^\1$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^```\{code-cell\} ipython3\n---\n(.*?)^---\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def boxes(text, kind):
    """The title and body of each admonition of a class."""
    return re.findall(
        rf"^(`{{3,}})\{{admonition\}} ([^\n]+)\n:class: {kind}\n(.*?)^\1$", text, flags=re.MULTILINE | re.DOTALL
    )


def items(text):
    return re.findall(r"^(?:- |\d\. )(.+)$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", CHAPTERS)
class TestChapter:
    def test_its_goals_stand_before_its_first_heading(self, name):
        opening = re.split(r"^## ", CHAPTERS[name], flags=re.MULTILINE)[0]
        ((_, title, body),) = boxes(CHAPTERS[name], "goals")
        assert title == "What you will be able to do"
        assert body in opening
        assert 3 <= len(items(body)) <= 6
        assert {line[-1] for line in items(body)[:-1]} == {";"}
        assert items(body)[-1].endswith(".")

    def test_its_recap_has_five_lines(self, name):
        ((recap),) = re.findall(r"^## Recap\n\n((?:.+\n)+)", CHAPTERS[name], flags=re.MULTILINE)
        assert [line[:3] for line in recap.splitlines()] == [f"{n}. " for n in range(1, 6)]

    def test_its_parts_stand_in_one_order(self, name):
        text = CHAPTERS[name]
        parts = [
            ":class: goals",
            "## Recap",
            ":class: assignment",
            r"\*\*What to read next\.\*\*",
        ]
        if name in WITHOUT_ASSIGNMENT:
            parts.remove(":class: assignment")
        places = [[found.start() for found in re.finditer(f"^{part}", text, re.MULTILINE)] for part in parts]
        assert [len(found) for found in places] == [1] * len(parts)
        assert all(one < other for (one,), (other,) in pairwise(places))

    def test_its_assignment_has_a_page_with_the_notebook_to_download(self, name):
        for _, title, body in boxes(CHAPTERS[name], "assignment"):
            assert title.startswith("Your turn: ")
            places = re.findall(r"\{doc\}`[^<`]*</(exercises/[^>]+)>`", body)
            assert places
            for place in places:
                page = HTML / f"{place}.html"
                links = re.findall(r'href="([^"]+/(?:\w|-)+\.ipynb)"', page.read_text(encoding="utf-8"))
                assert Path(place).name in [Path(link).stem for link in links]
                assert all((page.parent / link).is_file() for link in links)

    def test_what_to_read_next_is_its_end_and_leads_somewhere(self, name):
        last = CHAPTERS[name].rstrip().split("\n\n")[-1]
        assert last.startswith("**What to read next.** ")
        assert re.search(r"\{(doc|ref|cite:t)\}`", last)


@pytest.mark.parametrize("name", PAGES)
class TestWritten:
    def test_every_figure_has_a_name_a_message_and_words(self, name):
        for head, _ in CELL.findall(PAGES[name]):
            if "figure:" in head:
                assert re.search(r"^    name: fig-[a-z-]+$", head, re.MULTILINE), head
                assert re.search(r'^    caption: .{30,}[.)]"?$', head, re.MULTILINE), head

    def test_every_figure_is_called_from_the_text(self, name):
        whole = "".join(PAGES.values())
        names = re.findall(r"^    name: (fig-\S+)$", PAGES[name], flags=re.MULTILINE)
        assert [each for each in names if f"`{each}`" not in whole] == []

    def test_every_equation_outside_a_box_has_a_label(self, name):
        """Sums worked out in boxes are steps, not statements: nobody refers to them."""
        text = BOX.sub("", PAGES[name])
        assert re.findall(r"^\$\$.*", text, flags=re.MULTILINE) == []
        assert re.findall(r"```\{math\}\n(?!:label: eq-)", text) == []

    def test_every_equation_that_is_called_is_there_once(self, name):
        labels = re.findall(r"^:label: (eq-\S+)$", "".join(PAGES.values()), flags=re.MULTILINE)
        assert len(labels) == len(set(labels))
        assert set(re.findall(r"\{eq\}`([^`]+)`", PAGES[name])) <= set(labels)


@pytest.fixture(scope="module", params=[*CHAPTERS, "grading"])
def built(request, pages):
    page = bs4.BeautifulSoup((HTML / f"{request.param}.html").read_text(encoding="utf-8"), "html.parser")
    return request.param.split("-")[0], page.select_one("article")


class TestBuilt:
    def test_figures_are_numbered_by_chapter_and_say_what_they_show(self, built):
        chapter, article = built
        figures = article.select("figure")
        numbers = [figure.select_one("figcaption .caption-number").text.strip() for figure in figures]
        prefix = f"{chapter}." if chapter[0].isdigit() else ""
        assert numbers == [f"Figure {prefix}{place}" for place in range(1, len(figures) + 1)]
        for figure in figures:
            assert len(figure.select_one("figcaption .caption-text").text) > 30
            named = figure.select("[aria-label], img[alt]")
            assert named, figure["id"]
            assert all((part.get("aria-label") or part.get("alt")).strip() for part in named)

    def test_what_is_played_with_is_a_figure(self, built):
        _, article = built
        for element in article.select(", ".join(PLAYED)):
            assert element.find_parent("figure"), element.name
            assert element["role"] == "group"
            assert element.select_one(".still")

    def test_equations_are_numbered_by_chapter(self, built):
        chapter, article = built
        numbers = [number.text.strip("()#¶") for number in article.select("div.math .eqno")]
        assert numbers == [f"{chapter}.{place}" for place in range(1, len(numbers) + 1)]


def side_bar():
    """What the side bar calls each chapter, in the order of the book."""
    parts = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    entries = [each for entry in parts[0]["chapters"] for each in (entry, *entry.get("sections", ()))]
    return {entry["file"]: entry["title"] for entry in entries}


def soup(name):
    return bs4.BeautifulSoup((HTML / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def test_the_side_bar_says_a_chapters_number_and_its_title():
    titles = {name: re.search("^# (.+)$", text, re.MULTILINE)[1] for name, text in CHAPTERS.items()}
    assert side_bar() == {name: f"{name.split('-')[0]} {title}" for name, title in titles.items()}


def test_pages_call_their_neighbours_as_the_side_bar_does(pages):
    for (name, title), (following, its_title) in pairwise(side_bar().items()):
        assert soup(name).select_one(".right-next .prev-next-title").text == its_title
        assert soup(following).select_one(".left-prev .prev-next-title").text == title


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_title_stands_between_its_chapters_number_and_what_the_chapter_takes(pages, name):
    title = soup(name).select_one("article h1")
    assert title.find_previous_sibling("p").text == f"Chapter {name.split('-')[0]}"
    line = title.find_next_sibling()
    minutes = soup("index").select_one(f'.chapter-map tbody tr:has(a[href="{name}.html"]) td').text
    assert line.text.startswith(f"{minutes} to read · ")
    links = [link["href"].removesuffix(".html") for link in line.select("a")]
    its_box = "".join(body for _, _, body in boxes(CHAPTERS[name], "assignment"))
    tasks = set(re.findall(r"</(exercises/[^>]+)>", its_box)) - ({LAB_OF_08B} if name != "08b-triton" else set())
    assert {link for link in links if link.startswith("exercises/")} == tasks
    index = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    needed = re.search(rf"(?:^|\| ){name}(?: <([^|\n]*))?", index, re.MULTILINE)[1] or ""
    assert {link for link in links if link in CHAPTERS} == set(re.findall(r"[\w-]+", needed))
    assert links[-1] == "running"


def test_all_that_is_played_with_is_in_the_book(pages):
    text = "".join((HTML / f"{name}.html").read_text(encoding="utf-8") for name in CHAPTERS)
    assert [element for element in PLAYED if f"<{element} " not in text] == []
    # The attention explorer stands on the sentences of three chapters, in two of them with layers.
    for name in ("04-looking-back", "05-self-attention", "07-transformer"):
        assert "<attention-view " in (HTML / f"{name}.html").read_text(encoding="utf-8"), name
