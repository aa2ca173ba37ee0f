"""What a record of measurements must be like to be believed: the check of lab 2's ``measurements.json``.

The command ``course measure`` writes such a record; here it is only read, as something that anybody may have typed. The
check proves that a record is *plausible*, not that it is honest: who knows the rules can make one up that keeps them.
Nothing of it is run, and its size, depth and numbers are bounded before anything is computed with them.

A record holds, for each implementation of attention, dtype and shape ``[N, H, D]`` (as many queries as keys, heads,
their width), the seconds of single calls, the most bytes held beyond what was there, the FLOPs by formula, and a
checksum of the output for seeded inputs. They must agree with each other and with what a machine of that name can do.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from course_utils.plausibility import BYTES, CHECKS, IMPLEMENTATIONS, SHAPES, TIME_SLOPES, cards_named, short
from course_utils.records import syntax

LAB, FORMAT = "lab-2-flash-vs-naive", 1
#: The grade_id of the cell whose code is measured.
MEASURED = "tiled"
FEWEST, MOST_SAMPLES = 10, 1000  # of an entry
LARGEST_FILE, LARGEST_NOTEBOOK, MOST_LINES = 1 << 20, 32 << 20, 20
MOST_ENTRIES = len(IMPLEMENTATIONS) * len(BYTES) * len(SHAPES)


class RecordError(ValueError):
    """A text that is no record at all, or a notebook that does not tell; the message is one line."""


# --- the student's source ---------------------------------------------------------------------------------------


def source_hash(cell_source: str) -> str:
    """A hash over the code of a cell: comments, layout and docstrings do not count, nor does Python's version.

    Raises:
        RecordError: the cell is not plain Python.
    """
    try:
        return sha256(syntax(ast.parse(cell_source)).encode()).hexdigest()[:16]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise RecordError(f"cell '{MEASURED}' is not plain Python{line}: no magics, no unfinished lines") from error


def cell_source(notebook: str | Path, cell: str = MEASURED) -> str:
    """The source of a cell of a saved notebook, by its grade_id; of copies the last one, as it is run last.

    Raises:
        RecordError: there is no such file, it is no notebook, or it has no such cell.
    """
    path = Path(notebook)
    try:
        if path.stat().st_size > LARGEST_NOTEBOOK:
            raise RecordError(f"{path.name}: larger than {LARGEST_NOTEBOOK >> 20} MiB: clear its outputs and save it")
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = [each["source"] for each in cells if _grade_id(each) == cell]
        texts = [each if isinstance(each, str) else "".join(each) for each in sources]
    except RecordError:
        raise
    except OSError:
        raise RecordError(f"there is no notebook {path.name} here: keep its name, and save it") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordError(f"{path.name}: not a notebook, or a damaged one") from error
    if not texts:
        raise RecordError(f"{path.name} has no cell '{cell}': take it from the released notebook")
    return texts[-1]


def _grade_id(cell: Any) -> Any:
    for name in ("metadata", "nbgrader", "grade_id"):
        cell = cell.get(name) if isinstance(cell, dict) else None
    return cell


# --- the check --------------------------------------------------------------------------------------------------


def faults(record_text: str, notebook: str | Path, cell: str = MEASURED) -> list[str]:
    """What speaks against a record, one line each; none where it is plausible.

    Nothing of the record is run, and its size, depth and numbers are bounded before anything is computed with them.

    Args:
        record_text: the content of ``measurements.json``.
        notebook: the saved notebook in which the measured code stands.
        cell: the grade_id of the cell with that code.
    """
    try:
        record = parse(record_text)
        found = list(_misshapen(record))
        if not found:
            found = [*_unlike(record, notebook, cell), *(fault for check in CHECKS for fault in check(record))]
    except RecordError as error:
        found = [str(error)]
    more = len(found) - MOST_LINES
    return found if more <= 0 else [*found[:MOST_LINES], f"and {more} more"]


def notes(record_text: str) -> list[str]:
    """What a reader of a sound record should know: which bound its times were held against."""
    device = parse(record_text)["device"]
    if device["type"] == "cuda" and not cards_named(device["name"]):
        return [f"{short(device['name'])} is not among the known cards: its times were held against the fastest one"]
    return []


def parse(record_text: str) -> dict[str, Any]:
    """A record's text as a dictionary.

    Raises:
        RecordError: it is too large, no JSON, names a field twice, or is no dictionary.
    """
    if len(record_text) > LARGEST_FILE:
        raise RecordError(f"the record is larger than {LARGEST_FILE >> 20} MiB")
    try:
        record = json.loads(record_text, object_pairs_hook=_once, parse_constant=_no_number, parse_int=_whole)
    except RecordError:
        raise
    except RecursionError:
        raise RecordError("the record is nested too deeply") from None
    except ValueError as error:
        raise RecordError(
            f"the record is damaged ({short(str(error))}): run `course measure {LAB}.ipynb` again"
        ) from None
    if not isinstance(record, dict):
        raise RecordError(f"the record is a {type(record).__name__}, expected an object with named fields")
    return record


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise RecordError("the record names a field twice")
    return fields


def _no_number(word: str) -> float:
    raise RecordError(f"the record holds {word}, which is not a number that can be measured")


def _whole(digits: str) -> int:
    if len(digits) > 20:
        raise RecordError("the record holds a whole number of more than 20 digits")
    return int(digits)


# --- its form ---


@dataclass(frozen=True)
class _Field:
    """What a field may hold: its type and, for numbers, the smallest and largest."""

    kind: type
    least: float = -math.inf
    most: float = math.inf

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value."""
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            return f"expected {_WORDS[self.kind]}, got {_WORDS.get(type(value), 'nothing')}"
        if isinstance(value, str) and len(value) > 200:
            return "expected at most 200 letters"
        if isinstance(value, int | float) and not (self.least <= value <= self.most and math.isfinite(value)):
            return f"expected a number from {self.least:g} to {self.most:g}, got {value:.6g}"
        return None


