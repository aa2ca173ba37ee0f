"""The book on paper: printed anew from the built pages, and read. Printing takes about a minute."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import HTML, ROOT
from pypdf import PdfReader
from pypdf.generic import DictionaryObject
from pypdfium2 import PdfDocument

AFTER_THE_CHAPTERS = ["notation", "glossary", "reproduced", "references"]
TEX = re.compile(r"\\(?:frac|mathbf|mathrm|sqrt|sum|text|begin|left|label|tag)\b|\$\$")


@pytest.fixture(scope="module")
def path(pages: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paper") / "book.pdf"
    subprocess.run([sys.executable, ROOT / ".ci" / "pdf", path], check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def book(path: Path) -> PdfReader:
    return PdfReader(path)


@pytest.fixture(scope="module")
def texts(path: Path) -> list[str]:
    """What stands on each page, without its number, which comes first."""
    with PdfDocument(path) as pdf:  # pypdf needs twenty times as long to read words
        return [re.sub(r"^\d+\r\n", "", page.get_textpage().get_text_range()) for page in pdf]


@pytest.fixture(scope="module")
def sources(pages: list[str]) -> dict[str, str]:
    """The built pages that belong on paper: title → HTML."""
    names = [*(page for page in pages if re.match(r"0\d", page)), *(f"{name}.html" for name in AFTER_THE_CHAPTERS)]
    texts = [(HTML / name).read_text(encoding="utf-8").partition('<article class="bd-article">')[2] for name in names]
    return {squeezed(html.unescape(re.search("<h1>(.*?)<a ", text)[1])): text for text in texts}


def squeezed(text: str) -> str:
    """Without spaces: where a line ends, the outline has none."""
    return "".join(text.split())


def links(book: PdfReader) -> Iterator[DictionaryObject]:
    for page in book.pages:
        for annotation in page.get("/Annots", []):
            if annotation.get_object()["/Subtype"] == "/Link":
                yield annotation.get_object()


def test_outline_names_the_chapters_in_order(book: PdfReader, sources: dict[str, str]) -> None:
    titles = [squeezed(entry.title) for entry in book.outline if not isinstance(entry, list)]
    assert titles[1:] == list(sources)


def test_chapters_begin_on_pages_of_their_own_that_the_contents_name(
    book: PdfReader, texts: list[str], sources: dict[str, str]
) -> None:
    places = [entry for entry in book.outline if not isinstance(entry, list)][1:]
    numbers = [book.get_destination_page_number(place) for place in places]
    assert numbers == sorted(set(numbers))
    assert 200 < len(book.pages) < 500
    contents = squeezed("".join(texts[1 : numbers[0]]))
    for title, number in zip(sources, numbers, strict=True):
        above = re.search(r'class="chapter-number">(.*?)</p>', sources[title])
        assert squeezed(texts[number]).startswith(squeezed(above[1] if above else "") + title)
        assert re.search(re.escape(title) + rf"{number + 1}(?!\d)", contents), title


def test_formulas_are_set(texts: list[str]) -> None:
    assert {number: found[0] for number, text in enumerate(texts, 1) if (found := TEX.search(text))} == {}


def test_every_question_is_answered(texts: list[str], sources: dict[str, str]) -> None:
    asked, printed = "".join(sources.values()), " ".join(texts)
    assert asked.count('class="verdict">') > 100
    for verdict in ("Right.", "Not quite."):
        assert printed.count(verdict) >= asked.count(f'class="verdict">{verdict}')


def test_fonts_are_embedded(book: PdfReader) -> None:
    fonts = [font.get_object() for page in book.pages for font in page["/Resources"].get("/Font", {}).values()]
    assert fonts
    for font in fonts:
        if font["/Subtype"] == "/Type0":
            descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
            assert any(f"/FontFile{kind}" in descriptor for kind in ("", "2", "3")), font["/BaseFont"]
        else:
            assert font["/Subtype"] == "/Type3", font  # its letters are drawn in the file itself


def test_links_lead_into_the_book_or_to_the_web(book: PdfReader) -> None:
    places, inside = book.named_destinations, 0
    for link in links(book):
        if "/Dest" in link:
            assert link["/Dest"] in places
            inside += 1
        else:
            assert re.match(r"https?://(?!book/)", link["/A"]["/URI"]), link["/A"]
    assert inside > 1000


def test_no_name_stands_for_two_places() -> None:
    """In one document, pages may not share ids: their links would lead astray."""
    script: dict[str, object] = {"__name__": "pdf", "__file__": str(ROOT / ".ci" / "pdf")}
    exec(Path(ROOT / ".ci" / "pdf").read_text(encoding="utf-8"), script)
    body, _ = script["whole"]()
    ids = re.findall(r'<[^>]*\sid="([^"]+)"', body)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'\shref="#([^"]+)"', body)) <= set(ids)
