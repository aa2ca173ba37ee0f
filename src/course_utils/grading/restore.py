"""`course restore`: a course as a backup has it, in the place of nothing, or of what is then kept aside.

Everything is unpacked and checked in ``DIR/.restoring`` first. Then the rows of the gradebook are replaced in one
transaction, and within it the folders are renamed. A kill before that changes nothing. After one in the middle the
gradebook says which state it is, the old or the new, the folders are made to fit it by the next restore, and until
then nothing else opens the course.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from course_utils.grading.backup import CHUNK, FORMAT, KEPT, MANIFEST, BackupError, Contents, head, many, member, said
from course_utils.grading.database import in_one_line, open_engine, shown
from course_utils.grading.gradebook import SWITCHING, Book
from course_utils.grading.tables import TABLES, clear, counted, fill, lines
from course_utils.release import write_atomically

STAGE = SWITCHING.parent
ODD = "this is no backup that `course backup` wrote"
DAMAGED = "the backup is damaged: take another copy of it"


@dataclass(frozen=True)
class Plan:
    """What is renamed: what was there into a folder of its own, what is new into its place.

    Attributes:
        aside: the folder in the course's that takes the old; empty where there is nothing.
        old, new: the names of both.
    """

    aside: str
    old: list[str]
    new: list[str]


def restore(file: Path, course: Path, url: str = "", *, force: bool = False) -> tuple[Contents, Path | None]:
    """Put a backup in place.

    Args:
        file: what `course backup` wrote.
        course: nbgrader's course folder; made where there is none.
        url: the gradebook's, of any kind; ``gradebook.db`` in the course folder if empty.
        force: also where something is; it is kept in a folder ``before-restore-N``, a course folder itself.

    Returns:
        What was restored, and the folder where that is kept which was there.

    Raises:
        BackupError, GradebookError: one line.
    """
    with said(file), _opened(file) as (archive, entries):
        course.mkdir(parents=True, exist_ok=True)
        engine = open_engine(Book(course, url).url)
        try:
            with in_one_line(engine), engine.begin() as connection:
                _take_up(course, connection)
                held = _held(course, connection)
                if held and not force:
                    raise BackupError(
                        f"{course} and its {shown(engine)} are not empty ({', '.join(held)}): restore elsewhere, or "
                        "give --force, which keeps what is there in a folder before-restore-1"
                    )
                _unpack(archive, entries, course / STAGE)
                plan = _planned(course, held)
                if held:
                    _copy(connection, course / STAGE)
                _replace(connection, course / STAGE)
                students, assignments = (counted(connection, name) for name in ("student", "assignment"))
                _switch(course, plan)
            (course / SWITCHING).unlink()
        finally:
            engine.dispose()
            _clean(course)
    files = sum(path.startswith("course/") and not path.endswith("/") for path in entries)
    return Contents(students, assignments, files), course / plan.aside if plan.aside else None


# --- what is in the zip -------------------------------------------------------------------------------------------


@contextmanager
def _opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, dict[str, Any]]]]:
    """The zip, and its manifest's entries by their paths, each of which leads into the course folder."""
    try:
        with zipfile.ZipFile(file) as archive:
            about = json.loads(archive.read(MANIFEST))
            _check_versions(about)
            entries = {entry["path"]: entry for entry in about["entries"]}
            _check_names(archive, entries)
            yield archive, entries
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BackupError(f"{file}: {DAMAGED}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise BackupError(f"{file}: {ODD}") from error


def _check_versions(about: dict[str, Any]) -> None:
    if about["format"] != FORMAT:
        raise BackupError(f"the backup has another form ({about['format']}): use the course's version that wrote it")
    if about["tables"] != head():
        raise BackupError(f"the backup's gradebook is of nbgrader {about['nbgrader']}: restore it with that version")


def _check_names(archive: zipfile.ZipFile, entries: dict[str, dict[str, Any]]) -> None:
    """Refuse what would lead out of the course, is a link, has no size, or is there without the manifest's knowing."""
    for path, entry in entries.items():
        kind, *parts = path.removesuffix("/").split("/")
        inside = parts and not set(parts) & {"", ".", ".."} and "\0" not in path
        table = kind == "gradebook" and len(parts) == 1 and parts[0].removesuffix(".jsonl") in TABLES
        if not inside or not (table or (kind == "course" and parts[0] in KEPT)):
            raise BackupError(f"the backup holds {path!r}, which has no place in a course: do not trust it")
        size = entry.get("bytes", 0)
        if type(size) is not int or size < 0:  # it bounds what is read
            raise BackupError(f"its list of files has a size that cannot be ({path!r}): {ODD}")
    infos = archive.infolist()
    if any(stat.S_ISLNK(info.external_attr >> 16) for info in infos):
        raise BackupError("the backup holds a link, and `course backup` writes none: do not trust it")
    if sorted(info.filename for info in infos) != sorted(
        [MANIFEST, *(member(path) for path in entries if not path.endswith("/"))]
    ):
        raise BackupError(f"its list of files is not what it holds: {ODD}")


def _unpack(archive: zipfile.ZipFile, entries: dict[str, dict[str, Any]], stage: Path) -> None:
    """Write all files below the stage, and compare them with what the manifest says."""
    needed = sum(entry.get("bytes", 0) for entry in entries.values())
    (stage / "course").mkdir(parents=True)
    if needed > shutil.disk_usage(stage).free:
        raise BackupError(f"the backup needs {needed >> 20} MiB, more than the disk has left: make room")
    for path, entry in entries.items():
        target = stage / path
        if path.endswith("/"):
            target.mkdir(parents=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, left = hashlib.sha256(), entry["bytes"]
        with archive.open(member(path)) as source, open(target, "xb") as written:
            while part := source.read(min(CHUNK, left + 1)):
                left -= len(part)
                if left < 0:
                    break
                digest.update(part)
                written.write(part)
        if left or digest.hexdigest() != entry["sha256"]:
            raise BackupError(f"{path!r} is not as it was backed up: {DAMAGED}")


# --- the gradebook ------------------------------------------------------------------------------------------------


def _replace(connection: Connection, stage: Path) -> None:
    clear(connection)
    for name, table in TABLES.items():
        text = stage / "gradebook" / f"{name}.jsonl"
        if text.exists():  # a table that came after the backup stays empty
            with open(text, "rb") as opened:
                fill(connection, table, opened)


def _is_new(connection: Connection, stage: Path) -> bool:
    """Whether the gradebook has the rows of the backup, and so the transaction was committed."""
    for name, table in TABLES.items():
        text = stage / "gradebook" / f"{name}.jsonl"
        digest = hashlib.sha256()
        for line in lines(connection, table) if text.exists() else ():
            digest.update(line)
        if text.exists() and digest.digest() != _digest(text):
            return False
    return True


def _digest(path: Path) -> bytes:
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def _copy(connection: Connection, stage: Path) -> None:
    """The old gradebook as a file, whatever database it is in."""
    engine = open_engine(f"sqlite:///{(stage / 'gradebook.db').absolute()}")
    with engine.begin() as target:
        clear(target)
        for table in TABLES.values():
            fill(target, table, lines(connection, table))
    engine.dispose()


# --- the folders --------------------------------------------------------------------------------------------------


def _held(course: Path, connection: Connection) -> list[str]:
    """What there is already, in words."""
    paths = [course / name for name in KEPT if os.path.lexists(course / name)]
    held = [path.name for path in paths if path.is_symlink() or not path.is_dir() or any(path.iterdir())]
    return held + [many(number, name) for name in ("student", "assignment") if (number := counted(connection, name))]


def _planned(course: Path, held: list[str]) -> Plan:
    aside = next(name for number in count(1) if not os.path.lexists(course / (name := f"before-restore-{number}")))
    old = [name for name in KEPT if os.path.lexists(course / name)]
    return Plan(aside if held else "", old, sorted(os.listdir(course / STAGE / "course")))


def _switch(course: Path, plan: Plan) -> None:
    """Rename everything; all or nothing, unless it is killed, and then it is known what was to be done."""
    write_atomically(course / SWITCHING, json.dumps(asdict(plan)).encode())
    try:
        _forward(course, plan)
    except BaseException:
        _back(course, plan)
        (course / SWITCHING).unlink()
        raise


def _forward(course: Path, plan: Plan) -> None:
    """Rename what is not renamed yet."""
    aside = course / plan.aside if plan.aside else course / STAGE / "empty"
    aside.mkdir(exist_ok=True)
    copied = course / STAGE / "gradebook.db"
    if copied.exists():
        os.rename(copied, aside / copied.name)
    for name in plan.old:
        if not os.path.lexists(aside / name):
            os.rename(course / name, aside / name)
    for name in plan.new:
        if os.path.lexists(course / STAGE / "course" / name):
            os.rename(course / STAGE / "course" / name, course / name)


def _back(course: Path, plan: Plan) -> None:
    """Rename back what was renamed."""
    aside = course / plan.aside if plan.aside else course / STAGE / "empty"
    for name in plan.new:
        if not os.path.lexists(course / STAGE / "course" / name):
            os.rename(course / name, course / STAGE / "course" / name)
    for name in plan.old:
        if os.path.lexists(aside / name):
            os.rename(aside / name, course / name)
    shutil.rmtree(aside, ignore_errors=True)


def _clean(course: Path) -> None:
    """Take the stage away, unless it tells what is half done."""
    if not (course / SWITCHING).exists():
        shutil.rmtree(course / STAGE, ignore_errors=True)


def _take_up(course: Path, connection: Connection) -> None:
    """End what an earlier restore was stopped in, forward or back, as the gradebook says."""
    if (course / SWITCHING).exists():
        plan = Plan(**json.loads((course / SWITCHING).read_text(encoding="utf-8")))
        (_forward if _is_new(connection, course / STAGE) else _back)(course, plan)
        (course / SWITCHING).unlink()
    _clean(course)
