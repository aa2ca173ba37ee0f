"""A preview says whose points would change, and why, and writes nothing. Then grading does just that."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from rich.console import Console
from support import WRITTEN, small_repository, submission

from course_utils import release
from course_utils.grading import commands
from course_utils.grading.commands import Order
from course_utils.grading.database import GradebookError
from course_utils.grading.gradebook import Book, Score
from course_utils.grading.preview import Change, changes, copied, summary

NAME = "01-sums"
WRONG_MEAN = {"mean": "def mean(numbers):\n    return 0.0"}
WRONG_SPREAD = {"spread": "def spread(numbers):\n    return 2"}
NO_ZERO = {"spread": "def spread(numbers):\n    return max(numbers) - min(numbers) if len(numbers) > 2 else None"}
TERM = "assignments.01-sums.due = 2026-10-12T12:00:00\nlateness.percent_per_day = {}\n"


@dataclasses.dataclass
class Class:
    """A class that has been graded, in a repository of its own."""

    root: Path
    course: Path

    def grade(self, **options: object) -> str:
        """What `course grade` prints, in this process."""
        console = Console(record=True, width=200, soft_wrap=True, file=open("/dev/null", "w"))  # noqa: SIM115
        with console.file:
            commands.grade(Order(self.root, NAME, self.course, workers=1, **options), console)  # type: ignore[arg-type]
            return console.export_text()

    def hand_in(self, student: str, cells: dict[str, str], stamp: str = "") -> None:
        path = self.course / "submitted" / student / NAME / f"{NAME}.ipynb"
        made = release.build(self.root, NAME)
        release.write_atomically(path, json.dumps(submission(made, {"why": "YOUR ANSWER HERE", **cells})).encode())
        if stamp:
            path.with_name("timestamp.txt").write_text(stamp)

    def mend(self, old: str, new: str) -> None:
        """Change the source, as an instructor does who finds a fault in a test."""
        path = self.root / "solutions" / NAME / f"{NAME}.md"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def totals(self) -> dict[str, float]:
        with Book(self.course) as book:
            return {score.student: score.total for score in book.scores(NAME)}

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.course.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Class:
    folder = tmp_path_factory.mktemp("class")
    found = Class(small_repository(folder / "repository", WRITTEN), folder / "course")
    found.hand_in("ann", {}, "2026-10-13 11:00:00 UTC")
    found.hand_in("bob", WRONG_MEAN)
    found.hand_in("[cod]", NO_ZERO)
    found.hand_in("dan", WRONG_SPREAD)
    found.grade()
    return found


def test_after_a_mended_test_it_says_who_changes_and_writes_nothing(graded: Class) -> None:
    with Gradebook(f"sqlite:///{graded.course / 'gradebook.db'}") as stock:  # a person has given bob the points already
        stock.find_grade("mean-hidden", NAME, NAME, "bob").manual_score = 30
        stock.db.commit()
    assert graded.totals() == {"ann": 100, "bob": 80, "[cod]": 100, "dan": 70}
    graded.mend('assert mean([1.0, 4.0]) == 2.5, f"the', 'assert mean([1.0, 4.0]) in (0.0, 2.5), f"the')
    graded.mend("assert spread([-SEED, 0, SEED]) == 2 * SEED", "assert spread([-SEED, SEED]) == 2 * SEED")
    graded.hand_in("eve", {})
    before = graded.files()
    said = [line.split() for line in graded.grade(preview=True).splitlines()]
    assert graded.files() == before
    start = said.index(["Before", "→", "after:"])
    assert [" ".join(line) for line in said[start + 1 :]] == [
        "[cod] 100 → 70 spread-hidden 30 → 0",
        "bob 80 → 100 mean-visible 0 → 20",
        "eve new → 100",
        "1 up, 1 down, 2 same, 1 new. Nothing was written: without --preview it will be.",
    ]
    graded.grade()
    assert graded.totals() == {"ann": 100, "bob": 100, "[cod]": 70, "dan": 70, "eve": 100}
    assert "0 up, 0 down, 5 same, 0 new" in graded.grade(preview=True)


def test_a_new_rule_for_lateness_is_previewed_without_grading(graded: Class) -> None:
    recorded = graded.totals()
    (graded.course / "course.toml").write_text(TERM.format(20))
    said = graded.grade(preview=True)
    assert "0 to grade, 5 graded before and unchanged" in said
    assert f"ann{' ' * 21}   {100:g} → 80     late penalty 0 → -20" in said
    assert "1 of 5 late, 20 points taken for it" in said
    (graded.course / "course.toml").unlink()
    assert graded.totals() == recorded


def test_before_there_is_a_gradebook_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "course").mkdir()
    with copied(tmp_path / "course", "", NAME) as (copy, recorded):
        assert (copy / "gradebook.db").is_file()
        assert recorded == []
    assert list((tmp_path / "course").iterdir()) == []


def test_another_courses_gradebook_is_refused(graded: Class, tmp_path: Path) -> None:
    other = Class(graded.root, tmp_path)
    other.hand_in("kim", {})
    with Book(tmp_path) as book, Gradebook(book.url) as stock:
        stock.add_assignment("hw1")
    with pytest.raises(GradebookError, match=r"of another course \(it has hw1\): give this course's with --db"):
        other.grade(preview=True)


def test_the_copy_holds_every_row_wherever_it_comes_from(graded: Class, tmp_path: Path, db: str) -> None:
    with Book(graded.course) as book:
        records = [score.record for score in book.scores(NAME) if score.record]
        source = nbformat.reads(release.build(graded.root, NAME).instructor.decode(), as_version=4)
    with Book(tmp_path, db) as original:
        original.register(NAME, source)
        for record in records:
            original.write(record, f"of {record.student}", "2026-10-13 11:00:00 UTC")
        with copied(tmp_path, db, NAME) as (copy, recorded), Book(copy) as book:
            assert book.done(NAME) == original.done(NAME) != {}
            assert book.scores(NAME) == recorded == original.scores(NAME)
            assert book.cells(NAME) == original.cells(NAME)
            book.register("02-more", source)
        assert original.assignments() == [NAME]


def test_a_database_that_cannot_be_is_one_line(graded: Class) -> None:
    with pytest.raises(GradebookError, match="no database URL"), copied(graded.course, "no url", NAME):
        pass


def score(student: str, points: dict[str, float], penalty: float = 0.0, pending: bool = False) -> Score:
    return Score(student, NAME, points=points, available=points, penalty=penalty, pending=pending)


def test_changes_are_sorted_and_name_every_cell() -> None:
    before = [score("kim", {"b": 1, "a": 2}), score("ann", {"a": 3}, penalty=1), score("lee", {"a": 1})]
    after = [score("tim", {"a": 4}), score("lee", {"a": 1}, pending=True), score("kim", {"a": 1, "b": 2})]
    after += [score("ann", {"a": 4}, penalty=3)]
    found = changes(before, after)
    assert found == [
        Change("ann", 2, 1, (("a", 3, 4), ("late penalty", -1, -3))),
        Change("kim", 3, 3, (("a", 2, 1), ("b", 1, 2))),
        Change("lee", 1, 1, (), pending=True),
        Change("tim", None, 4),
    ]
    assert summary(found) == "0 up, 1 down, 2 same, 1 new"
    assert found[2].line.plain.split() == ["lee", "1", "→", "1", "pending", "review"]
    assert "\x1b" not in Change("\x1b[2J", 1, 2).line.plain
