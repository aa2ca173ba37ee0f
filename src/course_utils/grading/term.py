"""``course.toml`` in a course folder: due dates, extensions, lateness, weights, the private overlay.

The file is optional, and so is all that is in it::

    timezone = "Europe/Berlin"      # of due dates without an offset; UTC if absent
    overlay = "../private"          # the private overlay, relative to this file

    [lateness]
    grace_minutes = 15              # not counted
    percent_per_day = 10            # of the points earned, for each day begun after that
    at_most_percent = 50

    [term]
    drop_lowest = 1

    [assignments.02-soft-dictionary]
    due = 2026-10-12T23:59:00
    weight = 2

    [assignments.02-soft-dictionary.extensions]
    kim = "2 days"

Where an assignment has a due date here, this file alone says when it is due and who has more time; where it has none,
the gradebook does, as nbgrader's own commands set it.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]
from jsonschema.validators import extend  # type: ignore[import-untyped]

from course_utils._errors import CourseError
from course_utils.grading.handed import nfc
from course_utils.grading.untrusted import shown

FILE = "course.toml"
DAY = 86_400.0  # seconds
LENGTH = re.compile(r"(\d{1,4}) (minute|hour|day|week)s?")
FIRST_YEAR, LAST_YEAR = 2000, 2200  # of due dates: beyond lie slips of the pen, and dates that cannot be reckoned with

_PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
_ASSIGNMENT = {
    "due": {"type": "time"},
    "weight": {"type": "number", "minimum": 0, "maximum": 1e6},
    "extensions": {"type": "object", "additionalProperties": {"type": "string", "pattern": rf"^{LENGTH.pattern}\Z"}},
}
_SCHEMA = {
    "timezone": {"type": "string"},
    "overlay": {"type": "string", "minLength": 1},
    "lateness": {
        "grace_minutes": {"type": "number", "minimum": 0, "maximum": 1e6},
        "percent_per_day": _PERCENT,
        "at_most_percent": _PERCENT,
    },
    "term": {"drop_lowest": {"type": "integer", "minimum": 0, "maximum": 1000}},
    "assignments": {"type": "object", "additionalProperties": _ASSIGNMENT},
}


class TermError(CourseError):
    """``course.toml`` cannot be used; the message is one line that names the file and the key."""


@dataclass(frozen=True)
class Lateness:
    """What a late submission loses.

    Attributes:
        grace_minutes: so much later costs nothing.
        percent_per_day: of the points earned, for each day begun after that.
        at_most_percent: and never more than this.
    """

    grace_minutes: float = 0.0
    percent_per_day: float = 0.0
    at_most_percent: float = 100.0

    def penalty(self, score: float, seconds: float) -> float:
        """Points taken from a score that was earned so many seconds after the due date; never more than the score."""
        days = math.ceil(max(0.0, seconds - 60 * self.grace_minutes) / DAY)
        return max(0.0, score) * (min(self.percent_per_day * days, self.at_most_percent) / 100)


@dataclass(frozen=True)
class Terms:
    """The terms of one assignment.

    Attributes:
        due: in UTC, without a zone, as nbgrader keeps it; None where ``course.toml`` does not say.
        weight: in the total of the term.
        extensions: how much later it is due, by student.
    """

    due: datetime | None = None
    weight: float = 1.0
    extensions: Mapping[str, timedelta] = field(default_factory=dict)


@dataclass(frozen=True)
class Term:
    """What ``course.toml`` says.

    Attributes:
        path: the file.
        lateness: None where the file says nothing of it: penalties in the gradebook are then left as they are.
        drop_lowest: how many assignments with the lowest percentages do not count.
        overlay: the folder of the private overlay.
        assignments: the terms of those that are named.
    """

    path: Path
    lateness: Lateness | None = None
    drop_lowest: int = 0
    overlay: Path | None = None
    assignments: Mapping[str, Terms] = field(default_factory=dict)

    def of(self, name: str) -> Terms:
        """The terms of an assignment, named in the file or not."""
        return self.assignments.get(name, Terms())

    def require(self, known: Sequence[str]) -> None:
        """Refuse assignments that there are not.

        Raises:
            TermError: the file names another one.
        """
        for name in self.assignments:
            if name not in known:
                raise TermError(f"{self.path}: assignments.{name}: no such assignment; there are {', '.join(known)}")


def read_term(course: Path) -> Term:
    """Read ``course.toml`` in a course folder; without the file, nothing is said.

    Raises:
        TermError: it cannot be read, is no TOML, or says what cannot be.
    """
    path = course / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors put a mark in front
        faults = sorted(_VALIDATOR.iter_errors(content), key=lambda fault: list(map(str, fault.absolute_path)))
    except FileNotFoundError:
        return Term(path)
    except OSError as error:
        raise TermError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TermError(f"{path}: is not UTF-8: save it again as that") from error
    except tomllib.TOMLDecodeError as error:
        raise TermError(f"{path}: is not complete TOML: {error}") from error
    except (ValueError, RecursionError) as error:
        words = "holds a number with thousands of digits, or hundreds of tables or lists in each other: take it out"
        raise TermError(f"{path}: {words}") from error
    for fault in faults:
        raise TermError(f"{path}: {_said(fault)}")
    return _term(path, content)


def _term(path: Path, content: dict[str, Any]) -> Term:
    zone = _zone(path, content.get("timezone", "UTC"))
    return Term(
        path,
        lateness=Lateness(**content["lateness"]) if "lateness" in content else None,
        drop_lowest=content.get("term", {}).get("drop_lowest", 0),
        overlay=path.parent / content["overlay"] if "overlay" in content else None,
        assignments={name: _terms(path, name, each, zone) for name, each in content.get("assignments", {}).items()},
    )


def _zone(path: Path, name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not known; a folder; a name that leads elsewhere
        raise TermError(
            f"{path}: timezone: no time zone {shown(repr(name))}: give one such as Europe/Berlin"
        ) from error


def _terms(path: Path, name: str, content: dict[str, Any], zone: tzinfo) -> Terms:
    due, extensions = content.get("due"), content.get("extensions", {})
    where = f"{path}: assignments.{shown(name)}"
    if extensions and due is None:
        raise TermError(f"{where}.extensions: no `due` to extend: give assignments.{shown(name)} one")
    if due is not None:
        if not FIRST_YEAR <= due.year <= LAST_YEAR:
            raise TermError(f"{where}.due: the year must be between {FIRST_YEAR} and {LAST_YEAR}, not {due.year}")
        due = due.replace(tzinfo=due.tzinfo or zone).astimezone(UTC).replace(tzinfo=None)
    return Terms(due, content.get("weight", 1.0), _lengths(where, extensions))


def _lengths(where: str, extensions: Mapping[str, str]) -> dict[str, timedelta]:
    """How much more time each student has; ids that differ only in their Unicode form are one student's."""
    more: dict[str, timedelta] = {}
    for student, words in extensions.items():
        if nfc(student) in more:
            raise TermError(f"{where}.extensions: {shown(student)} is there twice, in two Unicode forms: keep one line")
        more[nfc(student)] = _length(words)
    return more


