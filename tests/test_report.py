"""The report: the same grades give the same text, nobody's name is a formula, and nbgrader's own export agrees."""

from __future__ import annotations

import csv
import dataclasses
import io
import random
import re
from pathlib import Path

import pytest
from grades import NAME, PROBLEMS, WORTH, record, refused, score
from nbgrader.api import Gradebook
from nbgrader.plugins import CsvExportPlugin
from rich.console import Console
from rich.table import Table
from support import points, reads, small_repository

from course_utils import release
from course_utils.grading import report
from course_utils.grading.gradebook import Book, Score
from course_utils.grading.records import Graded
from course_utils.notebooks import Problem


def shown(table: Table) -> list[list[str]]:
    """The table as it is printed, a list of words for each line."""
    console = Console(file=io.StringIO(), width=250)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def line(table: Table, start: str) -> str:
    """The one line of a printed table that begins so."""
    (found,) = [" ".join(words) for words in shown(table) if " ".join(words).startswith(start)]
    return found


def test_csv_has_points_by_problem_and_no_order_shows() -> None:
    scores = [
        score("lee", {"mean-hidden": "no"}, notes=("a", "b"), unsafe=True),
        dataclasses.replace(score("ann", pending=True), timestamp="2026-03-01T12:00:00", late_seconds=90.0),
    ]
    expected = (
        "assignment,student,timestamp,late_seconds,score,max_score,penalty,total,mean,spread,pending_review,unsafe,notes\n"
        "01-sums,ann,2026-03-01T12:00:00,90,100,100,0,100,50,50,yes,no,0\n"
        "01-sums,lee,,0,70,100,0,70,20,50,no,yes,2\n"
    )
    assert report.csv_text(scores, PROBLEMS) == report.csv_text(scores[::-1], PROBLEMS) == expected


def test_sums_do_not_depend_on_the_order_of_their_cells() -> None:
    parts = {f"cell-{number}": random.Random(number).random() for number in range(20)}
    problem = [Problem("all", "All", list(parts))]
    orders = [random.Random(seed).sample(list(parts), len(parts)) for seed in range(10)]
    scores = [Score("ann", NAME, points={name: parts[name] for name in order}, available=parts) for order in orders]
    assert len({each.score for each in scores}) == 1
    assert len({report.csv_text([each], problem) for each in scores}) == 1


@pytest.mark.parametrize(
    "student", ["=1+1", "+cmd", "-2", "@SUM(A1)", "\t=1", " =1", "＝1", "\u00a0=1", '"=1', "\r\n=1"]
)
def test_no_name_is_a_formula(student: str) -> None:
    (row,) = list(csv.DictReader(io.StringIO(report.csv_text([score(student)], PROBLEMS))))
    assert row["student"] == "'" + re.sub(r"[\t\r\n]", " ", student)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "student",
    [
        ";=cmd|' /C calc'!A0;",
        "kim\t=1+1",
        ";\t=1",
        '";"=1;',
        'a,";=1',
        "kim; @x",
        ";;-1",
        "kim\n=1",
        "kim\r+1",
        '=";=1',
    ],
)
def test_no_cell_is_a_formula_where_other_signs_separate(student: str, separator: str) -> None:
    text = report.csv_text([score(student)], PROBLEMS)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    assert len(rows) == 2
    assert [cell for row in rows for cell in row if cell.lstrip(' "')[:1] in tuple("=+-@\t\r")] == []


@pytest.mark.parametrize("student", ["김철수", "o'hara", 'a "b", c', "a=b", "a; b", "Ann-Kim", "[red]x[/]"])
def test_other_names_come_back_as_they_are(student: str) -> None:
    (row,) = list(csv.DictReader(io.StringIO(report.csv_text([score(student)], PROBLEMS))))
    assert row["student"] == student


def test_an_id_is_on_one_line() -> None:
    text = report.csv_text([score("two\nlines\u2028\x1b[2J")], PROBLEMS)
    assert [row["student"] for row in csv.DictReader(io.StringIO(text))] == ["two lines  [2J"]
    assert len(text.splitlines()) == 2


def test_negative_points_given_by_hand_stay_numbers() -> None:
    given = dataclasses.replace(score("ann"), points={**WORTH, "mean-visible": -60.0})
    (row,) = list(csv.DictReader(io.StringIO(report.csv_text([given], PROBLEMS))))
    assert (row["mean"], row["score"]) == ("-30", "20")


def test_the_table_says_what_to_look_at() -> None:
    scores = [
        score("kim", {"mean-hidden": "no"}, notes=("forbidden: math.fsum in mean", "a cell was deleted"), unsafe=True),
        refused("lee"),
        dataclasses.replace(score("ann"), record=None),
    ]
    table = report.table(scores, PROBLEMS)
    assert line(table, "ann") == "ann 50 50 100 of 100 not graded by `course grade`"
    assert line(table, "kim") == "kim 20 50 70 of 100 run without a sandbox, 2 notes, 1 of them on forbidden names"
    assert line(table, "lee") == "lee 0 0 0 of 100 pending review, refused: no notebook"
    students = [words[0] for words in shown(table) if words and words[0] in ("ann", "kim", "lee")]
    assert students == ["ann", "kim", "lee"]


