"""Submissions that resemble each other: copies with new names come first, what all have counts nothing."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from support import ROOT, fill, load_answers, reads, small_repository, submission

from course_utils import release
from course_utils.grading import similar
from course_utils.grading.similar import Pair, Piece, pairs, pieces, side_by_side

NAME = "02-soft-dictionary"
CODE = """def mean(numbers):
    total = 0.0
    for number in numbers:
        total += number
    return total / len(numbers)"""
RENAMED = """def mean(numbers):  # mine
    s = 0.0

    for x in numbers:
        s += x  # add
    return s / len(numbers)"""
OTHER = (
    "def mean(numbers):\n    import statistics\n    return float(statistics.mean(list(numbers)) if numbers else 'none')"
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    return release.build(small_repository(tmp_path_factory.mktemp("repository")), "01-sums")


def wrote(made: release.Released, cells: dict[str, str], *own: NotebookNode) -> list[Piece]:
    nb = fill(reads(made.student), cells)
    nb.cells += own
    return pieces(nbformat.writes(nb), reads(made.student))


def found(made: release.Released, written: dict[str, list[Piece]]) -> list[Pair]:
    return pairs(written, reads(made.student))


def test_a_copy_with_new_names_is_first_among_independent_answers() -> None:
    """Of the wrong answers most are one author's, and all but what they get wrong is the reference's: as a class is."""
    made = release.build(ROOT, NAME)
    released, answers = reads(made.student), load_answers(NAME)[:21]
    copied = answers.pop(1)
    assert (copied.kind, len(answers)) == ("right", 20)
    written = {each.name: pieces(nbformat.writes(submission(made, each.cells)), released) for each in answers}
    copies = {}
    for mark in ("x", "y"):
        new = {
            name: re.sub(r"(?<![.\w])(total|top|answers|found|batch|mean|low|high)\b", rf"\1_{mark}", cell)
            for name, cell in copied.cells.items()
        }
        assert sum(new[name] != cell for name, cell in copied.cells.items()) >= 4
        copies[f"copy-{mark}"] = pieces(nbformat.writes(submission(made, new)), released)
    ranked = pairs({**written, **copies}, released)
    assert ranked[0].students == ("copy-x", "copy-y")
    assert ranked[0].similarity == pytest.approx(1)
    assert ranked[1].similarity < 0.9
    assert len(ranked) == similar.PAIRS
    assert ranked == pairs(dict(sorted({**copies, **written}.items(), reverse=True)), released)


def test_names_comments_and_layout_make_no_difference_and_another_way_does(small) -> None:
    written = {"ann": wrote(small, {"mean": CODE}), "kim": wrote(small, {"mean": RENAMED})}
    written["lee"] = wrote(small, {"mean": OTHER})
    (first,) = found(small, written)
    assert (first.students, first.cells) == (("ann", "kim"), ("mean",))
    assert first.similarity == pytest.approx(1, abs=1e-6)


def test_what_is_called_makes_a_difference(small) -> None:
    calls = "def mean(numbers):\n    x = numbers.{0}()\n    return x.{0}(x.{0}(), x).{0}"
    written = {name: wrote(small, {"mean": calls.format(name)}) for name in ("sum", "prod")}
    assert found(small, written) == []


def test_the_rare_weighs_more_than_the_common(small) -> None:
    """All share one problem's answer; two of them share the other's as well."""
    common = {"spread": "def spread(numbers):\n    ordered = sorted(numbers)\n    return ordered[-1] - ordered[0]"}
    ways = [f"def mean(numbers):\n    return sum(numbers[{n}:]) / {n} + max({n}, 0) - {n} ** 2" for n in range(6)]
    written = {f"s{n}": wrote(small, {**common, "mean": way}) for n, way in enumerate([*ways, ways[2]])}
    ranked = found(small, written)
    assert ranked[0].students == ("s2", "s6")
    assert ranked[0].cells == ("mean",)
    assert ranked[0].similarity == pytest.approx(1)
    assert all(pair.similarity < 0.5 for pair in ranked[1:])


def test_what_was_released_is_not_compared(small) -> None:
    tests = next(cell.source for cell in reads(small.student).cells if cell.source.startswith("assert mean"))
    copy = new_code_cell("# I looked at this again\n" + tests, id="again")
    written = {name: wrote(small, {}, copy) for name in ("ann", "kim")}
    assert found(small, written) == []


def test_cells_of_their_own_and_prose_are_compared(small) -> None:
    words = "The mean of nothing is not a number, so that the caller has to look first."
    written = {
        "ann": wrote(small, {}, new_markdown_cell(words, id="a")),
        "kim": wrote(small, {}, new_code_cell("1", id="a"), new_markdown_cell(words.upper(), id="b")),
    }
    (pair,) = found(small, written)
    assert pair.cells == ("own cell 1",)
    assert [label for label, _ in side_by_side(pair, written)] == ["own cell 1", "own cell 2"]


def test_of_prose_without_end_the_beginning_is_read_and_that_is_said(small) -> None:
    words = "The mean of nothing is not a number, so that the caller has to look first."
    filler = new_markdown_cell("".join(f"{n:x} " for n in range(30_000)), id="filler")
    written = {
        "ann": wrote(small, {"mean": CODE}, new_markdown_cell(words, id="a"), filler, new_markdown_cell(words, id="b")),
        "<kim>": wrote(small, {"mean": CODE}, filler, new_markdown_cell(words, id="a")),
        "lee": wrote(small, {"mean": CODE}, new_markdown_cell(words, id="a")),
    }
    own = {name: [piece for piece in theirs if piece.label.startswith("own")] for name, theirs in written.items()}
    assert [sum(len(piece.source) for piece in own[name]) for name in own] == [100_000, 100_000, len(words)]
    assert [piece.cut for piece in own["ann"]] == [False, True, True]
    assert all(any(piece.source == CODE for piece in theirs) for theirs in written.values())
    page = similar.page("01-sums", found(small, written), written)
    assert "prose the first 100,000\ncharacters are read; these have more" in page
    assert "&lt;kim&gt;, ann</span>." in page
    assert "characters are read." in similar.page("01-sums", [], {"lee": written["lee"]})


@pytest.mark.parametrize("count", [0, 1])
def test_one_alone_resembles_nobody(small, count: int) -> None:
    assert found(small, {f"s{n}": wrote(small, {"mean": CODE}) for n in range(count)}) == []


@pytest.mark.parametrize("code", ["def mean(:\n  '''", "%%bash\nrm -rf \x00 $(x)", "\ud800 λ = ½ + 'x", "(" * 5000])
def test_code_that_is_none_is_compared_all_the_same(small, code: str) -> None:
    for piece in wrote(small, {"mean": code + CODE}):
        assert all(piece.source[low:high] for _, low, high in piece.spans)
    (pair,) = found(small, {"ann": wrote(small, {"mean": code + CODE}), "kim": wrote(small, {"mean": code + CODE})})
    assert pair.similarity == pytest.approx(1)


def test_what_is_common_is_marked_and_no_letter_is_lost(small) -> None:
    written = {"ann": wrote(small, {"mean": CODE}), "kim": wrote(small, {"mean": RENAMED + "\nextra = [1, 2]"})}
    (pair,) = found(small, written)
    ((label, (ann, kim)),) = side_by_side(pair, written)
    assert label == "mean"
    assert ("".join(text for text, _ in ann), "".join(text for text, _ in kim)) == (CODE, RENAMED + "\nextra = [1, 2]")
    assert [text for text, common in ann if not common and text.strip()] == ["def mean(numbers):\n    "]
    assert [text for text, common in ann if common] == [line.strip() for line in CODE.split("\n")[1:]]
    assert kim[-1] == ("\nextra = [1, 2]", False)


def test_the_page_escapes_and_says_that_it_finds_nothing_out(small) -> None:
    hostile = CODE + "\nx = '</pre><script>alert(1)</script>\x1b[2J'"
    names = ("<img src=x onerror=alert(1)>", "=1+1\x1b[2J")
    written = {name: wrote(small, {"mean": hostile}) for name in names}
    page = similar.page("01-sums", found(small, written), written)
    assert page == similar.page("01-sums", found(small, written), dict(reversed(written.items())))
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "&lt;img src=x onerror=alert(1)&gt; and =1+1\N{REPLACEMENT CHARACTER}[2J" in page
    assert "pairs to look at, and no findings" in page


def test_of_an_empty_class_the_page_says_so(small) -> None:
    assert "No two submissions have anything in common but what most have." in similar.page("01-sums", [], {})
