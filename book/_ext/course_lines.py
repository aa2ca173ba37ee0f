"""What a line must not part: a formula and the mark after it, a number and its unit, a word and its number."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

SPACE = "\N{NO-BREAK SPACE}"
UNIT = re.compile(r"(?:^|(?<=\d)) (?=(?:%|dB|k?Hz|[GMk]i?B|ms)(?!\w))")
NUMBERED = re.compile(
    r"\b((?:Algorithm|App\.|Appendix|[Cc]hapter|Eq\.|Equation|Exercise|Figs?\.|Figure|Sec\.|Section|Table|Theorem)) "
    r"(?=\d|[A-Z]\b)"
)
OPENS, CLOSES = re.compile(r"[(\[“‘]+$"), re.compile(r"^[.,;:!?)\]”’]+")
AS_IT_IS = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.comment)


class KeepNumbers(SphinxTransform):
    """Put spaces at which no line ends before units, and between a word like Figure and its number."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """Go through the page's words; a number that is glued in stands before a text of its own."""
        for text in list(self.document.findall(nodes.Text)):
            if not isinstance(text.parent, AS_IT_IS):
                kept = NUMBERED.sub(rf"\1{SPACE}", UNIT.sub(SPACE, text))
                if kept != text:
                    text.parent.replace(text, nodes.Text(kept))


class KeepMarks(SphinxTransform):
    """Hold a formula in a line together with the bracket before it and the marks after it."""

    default_priority = 410

    def apply(self, **kwargs: Any) -> None:
        """Go through the formulas that stand in a line."""
        for formula in list(self.document.findall(nodes.math)):
            before, after = _beside(formula, -1, OPENS), _beside(formula, 1, CLOSES)
            if before or after:
                kept = nodes.inline("", nodes.Text(before), formula.deepcopy(), nodes.Text(after), classes=["kept"])
                formula.replace_self(kept)


def _beside(formula: nodes.math, step: int, marks: re.Pattern[str]) -> str:
    """Cut the marks from the text beside a formula, and return them."""
    place = formula.parent.index(formula) + step
    text = formula.parent[place] if 0 <= place < len(formula.parent) else None
    found = marks.search(text) if isinstance(text, nodes.Text) else None
    if found is None:
        return ""
    formula.parent.replace(text, nodes.Text(text[: found.start()] + text[found.end() :]))
    return found[0]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect both."""
    app.add_transform(KeepNumbers)
    app.add_transform(KeepMarks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
