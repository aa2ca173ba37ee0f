"""A gradebook on a PostgreSQL server: what can be wrong with it is one line, and a server that goes away loses nothing.

What is the same in SQLite is tested with both in test_gradebook.py.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbgrader.api import Base, get_alembic_version
from postgresql import PASSWORD, Server
from sqlalchemy import create_engine, event, inspect, text
from support import reads, small_repository, with_programs

from course_utils import release
from course_utils.grading import database
from course_utils.grading.database import GradebookError, open_engine
from course_utils.grading.gradebook import Book
from course_utils.grading.records import Graded, Verdict

NAME = "01-sums"
POINTS = {"mean-visible": 20, "mean-hidden": 30, "spread-visible": 20, "spread-hidden": 30}


@pytest.fixture(scope="module")
def instructor(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    return reads(release.build(small_repository(tmp_path_factory.mktemp("repository")), NAME).instructor)


@pytest.fixture
def url(postgres: Server) -> str:
    return postgres.emptied()


@pytest.fixture
def book(tmp_path: Path, url: str, instructor: NotebookNode) -> Iterator[Book]:
    with Book(tmp_path, url) as opened:
        opened.register(NAME, instructor)
        yield opened


def graded(student: str) -> Graded:
    return Graded(student, NAME, verdicts=tuple(Verdict(name, True) for name in POINTS))


def said(call: Callable[[], object]) -> str:
    """The one line of the error; neither it nor the traceback shows the password."""
    with pytest.raises(GradebookError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in shown
    assert "50%25" not in shown
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is there ------------------------------------------------------------------------------------------------


def test_a_new_database_becomes_nbgraders_whole(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", with_programs())
    engine = open_engine(url)
    with engine.begin() as connection:
        assert connection.scalars(text("SELECT version_num FROM alembic_version")).all() == [get_alembic_version()]
        assert inspect(connection).has_table("course_grading")
    engine.dispose()


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["CREATE TABLE recipes (name TEXT)"], "something else (recipes)"),
        (["UPDATE alembic_version SET version_num = '167914646830'"], "`nbgrader db upgrade`"),
        (
            ["UPDATE alembic_version SET version_num = 'fedcba987654'"],
            "another nbgrader made it (version fedcba987654)",
        ),
        (["DELETE FROM alembic_version", "ALTER TABLE student DROP COLUMN email"], "another nbgrader made it"),
    ],
)
def test_what_is_no_gradebook_of_this_nbgrader_is_refused(
    postgres: Server, url: str, statements: list[str], words: str
) -> None:
    if "recipes" not in statements[0]:
        open_engine(url).dispose()
    postgres.execute(*statements, "ALTER SCHEMA public OWNER TO teacher", database="emptied")
    assert words in said(lambda: open_engine(url))


def test_tables_without_a_version_get_it_and_those_of_a_kill_are_none(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(database, "GRADINGS", None)
        with pytest.raises(AttributeError):
            open_engine(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert engine.dialect.get_table_names(connection) == []
    Base.metadata.create_all(engine)
    engine.dispose()
    for _ in range(2):
        open_engine(url).dispose()


# --- what is not there --------------------------------------------------------------------------------------------


def test_what_keeps_it_from_the_server_is_one_line(postgres: Server) -> None:
    cases = {
        postgres.url("nowhere"): "no such database: make it with `createdb`",
        postgres.url("emptied", password="wrong%"): "refuses this role or its password",
        postgres.url("emptied", role="nobody"): "refuses this role or its password",
        f"postgresql+psycopg://teacher@/emptied?host={postgres.folder}": "wants a password",
        postgres.url("postgres"): "make it the owner of the database",
        "postgresql+psycopg://kim:secret@127.0.0.1:1/course": "127.0.0.1:1/course: no server answers there",
        "postgresql+psycopg://kim@/course?host=/none&password=secret": "no server answers there",
        "postgresql+psycopg://kim:half@secret@127.0.0.1/course": "write an @ in the password as %40",
        "postgresql+psycopg2://kim:secret@127.0.0.1/course": "needs the package psycopg2",
    }
    for url, words in cases.items():
        line = said(lambda url=url: open_engine(url))
        assert words in line
        assert "secret" not in line


def test_a_locked_gradebook_is_waited_for_then_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = open_engine(url)
    with other.begin():
        monkeypatch.setattr(database, "WAIT", 0.01)
        assert "another program has kept it locked" in said(lambda: open_engine(url))
    open_engine(url).dispose()
    other.dispose()


def test_a_full_disk_is_said_and_costs_only_that_submission(book: Book, postgres: Server) -> None:
    """The server's own error, from a trigger: no disk is filled."""
    book.write(graded("ann"), "f")
    postgres.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'could not extend file "
        "\"base/1/2\": No space left on device' USING ERRCODE = '53100'; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER full_disk BEFORE INSERT ON course_grading EXECUTE FUNCTION full_disk()",
        database="emptied",
    )
    assert "the disk is full: make room" in said(lambda: book.write(graded("kim"), "f"))
    postgres.execute("DROP TRIGGER full_disk ON course_grading", database="emptied")
    assert list(book.done(NAME)) == [score.student for score in book.scores(NAME)] == ["ann"]
    book.write(graded("kim"), "f")
    assert list(book.done(NAME)) == ["ann", "kim"]


