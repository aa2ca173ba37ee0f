"""Group 8: files that are no proper notebook; some can be read all the same, most are refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from corpora.assignment import FULL, NAME
from corpora.base import Case, Handed, answered, cell_of, insert, written

CASES: list[Case] = []
FILE = f"{NAME}.ipynb"
NOTHING = dict.fromkeys(FULL, 0.0)


def refused(name: str, make: Callable[[NotebookNode], Handed], reason: str) -> None:
    """What cannot be graded: nothing is earned, and the reason is said."""
    CASES.append(Case(name, "malformed", make, NOTHING, reason, nbgrader_accepts=False))


def read(
    name: str, make: Callable[[NotebookNode], Handed], reason: str = "", *, nbgrader_accepts: bool = False
) -> None:
    """What can be read although it is odd: right answers earn everything."""
    CASES.append(Case(name, "malformed", make, FULL, reason, nbgrader_accepts=nbgrader_accepts))


def right(nb: NotebookNode) -> bytes:
    return written(answered(nb, {}))


def plain(nb: NotebookNode) -> dict[str, Any]:
    return json.loads(right(nb))


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[NotebookNode], bytes]:
    """A right submission whose JSON was changed by hand."""

    def make(nb: NotebookNode) -> bytes:
        document = plain(nb)
        change(document)
        return json.dumps(document).encode()

    return make


refused("empty", lambda nb: b"", "is empty")
refused("blank", lambda nb: b" \n\t ", "is empty")
refused("truncated", lambda nb: right(nb)[:-200], "no valid JSON")
refused("two-documents", lambda nb: right(nb) * 2, "no valid JSON")
refused("zero-bytes", lambda nb: bytes(1000), "no valid JSON")
refused("zero-byte-inside", lambda nb: right(nb).replace(b'"cells"', b'"cel\0ls"', 1), "no valid JSON")
refused("noise", lambda nb: bytes(range(256)) * 40, "no valid JSON")
refused("a-picture", lambda nb: b"\x89PNG\r\n\x1a\n" + bytes(100), "no valid JSON")
refused("a-page", lambda nb: b"<!doctype html><html>notebook</html>", "no valid JSON")
refused("a-script", lambda nb: b"def mean(numbers):\n    return sum(numbers) / len(numbers)\n", "no valid JSON")
refused("a-pickle", lambda nb: b"cos\nsystem\n(S'touch {{CANARY}}/pickled'\ntR.", "no valid JSON")
refused("a-list", lambda nb: b"[]", "not an object")
refused("a-number", lambda nb: b"NaN", "not an object")
refused("brackets", lambda nb: b"[" * 200_000, "nested too deeply")
refused("braces", lambda nb: b'{"cells":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply")
refused(
    "nested-metadata",
    lambda nb: right(nb).replace(b'"metadata": {', b'"metadata": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b", ", 1),
    "nested too deeply",
)
refused("no-cells", lambda nb: b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "no list of cells")
refused("cells-that-are-no-list", changed(lambda d: d.update(cells={"0": d["cells"][0]})), "no list of cells")
refused("far-too-many-cells", changed(lambda d: d.update(cells=d["cells"] * 300)), "at most 5000")
refused(
    "cell-of-an-unknown-type",
    changed(lambda d: d["cells"][4].update(cell_type="javascript")),
    "whether it is code or text",
)
refused(
    "cell-type-that-is-a-list",
    changed(lambda d: d["cells"][4].update(cell_type=["code"])),
    "whether it is code or text",
)
refused("source-of-numbers", changed(lambda d: d["cells"][4].update(source=[1, 2])), "source is not text")
refused("another-assignment", changed(lambda d: d["metadata"]["course"].update(assignment="02-other")), "02-other")
refused("format-five", changed(lambda d: d.update(nbformat=5)), "newer than the 4")
refused(
    "old-and-damaged", lambda nb: b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": 7}', "old format"
)
refused("huge", lambda nb: right(nb) + b" " * (17 << 20), "larger than")
refused(
    "symbolic-link", lambda nb: {FILE: Path("{{CANARY}}/submitted/other/01-corpus/01-corpus.ipynb")}, "symbolic link"
)
refused("link-to-a-device", lambda nb: {FILE: Path("/dev/zero")}, "symbolic link")
refused("link-to-itself", lambda nb: {FILE: Path(FILE)}, "symbolic link")
refused("nothing-but-text", lambda nb: {"answers.txt": b"2.5"}, "no notebook was handed in")
refused("a-folder-for-a-notebook", lambda nb: {f"{FILE}/inside.txt": b"2.5"}, "folder")
refused("two-notebooks-of-other-names", lambda nb: {"a.ipynb": right(nb), "b.ipynb": right(nb)}, "none has the name")

read("byte-order-mark", lambda nb: b"\xef\xbb\xbf" + right(nb), "utf-8-sig")
read("utf-16", lambda nb: right(nb).decode().encode("utf-16"), "utf-16")
read("korean-encoding", lambda nb: written(insert(answered(nb, {}), 0, "# 평균")).decode().encode("euc-kr"), "euc-kr")
read("carriage-returns", lambda nb: right(nb).replace(b"\n", b"\r\n"), nbgrader_accepts=True)
read("two-notebooks", lambda nb: {FILE: right(nb), "Untitled.ipynb": b"{}"}, "2 notebooks were handed in")
read(
    "other-files-too",
    lambda nb: {FILE: right(nb), "torch.py": b"raise SystemExit", "../".replace("../", "data/") + "x.csv": b"1"},
    "not taken",
)
read("deeper-folder", lambda nb: {f"backup/{FILE}": right(nb)})
read("renamed", lambda nb: {"homework (1).ipynb": right(nb)}, "it says that it belongs to it")
read(
    "format-of-many-digits",
    lambda nb: right(nb).replace(b'"nbformat": 4,', b'"nbformat": ' + b"9" * 5_000 + b",", 1),
    "does not say its format",
)
read("no-format", changed(lambda d: d.pop("nbformat")), "does not say its format")
read("a-cell-that-is-none", changed(lambda d: d["cells"].append("text")), "is not a cell")
read("metadata-that-are-a-list", changed(lambda d: d["cells"][1].update(metadata=[1])), "damaged")
read(
    "a-cell-without-source",
    changed(lambda d: d["cells"].append({"cell_type": "code", "metadata": {}})),
    "has no source",
)
read(
    "half-characters",
    lambda nb: written(insert(answered(nb, {}), 0, "x = '@@'")).replace(b"@@", b"\\ud800"),
    "half characters",
)
read("numbers-that-are-none", changed(lambda d: d["metadata"].update(x=float("nan"), y=float("inf"))), "no JSON")
read(
    "outputs-that-are-odd",
    changed(lambda d: [c.update(outputs=[{"output_type": 7}, None]) for c in d["cells"] if c["cell_type"] == "code"]),
)
read("doubled-ids", changed(lambda d: [c.update(id="x") for c in d["cells"]]), "share an id", nbgrader_accepts=True)
read(
    "doubled-keys",
    lambda nb: right(nb).replace(b'"nbformat": 4,', b'"nbformat": 3, "nbformat": 4,', 1),
    nbgrader_accepts=True,
)
read(
    "source-in-lines",
    changed(lambda d: [c.update(source="".join(c["source"]).splitlines(keepends=True)) for c in d["cells"]]),
    nbgrader_accepts=True,
)


def third_format(nb: NotebookNode) -> bytes:
    """nbformat's own downgrade, cell by cell as it was written ten years ago."""
    cells = [
        {"cell_type": "code", "input": cell.source, "language": "python", "metadata": cell.metadata, "outputs": []}
        if cell.cell_type == "code"
        else {"cell_type": "markdown", "source": cell.source, "metadata": cell.metadata}
        for cell in answered(nb, {}).cells
    ]
    document = {"nbformat": 3, "nbformat_minor": 0, "metadata": nb.metadata, "worksheets": [{"cells": cells}]}
    return json.dumps(document).encode()


read("third-format", third_format, "old format 3", nbgrader_accepts=True)


def trailing(nb: NotebookNode) -> bytes:
    """An answer that was cut off in the middle of a word earns nothing, but the file is fine."""
    cell_of(answered(nb, {}), "mean").source = "def mean(numbers):\n    return sum(numb"
    return written(nb)


CASES.append(Case("answer-cut-off", "malformed", trailing, {**FULL, "mean": 0.0}, "mean.*not defined"))
