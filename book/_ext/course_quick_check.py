"""The directive ``{quick-check}``: a question between two paragraphs; each option says at once why it holds or fails.

The page needs no script: an option is a native ``<details>``, and the browser keeps one of a question open at a time.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

LOGGER = logging.getLogger(__name__)

TITLE = "Quick check"
MARKS = {"[x]": True, "[ ]": False}
VERDICTS = {True: "Right.", False: "Not quite."}


class MistakeError(Exception):
    """What an author wrote is not a question with its options."""


class quick_check(nodes.General, nodes.Element):  # noqa: N801 - as docutils names its nodes
    """A question, and after it its options."""


class quick_check_option(nodes.Part, nodes.Element):  # noqa: N801
    """The words to choose, and after them the verdict with its reason."""


class quick_check_words(nodes.Part, nodes.TextElement):  # noqa: N801
    """What an option says while it is closed."""


class QuickCheck(SphinxDirective):
    """``{quick-check}``: a question, then a list of options, ``[x]`` the right one and ``[ ]`` the others."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Read the question, or warn of the first mistake in it: a build with a warning fails."""
        try:
            *question, choices = self.parse_content_to_nodes() or [None]
            if not isinstance(choices, nodes.bullet_list):
                raise MistakeError("the list of options must be there and come last")
            return [self.check(question, choices)]
        except MistakeError as mistake:
            LOGGER.warning("quick-check: %s", mistake, location=self.get_location())
            return []

    def check(self, question: list[nodes.Node], choices: nodes.bullet_list) -> quick_check:
        """The question with its options, numbered on its page."""
        if not question:
            raise MistakeError("no question stands before the options")
        if any(item.astext()[:3] in MARKS for part in question for item in part.findall(nodes.list_item)):
            raise MistakeError("the options are cut into two lists: indent each reason as far as its option's words")
        if not 2 <= len(choices) <= 4:
            raise MistakeError(f"two to four options are needed, not {len(choices)}")
        options = [_option(item, number) for number, item in enumerate(choices, 1)]
        right = sum(option["right"] for option in options)
        if right != 1:
            raise MistakeError(f"one option must be right, marked [x], not {right}")
        name = f"quick-check-{self.env.new_serialno('quick-check') + 1}"
        for option in options:
            option["group"] = name
        check = quick_check("", *question, *options, ids=[name])
        self.set_source_info(check)
        return check


def _option(item: nodes.list_item, number: int) -> quick_check_option:
    """One option from its place in the list: its words, then the reason, which begins with the verdict."""
    words, *reason = item.children or [nodes.paragraph()]
    mark, rest = words.astext()[:3], words.astext()[3:]
    if not isinstance(words, nodes.paragraph) or mark not in MARKS or not rest.strip():
        raise MistakeError(f"option {number} must begin with [ ] or [x], then its words")
    if not reason or not isinstance(reason[0], nodes.paragraph):
        raise MistakeError(f"option {number} has no reason: a paragraph of its own, after a blank line")
    words[0] = nodes.Text(words[0].astext()[3:].lstrip())
    reason[0][:0] = [nodes.strong("", VERDICTS[MARKS[mark]], classes=["verdict"]), nodes.Text(" ")]
    return quick_check_option("", quick_check_words("", "", *words), *reason, right=MARKS[mark])


class PlainList(SphinxPostTransform):
    """Write a question as a list with all its reasons where a page cannot be opened and closed."""

    default_priority = 10

    def is_supported(self) -> bool:
        """Everything but HTML."""
        return self.app.builder.format != "html"

    def run(self, **kwargs: Any) -> None:
        """Replace every question of the page."""
        for check in list(self.document.findall(quick_check)):
            options = [child for child in check if isinstance(child, quick_check_option)]
            question = [child for child in check if child not in options]
            title = nodes.paragraph("", "", nodes.strong("", TITLE), ids=check["ids"])
            check.replace_self([title, *question, nodes.bullet_list("", *map(_list_item, options))])


def _list_item(option: quick_check_option) -> nodes.list_item:
    words, *reason = option
    return nodes.list_item("", nodes.paragraph("", "", *words.children), *reason)


def visit_check(self: HTML5Translator, node: quick_check) -> None:
    """Open the box."""
    self.body.append(self.starttag(node, "div", CLASS="admonition quick-check", role="group", **{"aria-label": TITLE}))
    self.body.append(f'<p class="admonition-title"><span class="box-kind">{TITLE}')
    self.add_permalink_ref(node, "Link to this question")
    self.body.append("</span></p>\n")


def depart_check(self: HTML5Translator, node: quick_check) -> None:
    """Close the box."""
    self.body.append("</div>\n")


def visit_option(self: HTML5Translator, node: quick_check_option) -> None:
    """Begin what is opened and closed; of those with one name, the browser keeps one open."""
    self.body.append(self.starttag(node, "details", CLASS="right" if node["right"] else "wrong", name=node["group"]))


def depart_option(self: HTML5Translator, node: quick_check_option) -> None:
    """End the reason and the option."""
    self.body.append("</div></details>\n")


def visit_words(self: HTML5Translator, node: quick_check_words) -> None:
    """Begin what can be pressed."""
    self.body.append("<summary>")


def depart_words(self: HTML5Translator, node: quick_check_words) -> None:
    """End it, and begin the reason."""
    self.body.append('</summary>\n<div class="reason">')


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.add_node(quick_check, html=(visit_check, depart_check))
    app.add_node(quick_check_option, html=(visit_option, depart_option))
    app.add_node(quick_check_words, html=(visit_words, depart_words))
    app.add_directive("quick-check", QuickCheck)
    app.add_post_transform(PlainList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