def _length(words: str) -> timedelta:
    number, unit = words.rstrip("s").split()
    return timedelta(**{f"{unit}s": int(number)})


# --- the file's form ----------------------------------------------------------------------------------------------


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema in which a table that is written as its keys knows no others."""
    if isinstance(schema.get("additionalProperties"), dict):
        return {**schema, "additionalProperties": _closed(schema["additionalProperties"])}
    if isinstance(schema.get("type"), str):
        return schema
    keys = {key: _closed(value) for key, value in schema.items()}
    return {"type": "object", "properties": keys, "additionalProperties": False}


_PLAIN = Draft202012Validator.TYPE_CHECKER
_TYPES = _PLAIN.redefine_many(
    {
        "number": lambda _, value: _PLAIN.is_type(value, "number") and abs(value) < math.inf,  # of any length
        "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),  # plainly 1.0 is one too
        "time": lambda _, value: isinstance(value, datetime),
    }
)
_VALIDATOR = extend(Draft202012Validator, type_checker=_TYPES)(_closed(_SCHEMA))
_NAMES = {
    "object": "a table",
    "string": "a text in quotes",
    "number": "a number",
    "integer": "a whole number",
    "time": "a date with a time, such as 2026-10-12T23:59:00",
}


def _said(fault: ValidationError) -> str:
    """What is wrong, after the key where it is."""
    where = shown(".".join(map(str, fault.absolute_path)))
    start = f"{where}: " if where else ""
    whole = repr(fault.instance)
    given = shown(whole)
    if fault.validator == "additionalProperties":
        unknown = sorted(set(fault.instance) - set(fault.schema["properties"]))[0]
        return f"{start}no key {shown(repr(unknown))}; there are {', '.join(fault.schema['properties'])}"
    if fault.validator == "type":
        return f"{start}must be {_NAMES[fault.validator_value]}, not {given}"
    if fault.validator == "pattern":
        return f"{start}must be a length such as '2 days' or '12 hours', not {given}"
    return f"{start}{given}{fault.message.removeprefix(whole)}"
