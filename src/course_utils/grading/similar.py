"""Pairs of submissions that resemble each other: pairs to look at, never a verdict.

What is compared is what students wrote: the cells that they fill in, and cells of their own. Code is read as tokens.
Comments and layout go, and every name but those of attributes and of Python itself counts as the same, so that new
names make no difference. Of what is left, each run of eight tokens is a *form*; of prose, each run of four words.
Forms that the released notebook holds are dropped, and those that more than half of the class has. The others weigh
the more, the fewer have them: a submission is a vector of these weights, scaled to length one, and two are compared
by their inner product (weights by inverse document frequency, K. Spärck Jones, 1972; cosine similarity, G. Salton;
both by scikit-learn's ``TfidfVectorizer``, binary and smoothed).

``copydetect`` 0.5.0, which winnows as MOSS does, was looked at and not taken. Its fingerprints are Python's ``hash`` of
strings, so that the same two files were 54, 55 and 56 per cent alike in three runs; and what it drops as boilerplate
is wrong where a fingerprint occurs twice: two hashes that a text did not hold took 12 of its 15 fingerprints away.
"""

from __future__ import annotations

import json
import keyword
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from nbformat import NotebookNode
from pygments import token
from pygments.lexers import PythonLexer
from rich import box
from rich.table import Table
from rich.text import Text
from scipy.sparse import triu
from sklearn.feature_extraction.text import TfidfVectorizer

from course_utils.grading.outputs import printable
from course_utils.grading.pages import rendered
from course_utils.grading.report import one_line, percent
from course_utils.notebooks import grade_id, is_solution

CODE_TOKENS = 8
PROSE_WORDS = 4
# Characters of a submission: taken apart they are seventy times as large. Of code, intake takes no more.
MOST_PROSE = 100_000
PAIRS = 20  # that are shown
FEWEST_COMMON = 3  # submissions: in a small class, what half of it has is still looked at
CELLS_NAMED = 3
SKIPPED = (token.Comment, token.Text, token.String.Doc)
WORDS = "pairs to look at, no findings; some pair always comes first"
_LEXER = PythonLexer(stripnl=False, ensurenl=False)

Spans = Sequence[tuple[str, int, int]]  # forms, each with where it begins and ends in a text


@dataclass(frozen=True)
class Piece:
    """One cell that a student wrote.

    Attributes:
        label: the grade_id, or which of the student's own cells it is.
        source: its text, without escape sequences.
        spans: its forms, in their order.
        cut: whether the cell goes on, and that was not read.
    """

    label: str
    source: str
    spans: Spans = field(repr=False)
    cut: bool = False


@dataclass(frozen=True)
class Pair:
    """Two submissions that have something in common.

    Attributes:
        students: whose.
        similarity: between 0 and 1.
        cells: labels of the first's cells with most of what is common, at most three.
        shared: the forms that both have and that count.
    """

    students: tuple[str, str]
    similarity: float
    cells: tuple[str, ...]
    shared: frozenset[str] = field(repr=False)


def pieces(notebook: str, released: NotebookNode) -> list[Piece]:
    """What a student wrote, cell by cell; of prose no more than ``MOST_PROSE`` characters.

    Args:
        notebook: the autograded notebook, as ``.ipynb`` text.
        released: what students were given.
    """
    given = {grade_id(cell): cell.source for cell in released.cells if grade_id(cell)}
    texts = {cell.source for cell in released.cells}
    found, own, left = [], 0, MOST_PROSE
    for cell in map(NotebookNode, json.loads(notebook)["cells"]):
        name, source = grade_id(cell), "".join(cell.source)
        if (name in given and not is_solution(cell)) or source in texts or not source.strip():
            continue
        own += name not in given
        most = len(source) if cell.cell_type == "code" else left
        left -= 0 if cell.cell_type == "code" else min(len(source), left)
        read = printable(source[:most])
        spans = _spans(read, cell.cell_type, given.get(name, ""))
        found.append(Piece(name if name in given else f"own cell {own}", read, spans, cut=len(source) > most))
    return found


def cut_short(written: Mapping[str, Sequence[Piece]]) -> list[str]:
    """The students of whose prose only the beginning was read, sorted.

    Args:
        written: what each student wrote, from :func:`pieces`.
    """
    return sorted(student for student, theirs in written.items() if any(piece.cut for piece in theirs))


