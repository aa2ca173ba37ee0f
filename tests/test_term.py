"""course.toml: what it may say, what is late and what that costs, and the term's totals, worked out a second time."""

from __future__ import annotations

import io
import random
import re
import textwrap
import warnings
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps.api import Autograde, CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties
from rich.console import Console
from sqlalchemy.exc import SAWarning
from support import ROOT, WRITTEN, reads, small_repository, submission
from traitlets.config import Config, PyFileConfigLoader

from course_utils import release
from course_utils.grading import term as reading
from course_utils.grading import totals
from course_utils.grading.gradebook import Book, Score
from course_utils.grading.lateness import TermLateness
from course_utils.grading.records import Graded, Verdict
from course_utils.grading.term import FILE, Lateness, Term, TermError, Terms, read_term

NAME = "01-sums"
CELLS = ("mean-visible", "mean-hidden", "spread-visible", "spread-hidden")
HOUR, DAY = 3600.0, 86400.0
LONG = "1" + "0" * 500
MOST = f"{LONG[:119]}… is greater than the maximum of "
UNHEARD = "holds a number with thousands of digits,"


def write(folder: Path, text: str) -> Path:
    (folder / FILE).write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


# --- reading ------------------------------------------------------------------------------------------------------


def test_the_example_that_is_documented_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"::\n\n(.*?)\n\nWhere", reading.__doc__ or "", re.DOTALL)
    due = datetime(2026, 10, 12, 21, 59)  # Berlin is two hours ahead of UTC in October
    assert read_term(write(tmp_path, example)) == Term(
        tmp_path / FILE,
        lateness=Lateness(15, 10, 50),
        drop_lowest=1,
        overlay=tmp_path / "../private",
        assignments={"02-soft-dictionary": Terms(due, 2, {"kim": timedelta(days=2)})},
    )


def test_without_the_file_and_without_words_nothing_is_said(tmp_path: Path) -> None:
    assert read_term(tmp_path) == read_term(write(tmp_path, "# nothing")) == Term(tmp_path / FILE)
    assert read_term(tmp_path).of(NAME) == Terms(None, 1.0, {})


