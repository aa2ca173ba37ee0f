"""A gradebook's rows as lines of JSON, the same from every database: what a backup holds of it.

A table is a line with its columns, then a line for each row, ordered by its key. So it can be read without nbgrader,
moved from SQLite to PostgreSQL and back, and compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from nbgrader.api import Base
from sqlalchemy import Connection, Table, collate, func, select

from course_utils.grading.database import GRADINGS, GradebookError

TABLES: dict[str, Table] = {
    table.name: table for metadata in (Base.metadata, GRADINGS.metadata) for table in metadata.sorted_tables
}
AT_ONCE = 1000  # rows that are in memory together
_MICROSECOND = timedelta(microseconds=1)
_WRITTEN: dict[type, Callable[[Any], Any]] = {
    datetime: datetime.isoformat,
    timedelta: lambda value: value // _MICROSECOND,
}
_READ: dict[type, Callable[[Any], Any]] = {
    datetime: datetime.fromisoformat,
    timedelta: lambda value: value * _MICROSECOND,
}


def lines(connection: Connection, table: Table) -> Iterator[bytes]:
    """A table as lines.

    Args:
        connection: of the gradebook, in a transaction.
        table: one of TABLES.
    """
    # Every database has an order of letters of its own; this one is by their numbers.
    order = "C" if connection.dialect.name == "postgresql" else "BINARY"
    query = select(table).order_by(*(collate(column, order) for column in table.primary_key))
    yield _line(table.columns.keys())
    for row in connection.execute(query, execution_options={"yield_per": AT_ONCE}):
        yield _line([_WRITTEN.get(type(value), _same)(value) for value in row])


def clear(connection: Connection) -> None:
    """Delete all rows."""
    for table in reversed(TABLES.values()):
        connection.execute(table.delete())


def fill(connection: Connection, table: Table, text: Iterable[bytes]) -> None:
    """Put the rows of :func:`lines` into a table that has none.

    Raises:
        GradebookError: its columns are others.
    """
    rows = map(json.loads, text)
    if next(rows, None) != table.columns.keys():
        raise GradebookError(f"the table {table.name} has other columns than this nbgrader's: it was made with another")
    readers = {column.name: _READ.get(column.type.python_type, _same) for column in table.columns}
    while some := list(islice(rows, AT_ONCE)):
        connection.execute(table.insert(), [_row(values, readers) for values in some])


def counted(connection: Connection, name: str) -> int:
    """How many rows a table has."""
    return connection.scalar(select(func.count()).select_from(TABLES[name])) or 0


def _row(values: list[Any], readers: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    pairs = zip(readers.items(), values, strict=True)
    return {name: None if value is None else read(value) for (name, read), value in pairs}


def _same(value: Any) -> Any:
    return value


def _line(values: list[Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"