def pairs(written: Mapping[str, Sequence[Piece]], released: NotebookNode) -> list[Pair]:
    """The pairs that have in common what half of the class has not, the most similar first, twenty at most.

    Args:
        written: what each student wrote, from :func:`pieces`.
        released: what students were given.
    """
    given = {form for cell in released.cells for form, *_ in _spans(cell.source, cell.cell_type)}
    students = sorted(written)
    forms = [{form for piece in written[student] for form, *_ in piece.spans} - given for student in students]
    count = Counter(form for each in forms for form in each)
    most = max(FEWEST_COMMON, len(students) // 2)
    forms = [{form for form in each if count[form] <= most} for each in forms]
    if not any(count[form] > 1 for each in forms for form in each):
        return []
    weigher = TfidfVectorizer(analyzer=sorted, binary=True)
    vectors = weigher.fit_transform(forms)
    weights = {form: float(weigher.idf_[place]) for form, place in weigher.vocabulary_.items()}
    alike = triu(vectors @ vectors.T, k=1).tocoo()
    # Rounded, so that which of two equals comes first does not hang on the last digit.
    found = zip((-alike.data.round(6)).tolist(), alike.row.tolist(), alike.col.tolist(), strict=True)
    return [
        Pair(
            (students[one], students[other]),
            -value,
            _labels(written[students[one]], forms[one] & forms[other], weights),
            frozenset(forms[one] & forms[other]),
        )
        for value, one, other in sorted(found)[:PAIRS]
    ]


def table(found: Sequence[Pair], count: int) -> Table:
    """The pairs for the screen.

    Args:
        found: from :func:`pairs`.
        count: how many submissions were compared.
    """
    shown = Table(box=box.HORIZONTALS, pad_edge=False, title=f"{count} compared: {WORDS}", title_justify="left")
    shown.add_column("Similarity", justify="right")
    shown.add_column("Students")
    shown.add_column("Most in common in")
    for pair in found:
        students = Text(" and ".join(map(one_line, pair.students)))
        shown.add_row(percent(pair.similarity), students, Text(", ".join(pair.cells)))
    return shown


def page(name: str, found: Sequence[Pair], written: Mapping[str, Sequence[Piece]]) -> str:
    """Pairs of submissions side by side, and what to think of them.

    Args:
        name: the assignment's.
        found: from :func:`pairs`.
        written: what each student wrote.
    """
    shown = [(pair, side_by_side(pair, written)) for pair in found]
    title = f"{name}: submissions that resemble each other"
    limits = {"most": PAIRS, "most_prose": f"{MOST_PROSE:,}", "cut": cut_short(written)}
    return rendered("similar.html", title=title, count=len(written), shown=shown, **limits)


def side_by_side(pair: Pair, written: Mapping[str, Sequence[Piece]]) -> list[tuple[str, list[list[tuple[str, bool]]]]]:
    """The cells of a pair that have something in common: a label, then each student's cell of that label.

    Args:
        pair: from :func:`pairs`.
        written: what each student wrote.

    Returns:
        Of a cell, the parts of its text, each with whether it is common; no parts where a student has no such cell.
    """
    sides = [{piece.label: piece for piece in written[student]} for student in pair.students]
    alike = [
        label
        for label in dict.fromkeys(label for side in sides for label in side)
        if any(form in pair.shared for side in sides if label in side for form, *_ in side[label].spans)
    ]
    return [(label, [_parts(side.get(label), pair.shared) for side in sides]) for label in alike]


def _labels(theirs: Sequence[Piece], shared: set[str], weights: Mapping[str, float]) -> tuple[str, ...]:
    """The cells with most of the weight of what is shared, in their order."""
    weight = {piece.label: sum(weights[form] for form, *_ in piece.spans if form in shared) for piece in theirs}
    most = sorted(weight, key=lambda label: -weight[label])[:CELLS_NAMED]
    return tuple(label for label in weight if label in most and weight[label])


def _parts(piece: Piece | None, shared: frozenset[str]) -> list[tuple[str, bool]]:
    """A text taken apart where what is common begins and ends."""
    if piece is None:
        return []
    parts, end = [], 0
    for low, high in _merged([(low, high) for form, low, high in piece.spans if form in shared]):
        parts.append((piece.source[end:low], False))
        lines = re.split(r"(\n\s*)", piece.source[low:high])  # where a line ends and where it begins is no part of it
        parts += [(text, place % 2 == 0) for place, text in enumerate(lines)]
        end = high
    return [(text, common) for text, common in [*parts, (piece.source[end:], False)] if text]


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that begin in order, those that overlap made into one."""
    merged: list[tuple[int, int]] = []
    for low, high in ranges:
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


# --- forms --------------------------------------------------------------------------------------------------------


def _spans(source: str, kind: str, given: str = "") -> Spans:
    """The forms of a cell, without what it begins with in common with the given one: `def` and the like."""
    size = CODE_TOKENS if kind == "code" else PROSE_WORDS
    read = _code if kind == "code" else _prose
    tokens = list(read(source))
    pairs_of_words = zip(tokens, read(given), strict=False)
    start = sum(1 for _ in takewhile(lambda both: both[0][0] == both[1][0], pairs_of_words))
    runs = (tokens[place : place + size] for place in range(start, len(tokens) - size + 1))
    return [(" ".join(word for word, *_ in run), run[0][1], run[-1][2]) for run in runs]


def _prose(source: str) -> Iterator[tuple[str, int, int]]:
    """The words, each with where it begins and ends."""
    return ((word[0].lower(), *word.span()) for word in re.finditer(r"\w+", source))


def _code(source: str) -> Iterator[tuple[str, int, int]]:
    """The tokens that count, names and strings made equal, each with where it begins and ends; any text has some."""
    before = ""
    for begin, kind, text in _LEXER.get_tokens_unprocessed(source):
        if any(kind in skipped for skipped in SKIPPED):
            continue
        if kind in token.String:
            word = "string"
        elif kind in token.Name and kind not in token.Name.Builtin and before != "." and not keyword.iskeyword(text):
            word = "name"
        else:
            word = text
        before = text
        yield word, begin, begin + len(text)
