"""Submissions in a zip, read in memory: nothing is written to disk, so that no path in it can lead anywhere.

Known are, by the names alone,

- Moodle's export: ``Full Name_12345_assignsubmission_file_/work.ipynb``, or the same with no folders. The number is
  the participant's in this one assignment, so it is part of the student's id only where two have the same name;
- Canvas's: ``namefirst_12345_67890_work.ipynb``, ``_LATE`` after the name where it was late, and ``-1`` after the name
  of a file that was handed in again. The first number is the user's in all of Canvas: the id is ``namefirst_12345``;
- folders by student: ``student/work.ipynb`` or ``student/assignment/work.ipynb``, within ``submitted`` where it is the
  folder of a course. Only there is a ``timestamp.txt`` the course's.

All this may lie within one folder more, if two students or more come out of it: the names in it might be one student's
own.

What a student handed in as a zip is looked into too, one level deep.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.grading.handed import TIMESTAMP, Entry, Handed, IntakeError, IntakeLimits, identified, nfc
from course_utils.grading.unpack import Member, Unpacker, members
from course_utils.grading.untrusted import RefusedError, shown

_MOODLE = re.compile(
    r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext|comments)(?:_(?P<file>.*))?", re.DOTALL
)
_CANVAS = re.compile(
    r"(?P<name>.+?)(?P<late>_LATE)?_(?P<number>\d+|(?<=anon_)\w{5})"
    r"_(?:(?P<upload>\d+)_(?P<file>.+)|(?P<text>(?:text|link)\.html))",
    re.DOTALL,
)
NAMESAKE = "another student in the archive has the same name: the participant's number is in the id"
SUBMITTED = "submitted"  # nbgrader's folder of all that was handed in


@dataclass(frozen=True)
class _Place:
    """Whose an entry is, by its path: the student as written, a number that tells namesakes apart, the path in it."""

    student: str
    path: tuple[str, ...]
    number: str = ""
    upload: int = 0
    note: str = ""


@dataclass
class _Pile:
    """What belongs to one student; ``names`` has more than one where they differ in Unicode form."""

    names: set[str] = field(default_factory=set)
    notes: set[str] = field(default_factory=set)
    entries: list[tuple[int, Entry]] = field(default_factory=list)  # with the number of the upload
    stamped: bool = True  # whether a timestamp.txt is the course's


def read_archive(archive: Path, assignment: str, limits: IntakeLimits) -> Iterator[Handed]:
    """What each student handed in, by an archive that holds the submissions of many.

    The archive is open as long as the iterator is at work: an entry is read before the next student is asked for.

    Raises:
        IntakeError: there is no such file, or it is not a zip that can be read.
    """
    try:
        opened = zipfile.ZipFile(archive)
    except OSError as error:
        raise IntakeError(f"{archive} cannot be read ({error.strerror}): name the zip of submissions") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise IntakeError(f"{archive} is not a zip that can be read: download it again") from error
    with opened:
        if len(opened.infolist()) > limits.entries:
            raise IntakeError(f"{archive} holds more than {limits.entries} entries: divide it")
        unpacker = Unpacker(limits)
        piles, strays = _piles(members(opened, unpacker), assignment)
        namesakes = Counter(name for name, _ in piles)
        for (name, number), pile in piles.items():
            yield _handed(pile, number if namesakes[name] > 1 else "", unpacker)
        for stray in strays:
            harmless = re.sub(r"[/.\\]", "_", shown(stray))
            yield Handed(f"unknown ({harmless})", refusal=f"{shown(stray)} is in no student's folder")


# --- whose it is ------------------------------------------------------------------------------------------------


def _piles(found: Sequence[Member], assignment: str) -> tuple[dict[tuple[str, str], _Pile], list[str]]:
    """The members by student (name and number), and the names of those that are nobody's."""
    paths = [member.path for member in found if member.path and not member.folder]
    above = _wrapper(paths, assignment)
    in_course = bool(above) and paths[0][0] == SUBMITTED
    by_assignment = _by_assignment([path[above:] for path in paths], assignment, in_course)
    piles: dict[tuple[str, str], _Pile] = {}
    strays: dict[str, None] = {}
    for member in found:
        path = (member.path or ())[above:]
        place = _place(path, assignment, by_assignment) if path else None
        if place is None:
            if member.path is None or (len(path) == 1 and path[0].lower().endswith(".ipynb")):
                strays[member.name] = None
        elif not member.folder or (len(path) == 2 and path[1] == assignment):  # an empty folder is a submission too
            pile = piles.setdefault((nfc(place.student), place.number), _Pile())
            _add(pile, place, member)
            if place.path == (TIMESTAMP,):  # of the assignment's folder in a course, no student wrote it
                pile.stamped &= in_course and path[1:2] == (assignment,)
    if not above and len(piles) == 1 and _exported({path[1] for path in paths if len(path) > 1}):
        next(iter(piles.values())).notes.add("the folder holds a name of a platform's export: is it no student's own?")
    return piles, list(strays)


