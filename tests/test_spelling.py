"""The words of the book: Hunspell's British dictionary, and the project's own list in `tests/words.txt`."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from browsing import HTML
from bs4 import BeautifulSoup

OWN = Path(__file__).with_name("words.txt")
# Lists of names made from the package, and its source.
NO_TEXT = re.compile(r"_modules/|(genindex|py-modindex|search)\.html")
# Code, mathematics, what cells print, names of parameters and what others named are no prose of ours.
NOT_PROSE = (
    "code, pre, script, style, svg, .math, .cell_output, .citation-list, .viewcode-link, .sig, .pre,"
    " .field-list strong, .field-list em, .field-list a, .xref, .headerlink, [lang]:not([lang|=en])"
)
POSSESSIVE = re.compile(r"(?<=[\w\]])\s?[’'](s\b|(?!\w))")
ELISION = re.compile(r"\b[ldtjnsmc][’'](?=\w)", re.IGNORECASE)  # of French
# An abbreviation; a word with a digit, or with a letter of another script, such as 2d or µs, is a sign.
SIGN = re.compile(r"\b(?:Alg|Eq)\.|\S*[\d²³_@]\S*|[^\W\d_]*[µ\u0300-\u1fff\u2070-\U0010ffff]\S*")


@cache
def prose(name: str) -> str:
    """The running text of a built page."""
    page = BeautifulSoup((HTML / name).read_text(encoding="utf-8"), "lxml")
    article = page.select_one(".bd-article")
    if article is None:
        return ""
    for part in article.select(NOT_PROSE):
        part.replace_with("0" if part.name in ("code", "span") else " 0 ")  # so that the i-th is one sign
    for chance in article.select("wbr"):
        chance.decompose()
    article.smooth()
    text = article.get_text(" ").replace("\u00ad", "")
    words = SIGN.sub(" ", ELISION.sub("", POSSESSIVE.sub("", text))).split()
    return "\n".join(words)  # Hunspell cuts a long line, in the midst of a word


def misspelt(text: str) -> set[str]:
    """The words that neither dictionary knows."""
    if shutil.which("hunspell") is None:
        pytest.fail("no spelling checker: install the packages hunspell and hunspell-en-gb", pytrace=False)
    command = ["hunspell", "-d", "en_GB", "-p", str(OWN), "-i", "utf-8", "-l"]
    return set(subprocess.run(command, input=text, text=True, capture_output=True, check=True).stdout.split())


@pytest.fixture(scope="module")
def texts(pages: list[str]) -> dict[str, str]:
    return {name: prose(name) for name in pages if not NO_TEXT.match(name)}


def test_every_page_is_spelt_as_in_britain(texts: dict[str, str]) -> None:
    found = {name: sorted(misspelt(text)) for name, text in texts.items()}
    assert {name: words for name, words in found.items() if words} == {}


def test_the_checker_sees_a_wrong_letter_and_an_american_word_and_knows_our_own() -> None:
    assert misspelt("The softmax of Bahdanau has the colour of wieghts, not a color.") == {"wieghts", "color"}


def test_the_own_list_is_sorted_and_no_word_is_left_over(texts: dict[str, str]) -> None:
    words = OWN.read_text(encoding="utf-8").splitlines()
    assert words == sorted(set(words), key=lambda word: (word.lower(), word))
    assert all(word.isalpha() for word in words)
    used = {word.lower() for text in texts.values() for word in re.findall(r"[^\W\d_]+", text)}
    assert [word for word in words if word.lower() not in used] == []
