"""Exceptions between two sides: as their nearest builtin type, and only the student's with their text."""

from __future__ import annotations

import builtins
from typing import Any

from course_utils.grading.frames import WireError

LONGEST_TEXT = 2_000  # characters of an exception
MOST_KEPT = 1_000  # exceptions of the trusted side's whose text it keeps
UNSAID = "raised on the grader's side"


class Errors:
    """The exceptions that this side has told the other of.

    What the trusted side raises, in a callback that a test handed in, say, may hold what a test expects: its text stays
    and its number crosses. If the student's function lets it pass, the number comes back, and the text with it.
    """

    def __init__(self) -> None:
        self.kept: dict[int, tuple[str, str]] = {}
        self.count = 0

    def said(self, error: BaseException, trusted: bool) -> list:
        """What the other side is told of an exception: type, text, and a number for its text."""
        name, text = _described(error)
        if not trusted:
            return [name, text, getattr(error, "_number_there", None)]
        self.count += 1
        self.kept[self.count] = (name, text)
        self.kept.pop(self.count - MOST_KEPT, None)
        return [name, UNSAID, self.count]

    def heard(self, described: Any, trusted: bool) -> Exception:
        """The exception that the other side describes.

        Raises:
            WireError: the description is none.
        """
        if not isinstance(described, list) or [type(part) for part in described[:2]] != [str, str]:
            raise WireError("an error that is none")
        name, text, number = [*described, None][:3]
        if trusted:
            name, text = self.kept.get(number, (name, text)) if type(number) is int else (name, text)
            return _exception(name, text)
        error = _exception(name, text)
        error._number_there = number  # type: ignore[attr-defined]
        return error


def _described(error: BaseException) -> tuple[str, str]:
    """The nearest builtin type of an exception, and its text, cut."""
    builtin = next((kind for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind), Exception)
    text = str(error)
    if not issubclass(builtin, Exception):  # an exit over there is no exit here
        builtin, text = RuntimeError, f"{type(error).__name__} {text}".strip()
    return builtin.__name__, text[:LONGEST_TEXT]


def _exception(name: str, text: str) -> Exception:
    """An exception of a builtin type; anything odd becomes a RuntimeError."""
    kind: Any = getattr(builtins, name, None)
    if not isinstance(kind, type) or not issubclass(kind, Exception):
        kind = RuntimeError
    if issubclass(kind, StopIteration | StopAsyncIteration):  # it would end a loop of the caller's without a word
        kind = RuntimeError
    try:
        return kind(text[:LONGEST_TEXT])
    except TypeError:  # UnicodeDecodeError and its like want more than a text
        return RuntimeError(text[:LONGEST_TEXT])
