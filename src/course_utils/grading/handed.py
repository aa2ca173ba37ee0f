"""What one student handed in, from a folder or from an archive: which of it is the notebook, and what is noted."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from course_utils._errors import CourseError
from course_utils.grading.records import Submission
from course_utils.grading.untrusted import RefusedError, read_notebook, shown

MIB = 1 << 20
TIMESTAMP = "timestamp.txt"
LONGEST_TIMESTAMP = 100  # bytes; nbgrader writes about 30
LONGEST_NAME = 200  # bytes; a folder's name may have 255, and files are named after it
MOST_LETTERS = 128  # of a student's id in nbgrader's tables
MOST_LISTED = 5


class IntakeError(CourseError):
    """There is nothing to read submissions from; the message is one line that says what to do."""


@dataclass(frozen=True)
class IntakeLimits:
    """How much is read before it is refused; bytes are counted as they are unpacked, whatever an archive says.

    Attributes:
        notebook_bytes: of a notebook.
        file_bytes: of any other file that is read, an archive within an archive among them.
        archive_bytes: of all that is unpacked of one archive, those within it included.
        entries: files and folders of one submission, or of one archive.
    """

    notebook_bytes: int = 16 * MIB
    file_bytes: int = 64 * MIB
    archive_bytes: int = 4096 * MIB
    entries: int = 20_000


@dataclass(frozen=True)
class Entry:
    """A file that was handed in: its path, and how at most so many bytes are read (else RefusedError)."""

    path: tuple[str, ...]
    read: Callable[[int], bytes]

    @property
    def shown(self) -> str:
        """The path as it may stand in a message."""
        return shown("/".join(self.path))


@dataclass
class Handed:
    """All that one student handed in for the assignment.

    Attributes:
        student: the student's id, NFC.
        entries: the files.
        notes: what is to be said of it whatever is in it.
        faults: why parts of it could not be looked into: the reason, where no notebook is found elsewhere.
        refusal: why none of it is looked at.
        stamped: whether a ``timestamp.txt`` is the course's own, and not a student's file.
    """

    student: str
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    refusal: str = ""
    stamped: bool = False


def nfc(name: str) -> str:
    """The name in composed form: macOS takes Hangul and accented letters apart."""
    return unicodedata.normalize("NFC", name)


def is_junk(path: Iterable[str]) -> bool:
    """Whether a path leads to what nobody hands in on purpose: hidden files and systems' leavings."""
    return any(part.startswith(".") or part in ("__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini") for part in path)


def identified(name: str) -> Handed:
    """What is known of a student by the name of a folder alone."""
    handed = Handed(nfc(name))
    if handed.student != name:
        handed.notes.append("the student's name was in another Unicode form: composed (NFC)")
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        handed.student = _foldable(name)
        handed.refusal = "the name of the student's folder is not UTF-8: rename the folder"
    elif len(handed.student.encode()) > LONGEST_NAME or len(handed.student) > MOST_LETTERS:
        handed.student = _foldable(name)
        most = f"{MOST_LETTERS} letters or {LONGEST_NAME} bytes"
        handed.refusal = f"the student's name is longer than {most}: rename the folder"
    return handed


def _foldable(name: str) -> str:
    """A name for a folder in the place of one that cannot be: its beginning, and a mark of the whole."""
    mark = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return shown(name).encode()[:120].decode(errors="ignore") + mark


def submission(handed: Handed, assignment: str, declared: Sequence[str], limits: IntakeLimits) -> Submission:
    """Take what is to be graded of what was handed in; what cannot be graded is refused in one line."""
    notes = list(handed.notes)
    try:
        if handed.refusal:
            raise RefusedError(handed.refusal)
        chosen = _chosen(handed, assignment, notes)
        notes += handed.faults
        content = _notebook(chosen, assignment, limits, notes)
    except RefusedError as error:
        return Submission(handed.student, notes=tuple(notes), refusal=str(error))
    files = _files(handed, chosen.path[:-1], declared, limits, notes)
    timestamp = _timestamp(handed, notes)
    taken = {chosen.path, *((*chosen.path[:-1], *name.split("/")) for name in files)}
    rest = [entry for entry in handed.entries if entry.path not in taken and not _holds(entry, chosen)]
    notes += [f"not taken: {names}" for names in _listed(rest)]
    return Submission(handed.student, content, files, timestamp, tuple(notes))


