"""Taking in what was handed in for one assignment: nbgrader's folders, or an archive of a learning platform.

A submission is hostile until it has been read: no link is followed, nothing but a plain file is opened, nothing is
unpacked to disk, and nothing of it is run. What is wrong with one submission is said in that submission's refusal;
the others go on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from course_utils.grading.archive import read_archive
from course_utils.grading.handed import Entry, IntakeError, IntakeLimits, identified, is_junk, nfc, submission
from course_utils.grading.records import Submission
from course_utils.grading.untrusted import RefusedError, read_notebook, shown

__all__ = ["IntakeError", "IntakeLimits", "RefusedError", "from_archive", "from_folder", "read_notebook", "shown"]

LIMITS = IntakeLimits()
DEEPEST = 8  # folders below a submission that are looked into
_KINDS = {
    stat.S_IFLNK: "is a symbolic link, which is not followed",
    stat.S_IFDIR: "is a folder, not a file",
    stat.S_IFREG: "is a file, not a folder",
}


def from_folder(
    course: Path,
    assignment: str,
    *,
    declared: Sequence[str] = (),
    students: Sequence[str] = (),
    limits: IntakeLimits = LIMITS,
) -> list[Submission]:
    """Read ``course/submitted/<student>/<assignment>/``; a student without that folder has no submission.

    Args:
        course: nbgrader's course folder.
        assignment: the assignment's name.
        declared: paths of further files that belong to a submission, below its folder.
        students: whose submissions are read; everyone's where empty.
        limits: how much is read.

    Returns:
        One submission for each student, sorted by student; one that cannot be graded carries its refusal.

    Raises:
        IntakeError: there is no such folder, or one of ``students`` has handed in nothing.
    """
    submitted = course / "submitted"
    try:
        names = sorted(os.listdir(submitted))
    except OSError as error:
        raise IntakeError(
            f"{submitted} cannot be read ({error.strerror}): "
            "name the folder that holds submitted/<student>/<assignment>/ with --course"
        ) from error
    wanted = {nfc(student) for student in students}
    names = [name for name in names if not is_junk([name]) and (not wanted or nfc(name) in wanted)]
    found = (one for name in names for one in _from_student(submitted, name, assignment, declared, limits))
    return _by_student(found, wanted, f"{submitted} holds no submission of %s for {assignment}: is the id right?")


def from_archive(
    archive: Path,
    assignment: str,
    *,
    declared: Sequence[str] = (),
    students: Sequence[str] = (),
    limits: IntakeLimits = LIMITS,
) -> list[Submission]:
    """Read the submissions in a zip: an export of Moodle or Canvas, or folders named by student.

    Args:
        archive: the zip.
        assignment: the assignment's name.
        declared: paths of further files that belong to a submission.
        students: whose submissions are wanted; everyone's where empty.
        limits: how much is read and unpacked.

    Returns:
        One submission for each student, sorted by student; one that cannot be graded carries its refusal.

    Raises:
        IntakeError: there is no such file, it is not a zip that can be read, or one of ``students`` is not in it.
    """
    found = (submission(handed, assignment, declared, limits) for handed in read_archive(archive, assignment, limits))
    wanted = {nfc(student) for student in students}
    return _by_student(found, wanted, f"{archive} holds no submission of %s: is the id right?")


def _by_student(submissions: Iterable[Submission], wanted: set[str], missing: str) -> list[Submission]:
    """One submission for each student, of those that are wanted."""
    found: dict[str, list[Submission]] = {}
    for one in submissions:
        found.setdefault(one.student, []).append(one)
    for student in sorted(wanted - set(found)):
        raise IntakeError(missing.replace("%s", shown(student)))
    return [_only(student, found[student]) for student in sorted(found) if not wanted or student in wanted]


def _only(student: str, found: Sequence[Submission]) -> Submission:
    """A student's one submission; of several it cannot be said which counts, so all are refused in one."""
    if len(found) == 1:
        return found[0]
    reason = f"{len(found)} submissions give this student's name, maybe in different Unicode forms: keep one"
    return Submission(student, refusal=reason)


# --- one student's folder ---------------------------------------------------------------------------------------


