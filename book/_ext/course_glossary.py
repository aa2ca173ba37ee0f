"""The glossary is linked from where its terms are first used: on each page of a chapter once, in running text.

On its own page, a row of letters leads to the first term of each. Search knows its terms as they are typed.
"""

from __future__ import annotations

import html
import re
from typing import Any

from course_quick_check import quick_check_option
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

_CHAPTER = re.compile(r"\d\d")
# Where a word is not running text, already leads somewhere, or is folded away at first.
_TITLES = (nodes.title, nodes.rubric, nodes.caption, nodes.term, nodes.thead, nodes.footnote)
_LINKS = (nodes.reference, addnodes.pending_xref)
_SIGNS = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw)
_ELSEWHERE = (*_TITLES, *_LINKS, *_SIGNS, quick_check_option)


def terms_of(env: Any) -> dict[str, tuple[str, str]]:
    """The glossary's terms and their variants, with the page and the place of each."""
    return {name: place for (kind, name), place in env.domains["std"].objects.items() if kind == "term"}


def pattern_of(terms: list[str]) -> re.Pattern[str]:
    """What finds any of the terms, a group for each, also in the plural; of two that fit the earlier in the list."""
    return re.compile(rf"(?<![\w–-])(?:{'|'.join(f'({_written(term)})' for term in terms)})(?:s|es)?(?![\w–-])")


def _written(term: str) -> str:
    """A term as it may stand in a text: also capitalised, and over the end of a line."""
    return f"[{term[0]}{term[0].upper()}]" + r"\s+".join(map(re.escape, term[1:].split(" ")))


def link_first_uses(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Make the first use of each term on a chapter's page a link; the variants of a term count as one."""
    terms = terms_of(app.env)
    if not terms or not _CHAPTER.match(page):
        return
    ordered = sorted(terms, key=len, reverse=True)
    pattern, seen = pattern_of(ordered), set()

    def linked(text: nodes.Text) -> list[nodes.Node]:
        found, end = [], 0
        for match in pattern.finditer(text):
            place = terms[ordered[match.lastindex - 1]]
            if place not in seen:
                seen.add(place)
                address = f"{app.builder.get_relative_uri(page, place[0])}#{place[1]}"
                link = nodes.reference("", match[0], refuri=address, internal=True, classes=["glossary-term"])
                found += [nodes.Text(text[end : match.start()]), link]
                end = match.end()
        return [*found, nodes.Text(text[end:])] if found else []

    for text in list(doctree.findall(_running)):
        if parts := linked(text):
            text.parent.replace(text, parts)


def _running(node: nodes.Node) -> bool:
    """Is this a text between other words of a paragraph?"""
    if not isinstance(node, nodes.Text):
        return False
    around = []
    while node.parent is not None:
        node = node.parent
        around.append(node)
    return any(isinstance(each, nodes.paragraph) for each in around) and not any(
        isinstance(each, _ELSEWHERE) for each in around
    )


def put_letters(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put a row of letters above a glossary, each a link to its first term; a letter without terms is left out."""
    for place in list(doctree.findall(addnodes.glossary)):
        firsts: dict[str, str] = {}
        for item in place.findall(nodes.definition_list_item):
            term = item.next_node(nodes.term)
            firsts.setdefault(term.astext()[0].upper(), term["ids"][0])
        links = "".join(f'<li><a href="#{html.escape(to)}">{letter}</a></li>' for letter, to in firsts.items())
        row = f'<nav class="letters" aria-label="Terms by letter"><ul>{links}</ul></nav>'
        place.parent.insert(place.parent.index(place), nodes.raw("", row, format="html"))


def name_for_search(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Let search find a term as it is typed too: without what stands in brackets, its dashes as hyphens."""
    for index in doctree.findall(addnodes.index):
        for kind, term, place, *rest in list(index["entries"]):
            typed = re.sub(r" \(.*\)$", "", term).replace("–", "-")
            if place.startswith("term-") and typed != term:
                index["entries"].append((kind, typed, place, *rest))


def pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """All chapters, when a term came, went or moved: what was read of them stays as it was."""
    terms = terms_of(env)
    if getattr(env, "course_terms", None) == terms:
        return []
    env.course_terms = terms
    return sorted(page for page in env.found_docs if _CHAPTER.match(page))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.connect("doctree-resolved", link_first_uses)
    app.connect("doctree-resolved", put_letters)
    app.connect("doctree-resolved", name_for_search)
    app.connect("env-updated", pages_to_write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
