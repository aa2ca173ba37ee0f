"""`course backup`: the gradebook and the folders of a course in one zip, checked by `course restore` (restore.py).

In the zip are ``gradebook/<table>.jsonl``, ``course/<path>`` and, last, ``manifest.json`` with the hash of each. No
time and no order of a database or a disk is in it: the same course gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from nbgrader.dbutil import ALEMBIC_DIR
from sqlalchemy import Engine

from course_utils._errors import CourseError
from course_utils.grading.database import in_one_line
from course_utils.grading.gradebook import Book
from course_utils.grading.tables import TABLES, counted, lines

FOLDERS = ("submitted", "autograded", "feedback", "logs")
KEPT = (*FOLDERS, "course.toml", "students.csv")
MANIFEST = "manifest.json"
FORMAT = 1
CHUNK = 1 << 20


class BackupError(CourseError):
    """A backup cannot be made, read or restored; one line that says why and what to do."""


@dataclass
class Contents:
    """What is in a backup.

    Attributes:
        students, assignments: how many the gradebook knows.
        files: how many files of the folders.
        left_out: links and the like, which are not in it: what, and why.
    """

    students: int = 0
    assignments: int = 0
    files: int = 0
    left_out: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        gradebook = f"{many(self.students, 'student')} and {many(self.assignments, 'assignment')} in the gradebook"
        return f"{gradebook}, {many(self.files, 'file')}"


def backup(course: Path, file: Path, url: str = "") -> Contents:
    """Write a backup; it appears whole or not at all.

    Args:
        course: nbgrader's course folder.
        file: the zip, which is not there yet.
        url: the gradebook's; ``gradebook.db`` in the course folder if empty.

    Raises:
        BackupError, GradebookError: one line.
    """
    _check_place(course, file)
    book = Book(course, url, new=False)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with book, said(file):
        try:
            with open(temporary, "xb") as opened:
                with zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as archive:
                    contents = _write(archive, course, book.engine)
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
    return contents


@contextlib.contextmanager
def said(file: Path) -> Iterator[None]:
    """Turn what the system says of files into a BackupError."""
    try:
        yield
    except OSError as error:
        raise BackupError(f"{error.filename or file}: {error.strerror or error}; nothing was changed") from error


def many(number: int, thing: str) -> str:
    """So many things, in words."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def head() -> str | None:
    """The version of nbgrader's tables."""
    return ScriptDirectory(ALEMBIC_DIR).get_current_head()


def member(path: str) -> str:
    """A path as a name in a zip, which is UTF-8; no two paths have the same."""
    return path.replace("\\", "\\\\").encode(errors="backslashreplace").decode()


def _check_place(course: Path, file: Path) -> None:
    if os.path.lexists(file):
        raise BackupError(f"{file} is there already: give another name")
    if not file.parent.is_dir():
        raise BackupError(f"there is no folder {file.parent} for the backup: make it, or give another")
    for name in KEPT:
        if file.resolve().is_relative_to((course / name).resolve()):
            raise BackupError(f"{file} would be within what is backed up: give a place outside {course / name}")
        if (course / name).is_symlink():
            raise BackupError(f"{course / name} is a symbolic link: a backup follows none, put the folder in its place")


def _write(archive: zipfile.ZipFile, course: Path, engine: Engine) -> Contents:
    """The gradebook first: a file that is newer than its row is graded again, a row newer than its file is not."""
    contents, entries = Contents(), []
    with in_one_line(engine), engine.begin() as connection:
        contents.students, contents.assignments = (counted(connection, name) for name in ("student", "assignment"))
        for name, table in TABLES.items():
            entries.append(_add(archive, f"gradebook/{name}.jsonl", lines(connection, table)))
    for path in _walk(course, contents.left_out):
        if path.endswith("/"):
            entries.append({"path": f"course/{path}"})
            continue
        with contextlib.suppress(FileNotFoundError):  # it was there a moment ago, and somebody took it away
            entries.append(_add(archive, f"course/{path}", _content(course / path)))
            contents.files += 1
    about = {"format": FORMAT, "tables": head(), "nbgrader": version("nbgrader"), "entries": entries}
    archive.writestr(_info(MANIFEST), json.dumps(about, indent=1) + "\n")
    return contents


def _add(archive: zipfile.ZipFile, path: str, parts: Iterable[bytes]) -> dict[str, Any]:
    """Write a file, and give the manifest's entry."""
    parts = iter(parts)
    first = next(parts, b"")  # opened before the archive knows of it
    digest, size = hashlib.sha256(), 0
    with archive.open(_info(member(path)), "w", force_zip64=True) as target:
        while first:
            target.write(first)
            digest.update(first)
            size += len(first)
            first = next(parts, b"")
    return {"path": path, "bytes": size, "sha256": digest.hexdigest()}


def _info(name: str) -> zipfile.ZipInfo:
    """A member of no time, which its owner alone may read."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | 0o600) << 16
    return info


def _content(path: Path) -> Iterator[bytes]:
    """A file's bytes; if it became a link meanwhile, an error."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
        while part := opened.read(CHUNK):
            yield part


def _walk(course: Path, left_out: list[str]) -> Iterator[str]:
    """The paths of all files, sorted; of an empty folder its own, with a slash at its end."""
    waiting = [name for name in reversed(KEPT) if os.path.lexists(course / name)]
    while waiting:
        path = waiting.pop()
        mode = os.lstat(course / path).st_mode
        if stat.S_ISDIR(mode):
            below = sorted(os.listdir(course / path), reverse=True)
            waiting += [f"{path}/{name}" for name in below]
            if not below:
                yield f"{path}/"
        elif stat.S_ISREG(mode):
            yield path
        else:
            left_out.append(f"{path}: {'a symbolic link' if stat.S_ISLNK(mode) else 'no plain file'}")
