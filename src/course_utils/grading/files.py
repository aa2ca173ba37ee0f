"""The files of a graded submission in nbgrader's course folder: the autograded notebook, its timestamp, its log."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell, new_notebook

from course_utils.grading.database import GradebookError
from course_utils.grading.records import Graded
from course_utils.grading.report import one_line
from course_utils.release import write_atomically


def autograded_path(course: Path, student: str, name: str) -> Path:
    """Where nbgrader looks for an autograded notebook."""
    return course / "autograded" / student / name / f"{name}.ipynb"


def write_files(course: Path, graded: Graded, points: Mapping[str, float], timestamp: str) -> None:
    """Write what grading a submission gave.

    Args:
        course: nbgrader's course folder.
        graded: the grading; where it is a refusal without a notebook, a notice stands in the notebook's place.
        points: what each graded cell is worth, by grade_id.
        timestamp: the text of ``timestamp.txt``; without one, there is none.

    Raises:
        GradebookError: a file cannot be written.
    """
    path = autograded_path(course, graded.student, graded.assignment)
    stamp = path.with_name("timestamp.txt")
    try:
        write_atomically(path, encoded(graded.notebook or _notice(graded.refusal)))
        if timestamp.strip():
            write_atomically(stamp, encoded(timestamp))
        else:
            stamp.unlink(missing_ok=True)
        log = course / "logs" / graded.assignment / f"{graded.student}.log"
        write_atomically(log, encoded(_log(graded, points, timestamp)))
    except OSError as error:
        place = one_line(str(error.filename))  # a student's id is part of it
        raise GradebookError(f"{place}: {error.strerror}; nothing of this submission was recorded") from error


def encoded(text: str) -> bytes:
    """UTF-8 in any case: what is no character (a lone surrogate) becomes a question mark."""
    return text.encode("utf-8", "replace")


def _notice(refusal: str) -> str:
    """A notebook in the place of one that could not be graded, so that the formgrader has something to show."""
    words = f"Not graded; a person will look at it.\n\n    {refusal}"
    return nbformat.writes(new_notebook(cells=[new_markdown_cell(words, id="not-graded")])) + "\n"


def _log(graded: Graded, points: Mapping[str, float], timestamp: str) -> str:
    """What an instructor may want to know of one grading, as plain text."""
    lines = [f"{graded.assignment} of {graded.student}, handed in {timestamp.strip() or 'at a time not known'}", ""]
    if graded.refusal:
        lines += [f"not graded: {graded.refusal}"]
    for verdict in graded.verdicts:
        most = points[verdict.grade_id]
        lines += [f"{verdict.grade_id}: {most if verdict.passed else 0:g} of {most:g}"]
        lines += [f"    {line}" for line in verdict.message.splitlines()]
    lines += [f"note: {note}" for note in graded.notes]
    lines += ["run without a sandbox (--unsafe)"] if graded.unsafe else []
    used = f"{graded.seconds:.1f} s, {graded.cpu_seconds:.1f} s of CPU time, {graded.memory_bytes / 2**20:.0f} MiB"
    return "\n".join([*lines, "", f"{used}, {graded.starts} starts", _versions()]) + "\n"


@cache
def _versions() -> str:
    packages = (f"{name} {version(name)}" for name in ("attention-course", "nbgrader", "torch"))
    return ", ".join([f"Python {platform.python_version()}", *packages])
