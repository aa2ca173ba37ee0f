"""Files for learning platforms: exactly the columns that are imported, and no row that could reach the wrong person."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from pathlib import Path

import pytest
from grades import NAME, PROBLEMS, refused, score

from course_utils.grading.gradebook import Person, Score
from course_utils.grading.platforms import PlatformError, canvas_text, moodle_text, people
from course_utils.notebooks import Problem

ANN = Person("Ann", "Ames", "ann@example.org", "4711")
KIM = Person("김", "철수", "Kim@example.org", "12")
KNOWN = {"ann": ANN, "kim": KIM, "lee": Person(), "zoe": Person("Zoe", "Zahn", "", "99")}
SCORES = [
    score("kim", {"mean-hidden": "no"}, penalty=2.5),
    refused("lee"),
    score("ann"),
    dataclasses.replace(score("zoe"), pending=True),
]


def canvas(scores: list[Score], known: dict[str, Person]) -> str:
    return canvas_text(NAME, scores, PROBLEMS, known)


def moodle(scores: list[Score], known: dict[str, Person]) -> str:
    return moodle_text(NAME, scores, PROBLEMS, known)


def test_canvas_gets_its_columns_and_nobody_who_is_pending() -> None:
    expected = (
        "Student,ID,SIS User ID,SIS Login ID,Section,01-sums\n"
        "    Points Possible,,,,,100\n"
        '"Ames, Ann",4711,,,,100\n'
        '"철수, 김",12,,,,67.5\n'
    )
    assert canvas(SCORES, KNOWN) == canvas(SCORES[::-1], KNOWN) == expected


def test_moodle_gets_addresses_grades_and_a_line_of_feedback() -> None:
    expected = (
        "First name,Last name,Email address,01-sums,Feedback\n"
        "Ann,Ames,ann@example.org,100,The mean: 50 of 50; The spread: 50 of 50\n"
        "김,철수,Kim@example.org,67.5,The mean: 20 of 50; The spread: 50 of 50; Taken off for lateness: 2.5\n"
    )
    assert moodle(SCORES, KNOWN) == moodle(SCORES[::-1], KNOWN) == expected


def test_moodle_gets_numbers_where_an_address_is_missing() -> None:
    known = {**KNOWN, "ann": dataclasses.replace(ANN, email="")}
    assert moodle(SCORES, known).splitlines()[:2] == [
        "First name,Last name,ID number,01-sums,Feedback",
        "Ann,Ames,4711,100,The mean: 50 of 50; The spread: 50 of 50",
    ]


def test_of_an_empty_class_the_head_is_left() -> None:
    written = [*PROBLEMS, Problem("why", "Why", ["why"], written={"why": 10})]
    assert canvas_text(NAME, [], written, {}).splitlines()[1] == "    Points Possible,,,,,110"
    assert canvas([], {}) == "Student,ID,SIS User ID,SIS Login ID,Section,01-sums\n    Points Possible,,,,,100\n"
    assert moodle([], {}) == "First name,Last name,Email address,01-sums,Feedback\n"


def test_canvas_own_names_for_students_hold_its_number() -> None:
    rows = list(csv.reader(io.StringIO(canvas([score("hokim_12345"), score("annames_7")], {}))))
    assert [row[:2] for row in rows[2:]] == [["annames_7", "7"], ["hokim_12345", "12345"]]
    given = {"hokim_12345": Person(lms_user_id="8")}
    assert "hokim_12345,8," in canvas([score("hokim_12345")], given)


@pytest.mark.parametrize("student", ["Kim_2024", "ho kim_12", "kim", "kim_07", "a_b_12", "kim_", "12345", "kim_12x"])
def test_other_ids_are_no_numbers_of_canvas(student: str) -> None:
    with pytest.raises(PlatformError, match=f"which is not known of {re.escape(student)}: give it in students.csv"):
        canvas([score(student)], {})


@pytest.mark.parametrize(
    ("make", "persons", "said"),
    [
        (canvas, {"ann": ANN}, "Canvas needs its number (lms_user_id), which is not known of kim"),
        (canvas, {"ann": ANN, "kim": Person(lms_user_id="k12")}, "of kim it is 'k12', which it cannot be"),
        (canvas, {"ann": ANN, "kim": Person(lms_user_id="٤")}, "which it cannot be"),
        (canvas, {"ann": ANN, "kim": Person(lms_user_id="4711")}, "4711 would be ann, kim to the platform"),
        (moodle, {"ann": ANN}, "Moodle needs everybody's email, or everybody's ID number (lms_user_id), which is not"),
        (moodle, {"ann": ANN, "kim": Person(email="=1+1")}, "of kim it is '=1+1', which it cannot be"),
        (moodle, {"ann": ANN, "kim": Person(email="k@x.org\nx")}, "which it cannot be"),
        (moodle, {"ann": ANN, "kim": Person(email="k;=1@x.org")}, "which it cannot be"),
        (moodle, {"ann": ANN, "kim": Person(email="Ann@Example.org")}, "would be ann, kim to the platform"),
    ],
)
def test_a_row_that_could_reach_the_wrong_person_is_refused_in_one_line(make, persons, said: str) -> None:
    with pytest.raises(PlatformError) as caught:
        make([score("ann"), score("kim")], persons)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_many_unknown_three_are_named() -> None:
    with pytest.raises(PlatformError, match=r"not known of s00, s01, s02 and 37 more: "):
        canvas([score(f"s{number:02}") for number in range(40)], {})


@pytest.mark.parametrize(
    ("student", "shown"),
    [
        ("=1+1", "'=1+1"),
        ('a "b", c', 'a "b", c'),
        ("two\nlines", "two lines"),
        # Canvas knows the row of that name by these words.
        ("    Points Possible", "    Points-Possible"),
        ("points\nPOSSIBLE", "points-POSSIBLE"),
        ("Points Points Possible Possible", "Points Points-Possible Possible"),
        ("a;=1", "a;'=1"),
        ("\x1b[2J", "\N{REPLACEMENT CHARACTER}[2J"),
    ],
)
def test_names_come_through_and_are_no_formulas(student: str, shown: str) -> None:
    known = {student: Person(email="x@example.org", lms_user_id="5")}
    rows = list(csv.reader(io.StringIO(canvas([score(student)], known))))
    assert rows[2] == [shown, "5", "", "", "", "100"]
    assert len(rows) == 3
    ((_, last, mail, *_),) = list(csv.reader(io.StringIO(moodle([score(student)], known))))[1:]
    assert mail == "x@example.org"
    assert last == re.sub("(?i)(?<=points)-(?=possible)", " ", shown)


# --- students.csv -------------------------------------------------------------------------------------------------


def test_the_file_in_the_course_folder_goes_over_the_gradebook(tmp_path: Path) -> None:
    text = 'id,email,lms_user_id,phone\nkim,new@example.org,,1\n" lee ",,77,\n"a ""b"", c",x@example.org,,\n'
    (tmp_path / "students.csv").write_text(text, encoding="utf-8-sig")
    found = people(tmp_path, {"kim": KIM, "ann": ANN})
    assert found == {
        "ann": ANN,
        "kim": dataclasses.replace(KIM, email="new@example.org"),
        "lee": Person(lms_user_id="77"),
        'a "b", c': Person(email="x@example.org"),
    }


def test_rows_in_which_nothing_stands_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "students.csv").write_text("id,email\n,,\n\n  , ,,\nkim,k@example.org\n,\n", encoding="utf-8")
    assert people(tmp_path, {}) == {"kim": Person(email="k@example.org")}


def test_without_the_file_the_gradebook_counts(tmp_path: Path) -> None:
    assert people(tmp_path, {"ann": ANN}) == {"ann": ANN}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,email\nkim,k@example.org\n", "it needs a column `id`"),
        (b"id;email\nkim;k@example.org\n", "line 2 has no id: it needs a column `id`, with commas between columns"),
        (b"id,email\nkim,a\n\n,k@example.org\n", "line 4 has no id"),
        (b"id,email\nkim,a\n,,\nkim,b\n", "line 4: kim is there twice: keep one row"),
        ("id,email\nkïm,a\n".encode("latin-1"), "is not UTF-8: save it as CSV in UTF-8"),
        (b'id,email\nkim,"a\n', "is no CSV that can be read: line 2: "),
        # With an id of its own: pytest puts it into the environment, which no program could be started in.
        pytest.param(b"id,email\nkim," + b"a" * 200_000 + b"\n", "is no CSV that can be read", id="a long cell"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "students.csv").write_bytes(content)
    with pytest.raises(PlatformError) as caught:
        people(tmp_path, {})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
