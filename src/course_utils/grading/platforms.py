"""Grades as learning platforms import them: a CSV for Canvas's gradebook, one for Moodle's grade import.

A grade that reaches the wrong person is worse than none. So a file is made only if each row names its student by what
the platform itself has given: its own number, or an address. Who is pending review has no row: an import leaves
alone what is not in the file, and a score that may still change is nothing to show to a student.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils._errors import CourseError
from course_utils.grading.gradebook import Person
from course_utils.grading.handed import nfc
from course_utils.grading.items import cells_of, points_of
from course_utils.grading.report import by_student, harmless, number, one_line

if TYPE_CHECKING:
    from course_utils.grading.gradebook import Score
    from course_utils.notebooks import Problem

STUDENTS = "students.csv"
GIVE = f"give it in {STUDENTS} in the course folder, or with `nbgrader db student import`"
MOST_NAMED = 3
LARGEST = 1 << 24  # bytes of students.csv
POINTS_POSSIBLE = "Points Possible"
_AS_POSSIBLE = re.compile(r"(points)\s+(possible)", re.IGNORECASE)
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_BY_CANVAS = re.compile(r"[^\W_]+_([1-9][0-9]{0,18})")  # Canvas writes the name small, and without anything between


class PlatformError(CourseError):
    """Grades that a platform could not give to the right people; the message is one line that says what is missing."""


def people(course: Path, known: Mapping[str, Person]) -> dict[str, Person]:
    """What is known of the students: the gradebook's, and over it what ``students.csv`` in the course folder says.

    The file is the one that ``nbgrader db student import`` takes: a column ``id``, and any of ``first_name``,
    ``last_name``, ``email`` and ``lms_user_id``. Other columns are passed over, and so are empty cells.

    Args:
        course: nbgrader's course folder.
        known: from :meth:`course_utils.grading.gradebook.Book.people`.

    Raises:
        PlatformError: the file is there but cannot be read, has no ids, or has one twice.
    """
    path = course / STUDENTS
    found = dict(known)
    seen: set[str] = set()
    for line, row in _rows(path) if path.is_file() else []:
        student = nfc((row.get("id") or "").strip())
        if not student:
            words = "it needs a column `id`, with commas between columns, filled in every row"
            raise PlatformError(f"{path}: line {line} has no id: {words}")
        if student in seen:
            raise PlatformError(f"{path}: line {line}: {one_line(student)} is there twice: keep one row")
        seen.add(student)
        told = {field: (row.get(field) or "").strip() for field in Person.__dataclass_fields__}
        given = {field: value for field, value in told.items() if value}
        found[student] = dataclasses.replace(found.get(student, Person()), **given)
    return found


def canvas_text(name: str, scores: Sequence[Score], problems: Sequence[Problem], known: Mapping[str, Person]) -> str:
    """The CSV that Canvas imports: Gradebook, Import.

    Columns ``Student, ID, SIS User ID, SIS Login ID, Section`` and the assignment's, then a row ``Points Possible``:
    those of the page "How do I import grades in the Gradebook?" in the Canvas Instructor Guide, and of what Canvas's
    own export and import do (canvas-lms, ``lib/gradebook_exporter.rb``, ``csv_data``, and
    ``lib/gradebook_importer.rb``, ``update_column_count`` and ``process_student``). A student is found by ``ID``,
    Canvas's own number of the user: here it is nbgrader's ``lms_user_id``, else the number at the end of an id such as
    ``hokim_12345``, which is what Canvas's zip of submissions calls a student. ``Section`` and the columns of the
    school's information system may be empty. The assignment is found by its name; where Canvas has none of this name
    it asks which one is meant, or makes it. All this was read, and not tried on a Canvas.

    Args:
        name: the assignment's, which its column gets.
        scores: of it; those pending review are left out.
        problems: the assignment's: what it is worth where nobody has handed in.
        known: who the students are, from :func:`people`.

    Raises:
        PlatformError: somebody has no number, one that is none, or the same as somebody else.
    """
    final = settled(scores)
    found = {score.student: _canvas_number(score.student, known) for score in final}
    numbers = _checked(found, lambda value: _NUMBER.fullmatch(value), "Canvas needs its number (lms_user_id)")
    most = max((score.max_score for score in scores), default=_worth(problems))
    rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", name]]
    rows += [[f"    {POINTS_POSSIBLE}", "", "", "", "", number(most)]]
    for score in final:
        rows.append([_sortable_name(score.student, known), numbers[score.student], "", "", "", number(score.total)])
    return _csv(rows)


def moodle_text(name: str, scores: Sequence[Score], problems: Sequence[Problem], known: Mapping[str, Person]) -> str:
    """The CSV that Moodle imports: Grades, Import, CSV file.

    The page "Grade import" of Moodle's documentation, section "CSV import": any columns, of which the teacher says
    what each is. Map from ``Email address`` to "Email address", or from ``ID number`` to "ID number" (nbgrader's
    ``lms_user_id``); the column named after the assignment to its grade item, and ``Feedback`` to the item's
    feedback. The first headings are those of Moodle's own export. One column has to name everybody: in a row without
    it Moodle's import goes on with the student of the row before, and one whom it does not find stops it altogether
    (``grade/import/csv/classes/load_data.php``, ``map_user_data_with_value`` and ``prepare_import_grade_data``).
    Letters of an address must be as large or small as in Moodle. All this was read, and not tried on a Moodle.

    Args:
        name: the assignment's, which its column gets.
        scores: of it; those pending review are left out.
        problems: the assignment's; the feedback says the points of each.
        known: who the students are, from :func:`people`.

    Raises:
        PlatformError: neither address nor number is known of everybody, or two have the same.
    """
    final = settled(scores)
    by_mail = all(_person(score, known).email for score in final)
    needs = "Moodle needs everybody's email, or everybody's ID number (lms_user_id)"
    field = "email" if by_mail else "lms_user_id"
    found = {score.student: getattr(_person(score, known), field) for score in final}
    named = _checked(found, lambda value: value.isprintable() and harmless(value) == value, needs)
    rows = [["First name", "Last name", "Email address" if by_mail else "ID number", name, "Feedback"]]
    for score in final:
        person = _person(score, known)
        first, last = (person.first_name, person.last_name) if person.last_name else ("", score.student)
        words = _feedback(score, problems)
        rows.append([_shown(first), _shown(last), named[score.student], number(score.total), words])
    return _csv(rows)


def named_by_canvas(scores: Sequence[Score], known: Mapping[str, Person]) -> list[str]:
    """The students whose number is taken from an id such as ``hokim_12345``, since nobody gave another."""
    ids = (score.student for score in settled(scores))
    return [student for student in ids if not known.get(student, Person()).lms_user_id]


def settled(scores: Sequence[Score]) -> list[Score]:
    """The scores that no person has to look at any more, in the order of the students' ids."""
    return [score for score in by_student(scores) if not score.pending]


