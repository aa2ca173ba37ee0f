"""A notebook from bytes that nobody vouches for: read into a shape that the grader can rely on, or refused.

The notebook is built anew from what is understood: each cell's type, its source, and of its metadata nbgrader's and
ours, in plain values. Outputs are dropped, and so is everything that nothing here reads. What a cell's metadata
claims (``locked``, ``points``) is kept as a claim; whose a cell is, the source decides.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import nbformat
from nbformat import NotebookNode

MOST_CELLS = 5_000
MOST_CODE = 300_000  # characters in all code cells; reading them takes a thousand times as many bytes
LONGEST_SHOWN = 120
DEEPEST_VALUE = 8  # levels of metadata that are read; ours have three
MOST_VALUES = 1_000  # in one list or object of metadata
CELL_TYPES = ("code", "markdown", "raw")
_LEGAL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RefusedError(Exception):
    """A submission that cannot be graded; the message is one line that says why."""


def shown(text: str) -> str:
    """A name or a message as it may stand in one line: no control characters, no lone surrogates, not too long."""
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return line if len(line) <= LONGEST_SHOWN else line[: LONGEST_SHOWN - 1] + "…"


def read_notebook(content: bytes, assignment: str) -> tuple[NotebookNode, list[str]]:
    """Read a notebook that was handed in; nothing of it is run.

    Args:
        content: the file's bytes, of whatever origin.
        assignment: the assignment that it must not contradict.

    Returns:
        The notebook in the form of nbformat 4.5: every cell has a unique id, a type, a text as its source and plain
        metadata; code cells have no outputs. And notes for the instructor on what had to be put right, one line each.

    Raises:
        RefusedError: it is no notebook, it is another assignment's, or it cannot be said what it is meant to be.
    """
    notes: list[str] = []
    document = _current(_parsed(_decoded(content, notes), notes), notes)
    cells = document.get("cells")
    if not isinstance(cells, list):
        raise RefusedError("is not a notebook: it has no list of cells")
    if len(cells) > MOST_CELLS:
        raise RefusedError(f"has {len(cells)} cells; at most {MOST_CELLS} are read")
    metadata = _metadata(document, ("kernelspec", "course"), "the notebook", notes)
    if not all(isinstance(metadata.get("kernelspec", {}).get(key), str) for key in ("name", "display_name")):
        metadata.pop("kernelspec", None)  # nbformat takes none, but not half of one
    _check_assignment(metadata.get("course", {}), assignment, notes)
    read = [found for place, cell in enumerate(cells, start=1) if (found := _cell(cell, f"cell {place}", notes))]
    if (length := sum(len(cell["source"]) for cell in read if cell["cell_type"] == "code")) > MOST_CODE:
        raise RefusedError(f"has {length} characters of code; at most {MOST_CODE} are read")
    _number(read, notes)
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": read}), notes


# --- the document -----------------------------------------------------------------------------------------------


def _decoded(content: bytes, notes: list[str]) -> str:
    """The text; EUC-KR before Latin-1, since hardly a text of the one is valid in the other."""
    if not content.strip():
        raise RefusedError("is empty")
    guess = json.detect_encoding(content)  # by its byte order mark or its zeros
    for encoding in (guess, "euc-kr", "latin-1"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "utf-8":
            notes.append(f"the notebook is not plain UTF-8: it was read as {encoding}")
        return text
    raise AssertionError("Latin-1 reads any bytes")


def _parsed(text: str, notes: list[str]) -> dict[str, Any]:
    strange: set[str] = set()
    try:
        document = json.loads(text, parse_constant=strange.add, parse_int=_number_of)
    except RecursionError:
        raise RefusedError("is not a notebook: its JSON is nested too deeply") from None
    except ValueError as error:
        raise RefusedError(f"is not a notebook: no valid JSON ({shown(str(error))})") from None
    if strange:
        notes.append(f"the notebook holds {', '.join(sorted(strange))}, which is no JSON: read as nothing")
    if not isinstance(document, dict):
        raise RefusedError("is not a notebook: its JSON is not an object")
    return document


def _number_of(digits: str) -> float:
    """A whole number; one that is longer than any count becomes a float, since Python reads no longer ones."""
    return int(digits) if len(digits) < 20 else float(digits)


def _current(document: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """The document in the fourth format, whatever format it says or shows to be in."""
    major, minor = document.get("nbformat"), document.get("nbformat_minor")
    if isinstance(major, bool) or not isinstance(major, int):
        major = 3 if "worksheets" in document else 4
        notes.append(f"the notebook does not say its format: read as format {major}")
    if major > 4:
        raise RefusedError(f"is in format {shown(str(major))}, which is newer than the 4 that is read here")
    if major < 4:
        notes.append(f"the notebook is in the old format {shown(str(major))}: upgraded")
        return _upgraded(document)
    if isinstance(minor, bool) or not isinstance(minor, int) or not 0 <= minor <= 5:
        notes.append("the notebook's minor format is not one of 4.0 to 4.5: read as 4.5")
    return document


def _upgraded(document: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(nbformat.convert(nbformat.reader.reads(json.dumps(document)), 4))
    except Exception as error:  # nbformat raises whatever its steps happen to meet
        raise RefusedError(f"is in an old format and cannot be upgraded: {type(error).__name__}") from error


def _check_assignment(course: dict[str, Any], assignment: str, notes: list[str]) -> None:
    claimed = course.get("assignment")
    if not isinstance(claimed, str) or not claimed:
        notes.append("the notebook does not say which assignment it belongs to")
    elif claimed != assignment:
        raise RefusedError(f"belongs to assignment '{shown(claimed)}', not to '{assignment}'")


# --- a cell -----------------------------------------------------------------------------------------------------


def _cell(cell: Any, where: str, notes: list[str]) -> dict[str, Any] | None:
    """The cell as the grader reads it; None for what is not a cell at all."""
    if not isinstance(cell, dict):
        notes.append(f"{where} of the notebook is not a cell: left out")
        return None
    kind = cell.get("cell_type")
    if kind not in CELL_TYPES:
        raise RefusedError(f"has a {where} of which it cannot be said whether it is code or text")
    read = {"id": cell.get("id"), "cell_type": kind, "source": _source(cell, where, notes)}
    read["metadata"] = _metadata(cell, ("nbgrader", "course"), where, notes)
    if kind == "code":
        return read | {"outputs": [], "execution_count": None}
    return read | _attachments(cell)  # pictures in a written answer


def _source(cell: dict[str, Any], where: str, notes: list[str]) -> str:
    source = cell.get("source")
    if source is None:
        notes.append(f"{where} has no source: read as empty")
        return ""
    pieces = source if isinstance(source, list) else [source]
    if not all(isinstance(piece, str) for piece in pieces):
        raise RefusedError(f"has a {where} whose source is not text")
    text = "".join(pieces).replace("\r\n", "\n").replace("\r", "\n")
    if (valid := _valid(text)) != text:
        notes.append(f"{where} holds half characters (lone surrogates): replaced")
    return valid


def _attachments(cell: dict[str, Any]) -> dict[str, Any]:
    found = cell.get("attachments")
    if not isinstance(found, dict):
        return {}
    bundles = {name: bundle for name, bundle in (_plain(found) or {}).items() if isinstance(bundle, dict)}
    return {"attachments": {name: {k: v for k, v in bundles[name].items() if isinstance(v, str)} for name in bundles}}


def _metadata(holder: dict[str, Any], keys: tuple[str, ...], where: str, notes: list[str]) -> dict[str, Any]:
    """Of the metadata, those parts of which something here is read."""
    metadata = holder.get("metadata", {})
    if not isinstance(metadata, dict):
        notes.append(f"the metadata of {where} are damaged: read as empty")
        return {}
    found: dict[str, Any] = {}
    for key in keys:
        if isinstance(metadata.get(key), dict):
            found[key] = _plain(metadata[key])
        elif key in metadata:
            notes.append(f"'{key}' in the metadata of {where} is damaged: left out")
    if not isinstance(found.get("nbgrader", {}).get("grade_id", ""), str):
        notes.append(f"the grade_id of {where} is not text: left out")
        del found["nbgrader"]["grade_id"]
    return found | _tags(metadata)


def _tags(metadata: dict[str, Any]) -> dict[str, list[str]]:
    tags = metadata.get("tags")
    legal = [_valid(tag) for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return {"tags": [tag for tag in dict.fromkeys(legal) if tag and "," not in tag]} if legal else {}


def _plain(value: Any, depth: int = 0) -> Any:
    """The value with what cannot be written again replaced by nothing: endless numbers, and what lies too deep."""
    if isinstance(value, str):
        return _valid(value)
    if isinstance(value, dict | list) and (depth >= DEEPEST_VALUE or len(value) > MOST_VALUES):
        return None
    if isinstance(value, dict):
        return {_valid(name): _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _valid(text: str) -> str:
    """The text with lone surrogates replaced, which JSON can write and no encoding can."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(cells: list[dict[str, Any]], notes: list[str]) -> None:
    """Give each cell an id of its own: its old one where it is legal and the first of its kind, else its place."""
    old = [cell["id"] for cell in cells if isinstance(cell["id"], str)]
    if len(set(old)) < len(old):
        notes.append("cells share an id: numbered anew")
    used: set[str] = set()
    for place, cell in enumerate(cells, start=1):
        legal = isinstance(cell["id"], str) and _LEGAL_ID.fullmatch(cell["id"]) and cell["id"] not in used
        name = cell["id"] if legal else f"cell-{place:03}"
        while name in used or (not legal and name in old):
            name += "-"
        cell["id"] = name
        used.add(name)