def test_names_and_messages_are_text_and_not_markup_or_escapes() -> None:
    scores = [score("[bold]x[/bold]\x1b[2J", {"mean-hidden": "[/] \x1b]0;title\x07 no"})]
    assert line(report.table(scores, PROBLEMS), "[bold]x[/bold]")
    text = str(shown(report.table(scores, PROBLEMS))) + str(shown(report.statistics(scores, PROBLEMS)))
    assert "[/] " in line(report.statistics(scores, PROBLEMS), "mean-hidden")
    assert "\\x1b" not in text
    assert "\\x07" not in text


def test_statistics_count_who_solved_what_and_the_commonest_first_message() -> None:
    scores = [
        score("a"),
        score("b", {"mean-visible": "shape\nand more", "mean-hidden": "later"}),
        score("c", {"mean-visible": "shape", "mean-hidden": "seven"}),
        score("d", {"mean-hidden": "seven"}),
        refused("e"),
    ]
    table = report.statistics(scores, PROBLEMS)
    assert line(table, "The mean") == "The mean 1 25% shape (2)"
    assert line(table, "mean-visible") == "mean-visible 2 50% shape (2)"
    assert line(table, "mean-hidden") == "mean-hidden 1 25% seven (2)"
    assert line(table, "spread-hidden") == "spread-hidden 4 100%"
    assert line(table, "4 graded")


def test_what_lateness_costs_is_taken_off_and_never_below_zero() -> None:
    scores = [score("ann", {"mean-hidden": "no"}, penalty=12.5), score("lee", dict.fromkeys(WORTH, "no"), penalty=5)]
    rows = list(csv.DictReader(io.StringIO(report.csv_text(scores, PROBLEMS))))
    assert [(row["score"], row["penalty"], row["total"]) for row in rows] == [("70", "12.5", "57.5"), ("0", "5", "0")]
    table = report.table(scores, PROBLEMS)
    assert line(table, "ann") == "ann 20 50 12.5 57.5 of 100"
    assert line(table, "Student") == "Student The mean The spread Penalty Total To look at"


def test_a_column_for_penalties_is_there_only_where_there_are_some() -> None:
    assert line(report.table([score("ann")], PROBLEMS), "Student") == "Student The mean The spread Total To look at"


def test_statistics_of_nobody_divide_by_nothing() -> None:
    assert line(report.statistics([], PROBLEMS), "The mean") == "The mean 0"
    assert report.csv_text([], PROBLEMS).count("\n") == 1


def test_nbgraders_own_export_agrees_and_neither_shows_the_order_of_grading(tmp_path: Path) -> None:
    made = release.build(small_repository(tmp_path / "repository"), NAME)
    assert points(made) == WORTH
    records = [
        record("김철수", {"mean-hidden": "no"}, notebook=made.student.decode()),
        record("ann", notebook=made.student.decode(), seconds=2.0),
        record("[lee]", {"spread-visible": "no", "spread-hidden": "no"}, notebook=made.student.decode()),
        Graded("zoe", NAME, refusal="no notebook"),
    ]
    texts = []
    for folder, order in (("one", records), ("two", records[::-1])):
        (tmp_path / folder).mkdir()
        with Book(tmp_path / folder) as book:
            book.register(NAME, reads(made.instructor))
            for each in [*order, *order[:2]]:  # two of them graded twice
                book.write(dataclasses.replace(each, seconds=random.random()), "f", "2026-03-01 12:00:00 UTC")
            texts.append(report.csv_text(book.scores(NAME), made.problems))
            url = book.url
    assert texts[0] == texts[1]
    ours = {row["student"]: row for row in csv.DictReader(io.StringIO(texts[0]))}
    assert {student: float(row["score"]) for student, row in ours.items()} == {
        "ann": 100,
        "김철수": 70,
        "[lee]": 50,
        "zoe": 0,
    }
    with Gradebook(url) as stock:  # as nbgrader's plugin for lateness leaves it
        stock.find_submission_notebook(NAME, NAME, "ann").late_submission_penalty = 30.0
        stock.db.commit()
    with Book(tmp_path / "two") as book:
        texts[0] = report.csv_text(book.scores(NAME), made.problems)
    ours = {row["student"]: row for row in csv.DictReader(io.StringIO(texts[0]))}
    plugin = CsvExportPlugin()
    plugin.to = str(tmp_path / "grades.csv")
    with Gradebook(url) as stock:
        plugin.export(stock)
    theirs = list(csv.DictReader(io.StringIO((tmp_path / "grades.csv").read_text(encoding="utf-8"))))
    assert len(theirs) == 4
    assert ours["ann"]["total"] == "70"
    for row in theirs:
        mine = ours[row["student_id"]]
        assert (float(row["raw_score"]), float(row["max_score"])) == (float(mine["score"]), float(mine["max_score"]))
        assert (float(row["late_submission_penalty"]), float(row["score"])) == (
            float(mine["penalty"]),
            float(mine["total"]),
        )
        assert row["timestamp"].replace(" ", "T") == mine["timestamp"]