def _by_assignment(paths: Sequence[tuple[str, ...]], assignment: str, in_course: bool) -> set[str]:
    """The students whose folders are named after assignments: what is not in this one's belongs to others.

    It is each student's own folders that say so. In a course's folder those who have none of this assignment's follow
    the others, unless its notebook lies elsewhere in what they have.
    """
    named = {path[0] for path in paths if len(path) > 2 and path[1] == assignment}
    if not (in_course and named):
        return named
    elsewhere = {path[0] for path in paths if path[-1] == f"{assignment}.ipynb"}
    return named | ({path[0] for path in paths} - elsewhere)


def _add(pile: _Pile, place: _Place, member: Member) -> None:
    pile.names.add(place.student)
    pile.notes |= {note for note in (place.note, member.note) if note}
    if not member.folder:
        pile.entries.append((place.upload, Entry(tuple(map(nfc, place.path)), member.read)))


def _wrapper(paths: Sequence[tuple[str, ...]], assignment: str) -> int:
    """1 if the students' folders lie within one folder more, else 0.

    That folder might be the only student's own, who chose the names in it.
    """
    tops = {path[0] for path in paths}
    below = {path[1] for path in paths if len(path) > 1}
    if len(tops) != 1 or not below or _MOODLE.fullmatch(paths[0][0]):
        return 0
    handing_in = {path[1] for path in paths if path[-1].lower().endswith((".ipynb", ".zip"))}
    folders = len(handing_in) > 1 and assignment not in below and all(len(path) > 2 for path in paths)
    return int(tops == {SUBMITTED} or _exported(below) > 1 or folders)


def _exported(names: set[str]) -> int:
    """How many students the names of a platform's export are of; 0 if they are not such names."""
    moodle, canvas = (list(map(pattern.fullmatch, names)) for pattern in (_MOODLE, _CANVAS))
    found = moodle if any(moodle) else canvas if all(canvas) else []
    return len({one.group("name", "number") for one in found if one})


def _place(path: tuple[str, ...], assignment: str, by_assignment: set[str]) -> _Place | None:
    """Whose a path is; None for what is nobody's, or another assignment's."""
    if found := _MOODLE.fullmatch(path[0]):
        inner = (*filter(None, [found["file"]]), *path[1:])
        return _Place(found["name"], inner, found["number"]) if inner else None
    if len(path) == 1 and (found := _CANVAS.fullmatch(path[0])):
        again = re.fullmatch(re.escape(assignment) + r"-\d+\.ipynb", found["file"] or "")
        name = f"{assignment}.ipynb" if again else found["file"] or found["text"]
        late = "late, by the mark that Canvas gave it" if found["late"] else ""
        return _Place(f"{found['name']}_{found['number']}", (name,), upload=int(found["upload"] or 1), note=late)
    if len(path) == 1:
        stem, _, kind = path[0].rpartition(".")
        return _Place(stem, path) if stem and kind.lower() == "zip" else None
    if path[1] == assignment:
        return _Place(path[0], path[2:] or path[1:])
    return None if path[0] in by_assignment and len(path) > 2 else _Place(path[0], path[1:])


def _handed(pile: _Pile, number: str, unpacker: Unpacker) -> Handed:
    """What a student handed in; ``number`` is part of the id where another has the same name."""
    handed = identified(min(pile.names) + (f"_{number}" if number else ""))
    handed.notes += sorted(pile.notes)
    handed.stamped = pile.stamped
    if number:
        handed.notes.append(NAMESAKE)
    if len(pile.names) > 1:
        handed.refusal = f"{len(pile.names)} folders have this student's name, in different Unicode forms: keep one"
    for entry in _unique(pile.entries, handed.notes):
        handed.entries.append(entry)
        if entry.path[-1].lower().endswith(".zip") and not handed.refusal:
            _look_into(entry, handed, unpacker)
    return handed


def _look_into(entry: Entry, handed: Handed, unpacker: Unpacker) -> None:
    """Add what a zip within the archive holds."""
    try:
        found = unpacker.inner(entry)
    except RefusedError as error:
        handed.faults.append(f"{entry.shown} {error}")
        return
    inner = []
    for member in found:
        if member.path is None:
            handed.faults.append(f"{shown(member.name)} in {entry.shown} leads out of the archive")
        elif not member.folder:
            inner.append((0, Entry((*entry.path, *map(nfc, member.path)), member.read)))
    handed.entries += _unique(inner, handed.notes)


def _unique(entries: Sequence[tuple[int, Entry]], notes: list[str]) -> list[Entry]:
    """The entries, one for each path: of uploads the latest, and of true duplicates one that cannot be read."""
    by_path: dict[tuple[str, ...], dict[int, Entry]] = {}
    for upload, entry in entries:
        same = by_path.setdefault(entry.path, {})
        same[upload] = Entry(entry.path, _twice) if upload in same else entry
    for path, same in by_path.items():
        if len(same) > 1:
            notes.append(f"{shown('/'.join(path))} was handed in {len(same)} times: the latest is taken")
    return [same[max(same)] for same in by_path.values()]


def _twice(limit: int) -> bytes:
    raise RefusedError("is there twice, in one archive: which one counts cannot be said")