@pytest.mark.parametrize(
    ("zone", "due", "expected"),
    [
        ("", "2026-10-12T23:59:00", datetime(2026, 10, 12, 23, 59)),
        ("Asia/Seoul", "2026-10-12T23:59:00", datetime(2026, 10, 12, 14, 59)),
        ("Europe/Berlin", "2026-12-12T23:59:00", datetime(2026, 12, 12, 22, 59)),
        ("Europe/Berlin", "2026-10-12T23:59:00-05:00", datetime(2026, 10, 13, 4, 59)),
        ("Europe/Berlin", "2026-10-12 23:59:00Z", datetime(2026, 10, 12, 23, 59)),
    ],
)
def test_due_dates_are_kept_in_utc(tmp_path: Path, zone: str, due: str, expected: datetime) -> None:
    zone = f'timezone = "{zone}"\n' if zone else ""
    assert read_term(write(tmp_path, f"{zone}assignments.a.due = {due}")).of("a").due == expected


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ("1 day", timedelta(days=1)),
        ("36 hours", timedelta(1.5)),
        ("2 weeks", timedelta(14)),
        ("5 minutes", timedelta(0, 300)),
    ],
)
def test_extensions_have_a_length(tmp_path: Path, length: str, expected: timedelta) -> None:
    text = f'[assignments.a]\ndue = 2026-10-12T23:59:00\nextensions."Ki\u0301m" = "{length}"'
    assert read_term(write(tmp_path, text)).of("a").extensions == {"K\u00edm": expected}  # composed, as intake does


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lateness", "is not complete TOML: Expected ']' at the end of a table declaration"),
        ("a = 1\na = 2", "is not complete TOML: "),
        ("grace_minutes = 5", "no key 'grace_minutes'; there are timezone, overlay, lateness, term, assignments"),
        (
            "[lateness]\ngrace = 5",
            "lateness: no key 'grace'; there are grace_minutes, percent_per_day, at_most_percent",
        ),
        ("[lateness]\npercent_per_day = '10'", "lateness.percent_per_day: must be a number, not '10'"),
        ("[lateness]\npercent_per_day = nan", "lateness.percent_per_day: must be a number, not nan"),
        ("[lateness]\npercent_per_day = true", "lateness.percent_per_day: must be a number, not True"),
        ("[lateness]\nat_most_percent = 101", "lateness.at_most_percent: 101 is greater than the maximum of 100"),
        ("[lateness]\ngrace_minutes = -1", "lateness.grace_minutes: -1 is less than the minimum of 0"),
        ("lateness = 10", "lateness: must be a table, not 10"),
        ("term.drop_lowest = 1.5", "term.drop_lowest: must be a whole number, not 1.5"),
        ("term.drop_lowest = 1.0", "term.drop_lowest: must be a whole number, not 1.0"),
        ("term.drop_lowest = true", "term.drop_lowest: must be a whole number, not True"),
        ("term.drop_lowest = 1001", "term.drop_lowest: 1001 is greater than the maximum of 1000"),
        pytest.param(f"term.drop_lowest = {LONG}", f"term.drop_lowest: {MOST}1000", id="drop"),
        pytest.param(f"assignments.a.weight = {LONG}", f"assignments.a.weight: {MOST}1000000", id="weight"),
        pytest.param(f"lateness.grace_minutes = {LONG}", f"lateness.grace_minutes: {MOST}1000000", id="grace"),
        pytest.param(f"term.drop_lowest = {10 * LONG}", f"{UNHEARD} or hundreds of tables or lists", id="decimal"),
        pytest.param(f"term.drop_lowest = 0x{10 * LONG}", UNHEARD, id="hexadecimal"),
        pytest.param(f"a = {5000 * '['}{5000 * ']'}", UNHEARD, id="brackets"),
        pytest.param(f"lateness.grace_minutes{5000 * '.a'} = 1", UNHEARD, id="tables"),
        (
            "assignments.a.due = 9999-12-31T23:59:00-05:00",
            "assignments.a.due: the year must be between 2000 and 2200, ",
        ),
        (
            "assignments.a.due = 2201-01-01T00:00:00",
            "assignments.a.due: the year must be between 2000 and 2200, not 2201",
        ),
        (
            "timezone = 'Asia/Seoul'\nassignments.a.due = 0001-01-01T00:00:00",
            "assignments.a.due: the year must be between 2000 and 2200, not 1",
        ),
        (
            "assignments.a.due = 2026-10-12",
            "assignments.a.due: must be a date with a time, such as 2026-10-12T23:59:00",
        ),
        ("assignments.a.due = 'soon'", "assignments.a.due: must be a date with a time, such as 2026-10-12T23:59:00"),
        ("assignments.a.late = 1", "assignments.a: no key 'late'; there are due, weight, extensions"),
        ("assignments.a.weight = -1", "assignments.a.weight: -1 is less than the minimum of 0"),
        ("assignments.a.extensions.kim = '1 day'", "assignments.a.extensions: no `due` to extend"),
        (
            "[assignments.a]\ndue = 2026-10-12T23:59:00\nextensions.kim = 'two days'",
            "assignments.a.extensions.kim: must be a length such as '2 days' or '12 hours', not 'two days'",
        ),
        (
            "[assignments.a]\ndue = 2026-10-12T23:59:00\nextensions.kim = 2",
            "assignments.a.extensions.kim: must be a text in quotes, not 2",
        ),
        (
            '[assignments.a]\ndue = 2026-10-12T23:59:00\nextensions.kim = "2 days\\n"',
            r"assignments.a.extensions.kim: must be a length such as '2 days' or '12 hours', not '2 days\n'",
        ),
        (
            '[assignments.a]\ndue = 2026-10-12T23:59:00\nextensions = {"Ki\u0301m" = "1 day", "K\u00edm" = "2 days"}',
            "assignments.a.extensions: K\u00edm is there twice, in two Unicode forms: keep one line",
        ),
        ("timezone = 'Europe/Paname'", "timezone: no time zone 'Europe/Paname'"),
        ("timezone = '../../etc/passwd'", "timezone: no time zone '../../etc/passwd'"),
        ("overlay = 3", "overlay: must be a text in quotes, not 3"),
    ],
)
def test_a_fault_is_one_line_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TermError) as caught:
        read_term(write(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / FILE}: {said}")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert read_term(write(tmp_path, "\ufeffterm.drop_lowest = 1")).drop_lowest == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"a = '\xff'")
    with pytest.raises(TermError, match=r"course.toml: is not UTF-8"):
        read_term(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(TermError, match=r"course.toml: cannot be read: Is a directory"):
        read_term(tmp_path)


def test_an_assignment_that_there_is_not_is_named(tmp_path: Path) -> None:
    term = read_term(write(tmp_path, "assignments.02-sum.weight = 2"))
    with pytest.raises(TermError, match=r"course.toml: assignments.02-sum: no such assignment; there are 01-sums"):
        term.require([NAME])


# --- what lateness costs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "seconds", "expected"),
    [
        (80, 0, 0),
        (80, 15 * 60, 0),  # the grace is not counted
        (80, 15 * 60 + 1, 8),  # a day begun
        (80, 15 * 60 + DAY, 8),
        (80, 15 * 60 + DAY + 1, 16),
        (80, 4 * DAY, 32),
        (80, 5 * DAY, 40),
        (80, 500 * DAY, 40),  # at most half
        (0, DAY, 0),
        (-3, DAY, 0),
        (110, DAY, 11),
    ],
)
def test_a_penalty_is_a_share_of_the_points_for_each_day_begun(score: float, seconds: float, expected: float) -> None:
    assert Lateness(15, 10, 50).penalty(score, seconds) == pytest.approx(expected, abs=1e-12)


def test_no_penalty_takes_more_than_there_is() -> None:
    chance = random.Random(4)
    for _ in range(1000):
        rules = Lateness(chance.choice([0, 7]), chance.uniform(0, 100), chance.choice([100, chance.uniform(0, 100)]))
        score = chance.uniform(-5, 120)
        assert 0 <= rules.penalty(score, chance.expovariate(1 / DAY)) <= max(0, score)


# --- in nbgrader's tables -----------------------------------------------------------------------------------------

RULES = """
    [lateness]
    percent_per_day = 10
    [assignments.01-sums]
    due = 2026-10-12T12:00:00
"""
LATE = "2026-10-13 18:00:00 UTC"  # thirty hours: two days begun


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    return release.build(small_repository(tmp_path_factory.mktemp("repository"), WRITTEN), NAME)


@pytest.fixture(scope="module")
def instructor(made: release.Released) -> NotebookNode:
    return reads(made.instructor)


def recorded(made: release.Released, student: str = "kim", lost: tuple[str, ...] = ()) -> Graded:
    nb = submission(made, {"why": "Because."})
    return Graded(student, NAME, tuple(Verdict(name, name not in lost) for name in CELLS), nbformat.writes(nb))


def grade_anew(book: Book, made: release.Released, *arrivals: tuple[str, str]) -> None:
    book.register(NAME, reads(made.instructor))
    for student, stamp in arrivals:
        book.write(recorded(made, student), f"of {student}", stamp)


def penalties(course: Path, db: str = "") -> dict[str, tuple[float, float]]:
    """What is read after course.toml may have changed: nothing is graded."""
    with Book(course, db) as book:
        return {score.student: (score.penalty, score.total) for score in book.scores(NAME)}


def stock(book: Book) -> dict[str, tuple[object, ...]]:
    with Gradebook(book.url) as gradebook:
        return {
            each.student.id: (each.assignment.duedate, each.extension, each.late_submission_penalty)
            for each in gradebook.assignment_submissions(NAME)
        }


def test_due_date_extension_and_penalty_are_in_nbgraders_tables(
    tmp_path: Path, made: release.Released, db: str
) -> None:
    write(tmp_path, RULES + '    extensions.lee = "1 day"\n    extensions.ann = "3 weeks"')
    with Book(tmp_path, db) as book:
        grade_anew(book, made, ("kim", LATE), ("lee", LATE), ("ann", LATE), ("tim", "2026-10-12 12:00:00 UTC"))
        due = datetime(2026, 10, 12, 12)
        assert stock(book) == {
            "kim": (due, None, 20),
            "lee": (due, timedelta(days=1), 10),
            "ann": (due, timedelta(weeks=3), 0),
            "tim": (due, None, 0),
        }
        (kim,) = (score for score in book.scores(NAME) if score.student == "kim")
        assert (kim.score, kim.penalty, kim.total, kim.late_seconds) == (100, 20, 80, 30 * HOUR)


def test_a_changed_file_changes_penalties_and_nothing_is_graded(
    tmp_path: Path, made: release.Released, db: str
) -> None:
    with Book(write(tmp_path, RULES), db) as book:
        grade_anew(book, made, ("kim", LATE))
    for text, expected in [
        (RULES, 20),
        (RULES + '    extensions.kim = "1 day"', 10),
        (RULES + '    extensions.kim = "2 days"', 0),
        (RULES, 20),
        (RULES.replace("= 10", "= 25"), 50),
        (RULES.replace("-12T", "-13T"), 10),
        (RULES.replace("-12T", "-14T"), 0),
        (RULES, 20),
    ]:
        write(tmp_path, text)
        assert penalties(tmp_path, db) == {"kim": (expected, 100 - expected)}
    with Book(tmp_path, db) as book:
        assert book.done(NAME) == {"kim": "of kim"}


def test_points_given_by_hand_are_reduced_alike(tmp_path: Path, made: release.Released) -> None:
    with Book(write(tmp_path, RULES)) as book:
        grade_anew(book, made, ("kim", LATE))
        with Gradebook(book.url) as gradebook:
            gradebook.find_grade("why", NAME, NAME, "kim").manual_score = 10
            gradebook.find_grade("mean-hidden", NAME, NAME, "kim").manual_score = 0
            gradebook.db.commit()
    assert penalties(tmp_path) == {"kim": (16, 64)}


def test_who_came_when_is_told(tmp_path: Path, made: release.Released) -> None:
    with Book(write(tmp_path, RULES)) as book:
        grade_anew(book, made, ("kim", LATE), ("ann", ""), ("lee", "yesterday"))
        found = {each.student: (each.known, each.late_seconds, each.penalty) for each in book.renew(NAME)}
        assert found == {"ann": (False, 0, 0), "kim": (True, 30 * HOUR, 20), "lee": (False, 0, 0)}
        assert {each.due for each in book.renew(NAME)} == {datetime(2026, 10, 12, 12)}


def test_where_the_file_is_silent_the_gradebook_stays_as_it_is(tmp_path: Path, made: release.Released) -> None:
    with Book(tmp_path) as book:
        grade_anew(book, made, ("kim", LATE))
        with Gradebook(book.url) as gradebook:
            gradebook.update_or_create_assignment(NAME, duedate="2026-10-12 12:00:00 UTC")
            gradebook.grant_extension(NAME, "kim", hours=6)
            gradebook.find_submission(NAME, "kim").notebooks[0].late_submission_penalty = 5.0
            gradebook.db.commit()
        assert penalties(tmp_path) == {"kim": (5, 95)}
        assert stock(book) == {"kim": (datetime(2026, 10, 12, 12), timedelta(hours=6), 5)}
    write(tmp_path, "[lateness]\npercent_per_day = 30")  # its dates stand, the rules are the file's
    assert penalties(tmp_path) == {"kim": (30, 70)}


def test_nbgraders_own_step_takes_the_same_points(tmp_path: Path, made: release.Released) -> None:
    with Book(write(tmp_path, RULES)) as book:
        grade_anew(book, made, ("kim", LATE))
        with Gradebook(book.url) as gradebook:
            gradebook.find_submission(NAME, "kim").notebooks[0].late_submission_penalty = None
            gradebook.db.commit()
        step = AssignLatePenalties(plugin_class=TermLateness, config=Config(CourseDirectory={"root": str(tmp_path)}))
        where = {"notebook": NAME, "assignment": NAME, "student": "kim", "db_url": book.url}
        step.preprocess(reads(made.instructor), {"nbgrader": where})
        assert stock(book)["kim"][2] == 20


def test_nbgrader_autograde_knows_the_file(tmp_path: Path, made: release.Released) -> None:
    """Its dates, its penalty and its overlay, by this repository's own configuration."""
    repository, course = small_repository(tmp_path / "repository", WRITTEN), tmp_path / "class"
    source = repository / "_build" / "source" / NAME / f"{NAME}.ipynb"
    release.write_atomically(source, made.instructor)
    for folder in (repository, course):
        release.write_atomically(folder / "nbgrader_config.py", (ROOT / "nbgrader_config.py").read_bytes())
    release.write_atomically(tmp_path / "private" / NAME / "spread.py", b'assert spread([1, 11]) == 0, "ours"')
    write(course, 'overlay = "../private"\n' + textwrap.dedent(RULES) + 'extensions.kim = "1 day"')
    handed_in = course / "submitted" / "kim" / NAME / f"{NAME}.ipynb"
    release.write_atomically(handed_in, nbformat.writes(submission(made, {})).encode())
    handed_in.with_name("timestamp.txt").write_text(LATE)
    config = PyFileConfigLoader("nbgrader_config.py", str(repository)).load_config()
    config.CourseDirectory.update(root=str(course), assignment_id=NAME)
    with Book(course) as book:
        book.register(NAME, reads(made.instructor))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # nbgrader's own, on every new submission
        Autograde(coursedir=CourseDirectory(config=config), config=config).start()
    with Book(course) as book:
        # A tenth of 70: the overlay took 30 points, the extension a day.
        assert stock(book) == {"kim": (datetime(2026, 10, 12, 12), timedelta(days=1), 7)}


# --- the term -----------------------------------------------------------------------------------------------------


def score(student: str, name: str, points: float, of: float = 100, penalty: float = 0, pending: bool = False) -> Score:
    return Score(student, name, penalty=penalty, points={"cell": points}, available={"cell": of}, pending=pending)


def term(weights: dict[str, float], drop: int = 0) -> Term:
    return Term(Path(FILE), drop_lowest=drop, assignments={name: Terms(weight=weights[name]) for name in weights})


def worked_out(percents: dict[str, Fraction], weights: dict[str, Fraction], drop: int) -> Fraction:
    """The best mean that leaves out the lowest percentages, by trying all ways to call them the lowest."""
    from itertools import combinations

    counted = [name for name in percents if weights[name]]
    kept = max(1, len(counted) - drop)
    found = []
    for chosen in combinations(counted, kept):
        left_out = [percents[name] for name in counted if name not in chosen]
        if all(low <= percents[name] for low in left_out for name in chosen):
            whole = sum(weights[name] for name in chosen)
            found.append(sum(weights[name] * percents[name] for name in chosen) / whole)
    return max(found)


def test_totals_are_those_worked_out_another_way() -> None:
    chance = random.Random(7)
    names = [f"{n:02}-a" for n in range(1, 6)]
    for _ in range(60):
        weights = {name: chance.choice([0.0, 0.5, 1.0, 2.0, 3.0]) for name in names}
        weights[names[0]] = 1.0
        drop = chance.choice([0, 1, 2, 9])
        handed = {
            name: {s: chance.choice([0, 20, 20, 50, 77, 110]) for s in "abc" if chance.random() < 0.8} for name in names
        }
        scores = {name: [score(s, name, points, 110) for s, points in handed[name].items()] for name in names}
        rows = totals.standings(scores, "abc", [], term(weights, drop))
        for row in rows:
            graded = [name for name in names if handed[name]]
            percents = {name: Fraction(100 * handed[name].get(row.student, 0), 110) for name in graded}
            if any(weights[name] for name in graded):
                wanted = worked_out(percents, {name: Fraction(weights[name]) for name in graded}, drop)
                assert row.total == pytest.approx(float(wanted), abs=1e-9)


def test_what_is_missing_open_or_dropped_is_marked() -> None:
    scores = {
        "01": [score("ann", "01", 90), score("bob", "01", 40, pending=True)],
        "02": [score("ann", "02", 110, of=110, penalty=11)],
        "03": [],
    }
    rows = totals.standings(scores, ["ann", "bob", "zoe"], [("zoe", "01"), ("bob", "02")], term({"01": 2.0}, drop=1))
    assert [(row.student, row.total) for row in rows] == [("ann", 90), ("bob", 40), ("zoe", 0)]
    ann, bob, zoe = (row.entries for row in rows)
    assert (ann["01"].percent, ann["02"].percent, ann["01"].dropped) == (90, 90, True) != ann["02"].dropped
    assert [(bob[name].remark, bob[name].dropped) for name in ("01", "02")] == [
        ("pending review", False),
        ("not graded yet", True),
    ]
    assert [zoe[name].remark for name in ("01", "02")] == ["not graded yet", "not handed in"]
    assert set(ann) == {"01", "02"}  # of 03 nothing is graded: it counts for nobody


def test_of_equal_percentages_the_heavier_is_dropped_and_the_last_never() -> None:
    scores = {"01": [score("ann", "01", 50)], "02": [score("ann", "02", 50)], "03": [score("ann", "03", 80)]}
    (row,) = totals.standings(scores, [], [], term({"01": 1.0, "02": 3.0, "03": 1.0}, drop=1))
    assert [name for name, each in row.entries.items() if each.dropped] == ["02"]
    assert row.total == 65
    (row,) = totals.standings(scores, [], [], term({"02": 0.0}, drop=5))
    assert (row.total, row.entries["02"].dropped, row.entries["03"].dropped) == (80, False, False)


def test_without_any_weight_nobody_has_a_total_and_that_is_said() -> None:
    rows = totals.standings({NAME: [score("ann", NAME, 90)]}, ["bob"], [], term({NAME: 0.0}))
    assert [(row.student, row.total) for row in rows] == [("ann", None), ("bob", None)]
    assert totals.csv_text(rows).splitlines()[1:] == ["ann,90,,,,,", f"bob,0,,,{NAME},,"]
    assert "nobody has a total: all that is graded has weight 0 in course.toml." in printed(rows, term({NAME: 0.0}))
    weighed = totals.standings({NAME: [score("ann", NAME, 90)]}, [], [], term({}))
    assert "nobody has a total" not in printed(weighed, term({})) + printed([], term({}))


def test_the_commands_csv_says_on_the_side_that_nobody_has_a_total(
    tmp_path: Path, made: release.Released, capsys: pytest.CaptureFixture[str]
) -> None:
    with Book(write(tmp_path, f"assignments.{NAME}.weight = 0")) as book:
        grade_anew(book, made, ("kim", LATE))
    totals.show_term([NAME], tmp_path, "", "csv", Console())
    said = capsys.readouterr()
    assert said.out.splitlines()[1] == "kim,90.90909091,,,,,01-sums"
    assert said.err == "course: nobody has a total: all that is graded has weight 0 in course.toml\n"


def test_the_csv_is_plain_and_no_order_shows() -> None:
    scores = {
        "02": [score("=ann\n;=1", "02", 1, of=3)],
        "01": [score("bob", "01", 40, pending=True), score("=ann\n;=1", "01", 90)],
    }
    backwards = {name: found[::-1] for name, found in reversed(scores.items())}
    expected = (
        "student,01,02,total,dropped,not_handed_in,not_graded,pending_review\n"
        "'=ann ;'=1,90,33.33333333,90,02,,,\n"
        "bob,40,0,40,02,02,,01\n"
    )
    rows = [totals.standings(each, ["bob"], [], term({}, drop=1)) for each in (scores, backwards)]
    assert totals.csv_text(rows[0]) == totals.csv_text(rows[1]) == expected
    assert totals.csv_text([]).startswith("student,total,")


def printed(rows: list[totals.Standing], terms: Term) -> str:
    console = Console(file=io.StringIO(), width=400)
    console.print(totals.table(rows, [], terms))
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_the_table_shows_brackets_dashes_and_the_rule() -> None:
    scores = {"01": [score("[b]x[/]\x1b[2J", "01", 90)], "02": [score("ann", "02", 30)]}
    rows = totals.standings(scores, [], [], term({"01": 2.0}, drop=1))
    console = Console(file=io.StringIO(), width=200)
    console.print(totals.table(rows, ["03"], term({"01": 2.0}, drop=1)))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "[b]x[/]" in text
    assert "\x1b" not in text
    assert "ann (–) 30.0 30.0 01 not handed in" in lines
    assert any("weight 2 weight 1 not graded yet" in line for line in lines)
    assert "The lowest percentage is dropped, in brackets." in text
    console.print(totals.table([], [], term({})))