# --- who is who ---------------------------------------------------------------------------------------------------


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows in which something stands, each with the number of its line."""
    try:
        if path.stat().st_size > LARGEST:
            raise PlatformError(f"{path} is larger than {LARGEST} bytes: it should have a line for each student")
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets put a mark in front
            reader = csv.reader(file, strict=True)
            names = next(reader, [])
            filled = ((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))
            return [(line, dict(zip(names, row, strict=False))) for line, row in filled]
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PlatformError(f"{path} is not UTF-8: save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise PlatformError(f"{path} is no CSV that can be read: line {reader.line_num}: {error}") from error


def _person(score: Score, known: Mapping[str, Person]) -> Person:
    return known.get(score.student, Person())


def _canvas_number(student: str, known: Mapping[str, Person]) -> str:
    given = known.get(student, Person()).lms_user_id
    by_canvas = _BY_CANVAS.fullmatch(student) if student == student.lower() else None
    return given or (by_canvas[1] if by_canvas else "")


def _checked(found: dict[str, str], possible: Callable[[str], object], needs: str) -> dict[str, str]:
    """What a platform knows each student by, as it was found.

    Raises:
        PlatformError: for somebody there is nothing, or nothing that can be; two have the same.
    """
    missing = [student for student, value in found.items() if not value]
    if missing:
        raise PlatformError(f"{needs}, which is not known of {_listed(missing)}: {GIVE}")
    odd = [student for student, value in found.items() if not possible(value)]
    if odd:
        raise PlatformError(f"{needs}; of {_listed(odd)} it is {one_line(found[odd[0]])!r}, which it cannot be: {GIVE}")
    owners: dict[str, list[str]] = {}
    for student, value in found.items():
        owners.setdefault(value.casefold(), []).append(student)
    twice = next((students for students in owners.values() if len(students) > 1), None)
    if twice:
        raise PlatformError(f"{found[twice[0]]} would be {_listed(twice)} to the platform: {GIVE}")
    return found


def _listed(students: Sequence[str]) -> str:
    more = f" and {len(students) - MOST_NAMED} more" if len(students) > MOST_NAMED else ""
    return ", ".join(map(one_line, students[:MOST_NAMED])) + more


# --- what stands in the cells -------------------------------------------------------------------------------------


def _sortable_name(student: str, known: Mapping[str, Person]) -> str:
    """``Last, First`` as Canvas has it, else the id; it is for people to read, since the number names the student."""
    person = known.get(student, Person())
    name = ", ".join(filter(None, (person.last_name, person.first_name))) or student
    # Canvas would take the name for that of the row. Nothing is taken out: what is left could be that name again.
    return harmless(_AS_POSSIBLE.sub(r"\1-\2", one_line(name)))


def _shown(name: str) -> str:
    return harmless(one_line(name))


def _feedback(score: Score, problems: Sequence[Problem]) -> str:
    """One line for the student: points by problem, and what lateness cost."""
    parts = []
    for problem in problems:
        most = sum(score.available.get(cell, 0.0) for cell in cells_of(problem))
        parts.append(
            f"{problem.title or problem.name}: {number(points_of(score, cells_of(problem)))} of {number(most)}"
        )
    parts += [f"Taken off for lateness: {number(score.penalty)}"] if score.penalty else []
    return harmless("; ".join(parts))


def _worth(problems: Sequence[Problem]) -> float:
    return sum(sum({**problem.visible, **problem.hidden, **problem.written}.values()) for problem in problems)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()