def _from_student(
    submitted: Path, name: str, assignment: str, declared: Sequence[str], limits: IntakeLimits
) -> Iterator[Submission]:
    """The submission in a student's folder, if there is one."""
    handed = identified(name)
    handed.stamped = True
    try:
        if stat.S_ISREG(os.lstat(submitted / name).st_mode):
            return  # a README beside the students' folders
        with _opened(str(submitted), None) as top, _opened(name, top, "the student's folder ") as student:
            if not _exists(assignment, student):
                return
            with _opened(assignment, student, f"{assignment} ") as folder:
                handed.entries = list(_entries(folder, limits))
                yield submission(handed, assignment, declared, limits)
    except RefusedError as error:
        yield Submission(handed.student, notes=tuple(handed.notes), refusal=str(error))


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RefusedError(f"{name} cannot be read: {error.strerror}") from error
    return True


def _entries(top: int, limits: IntakeLimits) -> Iterator[Entry]:
    """All files below an open folder, and what stands there in the place of files."""
    waiting: list[tuple[str, ...]] = [()]
    left = limits.entries
    while waiting:
        where = waiting.pop()
        try:
            names = _names(top, where, left)
        except RefusedError:
            if not where:
                raise
            yield _entry(top, where)
            continue
        left -= len(names)
        for name, is_folder in names:
            path = (*where, name)
            if is_folder and not name.endswith(".ipynb") and len(path) <= DEEPEST:
                waiting.append(path)
            else:
                yield _entry(top, path)
        if left < 0:
            raise RefusedError(f"the submission holds more than {limits.entries} files and folders")


def _names(top: int, where: tuple[str, ...], most: int) -> list[tuple[str, bool]]:
    """What a folder holds, and whether each is a folder: one more than ``most`` names at most."""
    with _chain(top, where) as folder, os.scandir(folder) as scanned:
        items = islice((item for item in scanned if not is_junk([item.name])), most + 1)
        return [(item.name, item.is_dir(follow_symlinks=False)) for item in items]


def _entry(top: int, path: tuple[str, ...]) -> Entry:
    return Entry(tuple(map(nfc, path)), partial(_read, top, path))


def _read(top: int, path: tuple[str, ...], limit: int) -> bytes:
    """The content of a plain file below an open folder.

    Raises:
        RefusedError: it is not a plain file, cannot be read, or is larger than ``limit`` bytes.
    """
    with _chain(top, path[:-1]) as folder, _opened(path[-1], folder, directory=False) as descriptor:
        try:
            content = _up_to(descriptor, limit + 1)
        except OSError as error:
            raise RefusedError(f"cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise RefusedError(f"is larger than {limit} bytes")
    return content


def _up_to(descriptor: int, size: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(size)


@contextmanager
def _chain(top: int, path: tuple[str, ...]) -> Iterator[int]:
    """Open a folder below an open folder, each step without following a link."""
    with ExitStack() as stack:
        folder = stack.enter_context(_opened(".", top))
        for name in path:
            folder = stack.enter_context(_opened(name, folder))
        yield folder


@contextmanager
def _opened(name: str, folder: int | None, what: str = "", directory: bool = True) -> Iterator[int]:
    """Open a folder or a plain file for reading.

    It is looked at before it is opened, since opening a device may do things, and after, since it may have been
    exchanged in between.

    Raises:
        RefusedError: it is something else, or cannot be opened; the message begins with ``what``.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        _expect(os.stat(name, dir_fd=folder, follow_symlinks=folder is None), directory, what)
        follow = os.O_NOFOLLOW if folder is None else 0  # above the students' folders, the course's links are fine
        descriptor = os.open(name, flags & ~follow, dir_fd=folder)
    except OSError as error:
        raise RefusedError(f"{what}cannot be read: {error.strerror}") from error
    try:
        _expect(os.fstat(descriptor), directory, what)
        yield descriptor
    finally:
        os.close(descriptor)


def _expect(status: os.stat_result, directory: bool, what: str) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != (stat.S_IFDIR if directory else stat.S_IFREG):
        raise RefusedError(what + _KINDS.get(kind, "is neither a file nor a folder (a pipe, a socket or a device)"))
