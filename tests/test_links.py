"""Every link of the built book, and its text: read from the files, by no browser."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browsing import HTML
from lxml import html
from lxml.html import HtmlElement

# What a browser fetches by itself; to an `href` of `a` it goes only when asked.
FETCHED = {"img", "script", "link", "source", "audio", "video", "iframe", "image"}
HTTP_ONLY = {"http://cogprints.org/1380/"}  # the old host of a report
# Words of TeX and of MyST that should have become something else; where a page quotes some, they stand in code.
RAW = re.compile(r"\$|\\[a-zA-Z]{2,}|\\[()\[\]]|\{[a-z:-]+\}`|:::|```")
QUOTED = "//code | //pre | //script | //style | //svg | //*[contains(concat(' ', @class, ' '), ' math ')]"


@cache
def tree(page: Path) -> HtmlElement:
    return html.document_fromstring(page.read_bytes())


@cache
def places(page: Path) -> frozenset[str]:
    """What a link into a page may name."""
    return frozenset(tree(page).xpath("//@id"))


def trouble(page: Path, tag: str, target: str) -> str | None:
    """What is wrong with a link, None where it leads somewhere."""
    parts = urlsplit(target)
    if parts.scheme == "data":
        return None
    if parts.scheme or parts.netloc:
        if tag in FETCHED:
            return "from another host"
        proper = re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/\S*)?", target)
        return None if proper or target in HTTP_ONLY else "no proper address"
    path = unquote(parts.path)
    if page.name == "404.html":  # shown at any address, so its links begin at the server's root
        path = path.removeprefix("/")
    file = page.parent / path if path else page
    if HTML not in file.resolve().parents or not file.is_file():
        return "no such file"
    if parts.fragment and file.suffix == ".html" and unquote(parts.fragment) not in places(file.resolve()):
        return "no such place"
    return None


def test_every_link_leads_somewhere(pages: list[str]) -> None:
    wrong = {
        (name, target, why)
        for name in pages
        for element, _, target, _ in tree(HTML / name).iterlinks()
        if (why := trouble(HTML / name, element.tag, target))
    }
    assert wrong == set()


def test_no_tex_and_no_myst_is_left_in_the_text(pages: list[str]) -> None:
    left = {}
    for name in pages:
        body = copy.deepcopy(tree(HTML / name).body)
        for quoted in body.xpath(QUOTED):
            quoted.drop_tree()
        if found := RAW.findall(body.text_content()):
            left[name] = found
    assert left == {}


@pytest.mark.parametrize(
    ("tag", "target", "why"),
    [
        ("a", "index.html#no-such-place", "no such place"),
        ("a", "no-such-page.html", "no such file"),
        ("a", "../outside.html", "no such file"),
        ("a", "http://example.org/", "no proper address"),
        ("a", "https://exam ple.org/", "no proper address"),
        ("script", "https://example.org/x.js", "from another host"),
        ("a", "https://example.org/x", None),
        ("a", "index.html", None),
        ("img", "data:image/png;base64,", None),
    ],
)
def test_the_judge_of_links(pages: list[str], tag: str, target: str, why: str | None) -> None:
    assert trouble(HTML / "index.html", tag, target) == why