@pytest.mark.parametrize("moment", ["before_cursor_execute", "after_cursor_execute", "commit"])
def test_a_server_that_goes_away_in_the_middle_loses_nothing(
    moment: str, book: Book, postgres: Server, caplog: pytest.LogCaptureFixture
) -> None:
    book.write(graded("ann"), "f")

    left = ["INSERT"]

    def crash(*words: object) -> None:
        if left and (moment == "commit" or "INSERT INTO submitted_assignment" in str(words[2])):
            left.pop()
            postgres.stop()

    event.listen(book.engine, moment, crash)
    try:
        assert "the server went away" in said(lambda: book.write(graded("kim"), "f"))
        assert "no server answers there" in said(lambda: book.write(graded("lee"), "f"))
    finally:
        postgres.start()
    assert caplog.records == []  # they would be printed beside the one line
    assert list(book.done(NAME)) == [score.student for score in book.scores(NAME)] == ["ann"]
    for student in ("kim", "lee"):
        book.write(graded(student), "f")
    assert list(book.done(NAME)) == ["ann", "kim", "lee"]


def test_a_connection_that_was_lost_between_two_submissions_is_made_anew(book: Book, postgres: Server) -> None:
    book.write(graded("ann"), "f")
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'emptied'")
    book.write(graded("kim"), "f")
    assert list(book.done(NAME)) == ["ann", "kim"]


# --- several who write --------------------------------------------------------------------------------------------

# All begin at once: each has imported everything when the line comes that they wait for.
WRITER = """
import sys
from pathlib import Path
import nbformat
from course_utils.grading.gradebook import Book
from course_utils.grading.records import Graded

course, db, source, *records = sys.argv[1:]
instructor = nbformat.reads(Path(source).read_text(), as_version=4)
records = [Graded.from_json(record) for record in records]
print("ready", flush=True)
input()
with Book(Path(course), db) as book:
    book.register("01-sums", instructor)
    for record in records:
        book.write(record, "f")
"""


def test_three_who_make_a_gradebook_and_write_at_once_lose_nothing(
    tmp_path: Path, db: str, instructor: NotebookNode
) -> None:
    """Each has students of its own, and one that all have."""
    (tmp_path / "source.ipynb").write_text(release.nbformat.writes(instructor), encoding="utf-8")
    parts = [[f"{writer}{number}" for number in range(6)] + ["kim"] for writer in "abc"]
    words = [sys.executable, "-W", "error", "-c", WRITER, tmp_path, db, tmp_path / "source.ipynb"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    writers = [
        subprocess.Popen([*map(str, words), *(graded(student).to_json() for student in part)], **pipes)
        for part in parts
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=120)[1] for writer in writers] == ["", "", ""]
    with Book(tmp_path, db) as book:
        students = sorted({student for part in parts for student in part})
        assert {score.student: score.score for score in book.scores(NAME)} == dict.fromkeys(students, 100)
        assert book.done(NAME) == dict.fromkeys(students, "f")


def test_a_student_id_longer_than_nbgrader_keeps_is_refused_by_the_server_only(book: Book) -> None:
    """Which is why intake refuses it before (test_intake.py): SQLite takes any."""
    assert "value too long" in said(lambda: book.write(dataclasses.replace(graded("x"), student="x" * 129), "f"))