def _chosen(handed: Handed, assignment: str, notes: list[str]) -> Entry:
    """The entry that is the notebook: the one with the right name that lies highest, else the only one."""
    found = [entry for entry in handed.entries if entry.path[-1].lower().endswith(".ipynb")]
    right = [entry for entry in found if entry.path[-1] == f"{assignment}.ipynb"]
    right = [entry for entry in right if len(entry.path) == min(len(other.path) for other in right)]
    if not found:
        others = [f"there is {names}" for names in _listed(handed.entries)]
        raise RefusedError("; ".join(["no notebook was handed in", *handed.faults, *others]))
    if len(right) == 1 and len(found) > 1:
        notes.append(f"{len(found)} notebooks were handed in; taken is {right[0].shown}")
    if len(right) == 1 or len(found) == 1:
        return (right or found)[0]
    names = ", ".join(sorted(entry.shown for entry in right or found)[:MOST_LISTED])
    which = "more than one has" if right else "none has"
    raise RefusedError(f"of {len(found)} notebooks {which} the name {assignment}.ipynb: {names}")


def _holds(entry: Entry, other: Entry) -> bool:
    """Whether an entry is the zip that another was found in."""
    return other.path[: len(entry.path)] == entry.path


def _listed(entries: Sequence[Entry]) -> list[str]:
    """The entries' names in one line, or no line if there are none."""
    names = sorted(entry.shown for entry in entries if entry.path != (TIMESTAMP,))
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return [", ".join(names[:MOST_LISTED]) + more] if names else []


def _notebook(entry: Entry, assignment: str, limits: IntakeLimits, notes: list[str]) -> bytes:
    """The notebook's bytes, once they have been read as one of this assignment."""
    try:
        content = entry.read(limits.notebook_bytes)
        nb, strange = read_notebook(content, assignment)
    except RefusedError as error:
        raise RefusedError(f"{entry.shown} {error}") from None
    notes += strange
    if entry.path[-1] != f"{assignment}.ipynb":
        if nb.metadata.get("course", {}).get("assignment") != assignment:
            raise RefusedError(f"{entry.shown} is not named {assignment}.ipynb and does not say what it belongs to")
        notes.append(f"the notebook is named {entry.shown}, not {assignment}.ipynb; it says that it belongs to it")
    return content


def _files(
    handed: Handed, beside: tuple[str, ...], declared: Sequence[str], limits: IntakeLimits, notes: list[str]
) -> dict[str, bytes]:
    """The further files that the assignment declares, beside the notebook; one that cannot be read is left out."""
    files: dict[str, bytes] = {}
    for name in declared:
        found = [entry for entry in handed.entries if entry.path == (*beside, *name.split("/"))]
        try:
            if len(found) != 1:
                raise RefusedError("is there twice" if found else "was not handed in")
            files[name] = found[0].read(limits.file_bytes)
        except RefusedError as error:
            notes.append(f"the declared file {name} {error}")
    return files


def _timestamp(handed: Handed, notes: list[str]) -> str:
    """The text of nbgrader's timestamp.txt; one that is no line of text, or the student's own, is left out."""
    found = [entry for entry in handed.entries if entry.path == (TIMESTAMP,)]
    try:
        if found and not handed.stamped:
            raise RefusedError("may be the student's own, since it is in no `submitted` folder of the archive")
        text = found[0].read(LONGEST_TIMESTAMP).decode("utf-8-sig").strip() if found else ""
        if text.isprintable():
            return text
        reason = "is not one line of text"
    except RefusedError as error:
        reason = str(error)
    except UnicodeDecodeError:
        reason = "is not text"
    notes.append(f"{TIMESTAMP} {reason}: left out")
    return ""
