"""Opening nbgrader's database so that it is whole: made in one transaction, refused in one line where it is not ours.

nbgrader makes a gradebook in several commits and calls a bare ``alembic`` between them: where there is none, tables
without a version are left behind, which its own `nbgrader db upgrade` cannot mend. Here alembic is asked as a library,
and all is there or nothing is.

A gradebook is in SQLite or PostgreSQL. A transaction begins with a lock that only one has at a time, whatever the
machine: what it reads stays true until it has written, and two instructors who grade at once wait for each other.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from nbgrader.api import Base, Course, InvalidEntry, MissingEntry
from nbgrader.dbutil import ALEMBIC_DIR
from sqlalchemy import (
    URL,
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
from course_utils.grading.outputs import printable

WAIT = 30.0  # seconds that a locked gradebook is waited for
LOCK = 7_233_173_838_382_854  # the number of PostgreSQL's advisory lock; any, but the same for all who grade
# A server that does not answer is given up by the connection, not by whoever waits for it (seconds, milliseconds).
PATIENCE = {"connect_timeout": 10, "tcp_user_timeout": 30_000}
COURSE = "default_course"  # nbgrader's own name for the course where none is configured
_LOCKED = "another program has kept it locked: wait until that one has ended, then run this again"
_FULL = "the disk is full: make room, then run this again; what was recorded so far is kept"
_UNREACHABLE = "no server answers there: is it running, and are host and port in --db right?"
_GONE = "the server went away: run this again when it is back; what was recorded so far is kept"
_RIGHTS = "this role may not write there: make it the owner of the database"
MEANINGS = {
    "database is locked": _LOCKED,
    "lock timeout": _LOCKED,
    "readonly database": "it cannot be written: check the rights of the file and of its folder",
    "unable to open database file": "it cannot be opened for writing: check the rights of the file and of its folder",
    "not a database": "it is no SQLite database: move the file away, or give another with --db",
    "disk is full": _FULL,
    "No space left on device": _FULL,
    "malformed": "it is damaged: put back a copy of it",
    "authentication failed": "the server refuses this role or its password: check them, and write % as %25, @ as %40",
    "no password supplied": "the server wants a password: give one in --db, or in the file ~/.pgpass",
    "permission denied": _RIGHTS,
    'database "': "the server has no such database: make it with `createdb`, or give another with --db",
    "starting up": "the server is only starting: run this again in a moment",
    "too many clients": "the server has no connection left: close other programs that use it, then run this again",
    "read-only transaction": _RIGHTS,
    "Connection refused": _UNREACHABLE,
    "No such file or directory": _UNREACHABLE,
    "translate host name": _UNREACHABLE,
    "resolve host": _UNREACHABLE,
    "timeout expired": _UNREACHABLE,
    "server closed the connection": _GONE,
    "connection is lost": _GONE,
    "connection is closed": _GONE,
    "terminating connection": _GONE,
    "shutting down": _GONE,
    "recovery mode": _GONE,
    "Connection reset": _GONE,
    "Connection timed out": _GONE,
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
        url: what SQLAlchemy takes, such as ``sqlite:////home/ann/course/gradebook.db`` or
            ``postgresql+psycopg://ann:password@host/course``.

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


def missing_file(url: str) -> str | None:
    """The file of an SQLite database that is not there yet."""
    with contextlib.suppress(SQLAlchemyError):
        parsed = make_url(url)
        file = parsed.database or ""
        if parsed.get_backend_name() == "sqlite" and not file.startswith(("file:", ":")) and not Path(file).exists():
            return file
    return None


def place(engine: Engine) -> str:
    """Where the database is: the file, or the URL without its password."""
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    return engine.url.difference_update_query(["password"]).render_as_string(hide_password=True)


def shown(engine: Engine) -> str:
    """The database as messages name it."""
    return f"gradebook {place(engine)}"


@contextlib.contextmanager
def in_one_line(engine: Engine) -> Iterator[None]:
    """Turn what the database, or nbgrader's interface to it, raises into a GradebookError."""
    try:
        with _not_logged():
            yield
    except (SQLAlchemyError, InvalidEntry, MissingEntry) as error:
        words = printable(" ".join(str(getattr(error, "orig", None) or error).split()))  # a student's id may be in it
        meaning = next((meaning for sign, meaning in MEANINGS.items() if sign in words), words)
        raise GradebookError(f"{shown(engine)}: {meaning}") from error


@contextlib.contextmanager
def _not_logged() -> Iterator[None]:
    """What nbgrader and SQLAlchemy log on their way to an error they raise, statements and traceback and all."""
    loggers = [logging.getLogger(name) for name in ("tornado.application", "sqlalchemy.pool")]
    with contextlib.ExitStack() as stack:
        for logger in loggers:
            stack.callback(setattr, logger, "disabled", logger.disabled)
            logger.disabled = True
        yield


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        _check_kind(parsed)
        engine = create_engine(parsed, **_settings(parsed))
    except ImportError as error:
        raise GradebookError(f"--db: this database needs the package {error.name}, which is not installed") from error
    except SQLAlchemyError as error:
        words = "give one such as sqlite:////home/ann/course/gradebook.db"
        raise GradebookError(f"--db: this is no database URL that SQLAlchemy knows: {words}") from error
    if engine.dialect.name == "sqlite":
        _check_file(engine)
    event.listen(engine, "begin", _begin)
    return engine


def _check_kind(url: URL) -> None:
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise GradebookError(f"--db: a gradebook is kept in SQLite or PostgreSQL, not in {url.get_backend_name()}")
    if "@" in (url.host or ""):  # it is the end of the password, and is not shown
        raise GradebookError("--db: write an @ in the password as %40")


def _settings(url: URL) -> dict[str, Any]:
    """What the engine is to be told of this kind of database; the URL's own options come first."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": WAIT}}
    patience = {name: value for name, value in PATIENCE.items() if name not in url.query}
    # What was committed before the lock was had must be seen after it, whatever the server's default is. A connection
    # that was lost between two transactions is made anew.
    return {"connect_args": patience, "isolation_level": "READ COMMITTED", "pool_pre_ping": True}


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
    """Take the lock now, while it can still be waited for; it ends with the transaction, or with the connection."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {1000 * WAIT:.0f}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


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