_WORDS = {int: "a whole number", float: "a number", str: "text", list: "a list", dict: "an object", bool: "true/false"}
_SECONDS = _Field(float, 1e-7, 3600)
_RECORD = {
    **dict.fromkeys(("lab", "course", "python", "torch", "source_hash"), _Field(str)),
    "format": _Field(int, FORMAT, FORMAT),
    "seed": _Field(int, 0, 2**40),
    "wall_seconds": _Field(float, 0.1, 86_400),
    "device": _Field(dict),
    "entries": _Field(list),
    "not_run": _Field(list),
}
_DEVICE = {
    **dict.fromkeys(("type", "name", "driver"), _Field(str)),
    **dict.fromkeys(("cores", "threads"), _Field(int, 1, 4096)),
}
_ENTRY = {
    **dict.fromkeys(("implementation", "dtype"), _Field(str)),
    **dict.fromkeys(("shape", "seconds"), _Field(list)),
    "peak_bytes": _Field(int, 1, 2**50),
    "flops": _Field(int, 0, 2**60),
    "checksum": _Field(float, -1e12, 1e12),
}
_MISSED = dict.fromkeys(("implementation", "dtype", "reason"), _Field(str))


def _misshapen(record: Mapping[str, Any]) -> Iterator[str]:
    """What breaks the form of a record; all later checks rely on it."""
    found = list(_fields("the record", record, _RECORD))
    found += [] if found else _fields("device", record["device"], _DEVICE)
    yield from found
    if found:
        return
    if record["lab"] != LAB:
        yield f"lab: expected {LAB}, got {short(record['lab'])}"
    if record["device"]["type"] not in TIME_SLOPES:
        yield f"device: type: expected cpu or cuda, got {short(record['device']['type'])}"
    if max(len(record["entries"]), len(record["not_run"])) > MOST_ENTRIES:
        yield f"expected at most {MOST_ENTRIES} entries"
        return
    for place, missed in enumerate(record["not_run"]):
        yield from _fields(f"not_run {place}", missed, _MISSED)
    for place, entry in enumerate(record["entries"]):
        yield from _entry_faults(f"entry {place}", entry)


def _fields(where: str, found: Any, fields: Mapping[str, _Field]) -> Iterator[str]:
    if type(found) is not dict:
        yield f"{where}: expected an object with named fields"
        return
    yield from (f"{where}: the field {name!r} is missing" for name in fields if name not in found)
    yield from (f"{where}: an unknown field {short(name)!r}" for name in found if name not in fields)
    for name in fields:
        if name in found and (fault := fields[name].fault(found[name])):
            yield f"{where}: {name}: {fault}"


def _entry_faults(where: str, entry: Any) -> Iterator[str]:
    if found := list(_fields(where, entry, _ENTRY)):
        yield from found
        return
    if entry["implementation"] not in IMPLEMENTATIONS:
        yield f"{where}: implementation: there is no {short(entry['implementation'])}"
    if entry["dtype"] not in BYTES:
        yield f"{where}: dtype: there is no {short(entry['dtype'])}"
    if entry["shape"] not in SHAPES:
        yield f"{where}: shape: {short(entry['shape'])} is none of those that are measured"
    if not FEWEST <= len(entry["seconds"]) <= MOST_SAMPLES:
        yield f"{where}: {len(entry['seconds'])} samples, expected {FEWEST} to {MOST_SAMPLES}"
    bad = (fault for value in entry["seconds"][:MOST_SAMPLES] if (fault := _SECONDS.fault(value)))
    yield from (f"{where}: seconds: {fault}" for fault in list(bad)[:1])


def _unlike(record: Mapping[str, Any], notebook: str | Path, cell: str) -> Iterator[str]:
    """The code that was measured is the code that stands in the notebook."""
    if record["source_hash"] != source_hash(cell_source(notebook, cell)):
        yield (
            f"it was measured with other code than now stands in cell '{cell}': save the notebook and run "
            f"`course measure {LAB}.ipynb` again"
        )
