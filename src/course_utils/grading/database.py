"""Opening nbgrader's database so that it is whole: made in one transaction, refused in one line where it is not ours.

nbgrader makes a gradebook in several commits and calls a bare ``alembic`` between them: where there is none, tables
without a version are left behind, which its own `nbgrader db upgrade` cannot mend. Here alembic is asked as a library,
and all is there or nothing is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from alembic.script import ScriptDirectory
from nbgrader.api import Base, Course, InvalidEntry, MissingEntry
from nbgrader.dbutil import ALEMBIC_DIR
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from course_utils._errors import CourseError

WAIT = 30.0  # seconds that a locked SQLite database is waited for
COURSE = "default_course"  # nbgrader's own name for the course where none is configured
MEANINGS = {
    "database is locked": "another program has kept it locked: wait until that one has ended, then run this again",
    "readonly database": "it cannot be written: check the rights of the file and of its folder",
    "unable to open database file": "it cannot be opened for writing: check the rights of the file and of its folder",
    "not a database": "it is no SQLite database: move the file away, or give another with --db",
    "disk is full": "the disk is full: make room, then run this again; what was recorded so far is kept",
    "malformed": "it is damaged: put back a copy of it",
}

GRADINGS = Table(
    "course_grading",
    MetaData(),
    Column("student", String(128), primary_key=True),
    Column("assignment", String(128), primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("record", Text, nullable=False),
)


class GradebookError(CourseError):
    """The gradebook cannot be used as asked; the message is one line that says why and what to do."""


def open_engine(url: str) -> Engine:
    """An engine for a gradebook that is there, complete and of this nbgrader; an empty database becomes one.

    Args:
        url: what SQLAlchemy takes, such as ``sqlite:////home/ann/course/gradebook.db``.

    Raises:
        GradebookError: it cannot be opened or written, is not a gradebook, or is one of another nbgrader.
    """
    engine = _engine(url)
    try:
        with in_one_line(engine), engine.begin() as connection:
            _prepare(connection, shown(engine))
    except BaseException:
        engine.dispose()
        raise
    return engine


def shown(engine: Engine) -> str:
    """The database as messages name it: the file, or the URL without its password."""
    sqlite = engine.dialect.name == "sqlite"
    return f"gradebook {engine.url.database if sqlite else engine.url.render_as_string()}"


@contextlib.contextmanager
def in_one_line(engine: Engine) -> Iterator[None]:
    """Turn what the database, or nbgrader's interface to it, raises into a GradebookError."""
    try:
        yield
    except (SQLAlchemyError, InvalidEntry, MissingEntry) as error:
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        meaning = next((meaning for sign, meaning in MEANINGS.items() if sign in words), words)
        raise GradebookError(f"{shown(engine)}: {meaning}") from error


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        engine = create_engine(parsed, connect_args={"timeout": WAIT} if sqlite else {})
    except ImportError as error:
        raise GradebookError(f"--db: this database needs the package {error.name}, which is not installed") from error
    except SQLAlchemyError as error:
        words = "give one such as sqlite:////home/ann/course/gradebook.db"
        raise GradebookError(f"--db: this is no database URL that SQLAlchemy knows: {words}") from error
    if sqlite:
        _check_file(engine)
        event.listen(engine, "begin", _begin)
    return engine


def _check_file(engine: Engine) -> None:
    """Say it now where SQLite would say it only at the first write."""
    database = engine.url.database or ""
    if not database or database.startswith("file:"):
        return
    path = Path(database)
    if not path.parent.is_dir():
        raise GradebookError(f"{shown(engine)}: there is no folder {path.parent}: make it, or give another --db")
    for each in (path.parent, path):
        if each.exists() and not os.access(each, os.W_OK):
            raise GradebookError(f"{shown(engine)}: {each} cannot be written: check its rights")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # takes the lock now, while it can still be waited for


def _prepare(connection: Connection, where: str) -> None:
    tables = inspect(connection).get_table_names()
    if not tables:
        Base.metadata.create_all(connection)
    elif "submitted_assignment" not in tables:
        raise GradebookError(f"{where}: it holds something else ({', '.join(sorted(tables)[:3])}): give another, --db")
    _check_version(connection, where)
    if connection.scalar(select(Course.id).where(Course.id == COURSE)) is None:
        connection.execute(Course.__table__.insert().values(id=COURSE))
    GRADINGS.create(connection, checkfirst=True)
    connection.execute(GRADINGS.delete().where(GRADINGS.c.student == ""))  # nobody; a read-only database says so now


def _check_version(connection: Connection, where: str) -> None:
    """Refuse another nbgrader's tables; tables that are this one's but have no version, get it."""
    scripts = ScriptDirectory(ALEMBIC_DIR)
    head = scripts.get_current_head()
    connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)"))
    version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if version is None and _is_complete(connection):
        connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": head})
    elif version in {script.revision for script in scripts.walk_revisions()} - {head}:
        raise GradebookError(f"{where}: an older nbgrader made it: copy it, then run `nbgrader db upgrade`")
    elif version != head:
        raise GradebookError(f"{where}: another nbgrader made it (version {version}): use that one, or another --db")


def _is_complete(connection: Connection) -> bool:
    """Whether all that this nbgrader keeps has its place: so it is in a new gradebook, and in one of its unfinished."""
    known = inspect(connection)
    there = {table: {column["name"] for column in known.get_columns(table)} for table in known.get_table_names()}
    return all(set(table.columns.keys()) <= there.get(name, set()) for name, table in Base.metadata.tables.items())
