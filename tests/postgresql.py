"""A PostgreSQL server of the tests' own: a throw-away cluster on a Unix socket, run by Debian's programs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine

PASSWORD = "50%@/: cent"  # what a URL must have escaped, and what is a format to some
# A server that is killed keeps what was committed; only a machine that loses its power would not.
HASTE = ("fsync=off", "full_page_writes=off", "max_connections=20", "shared_buffers=16MB")


class Server:
    """A running server; its role owns the databases that it is asked for, and nothing else."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs, self.numbers = folder, programs, count()

    def url(self, database: str, password: str = PASSWORD, role: str = "teacher") -> str:
        """A database's URL as an instructor gives it."""
        return f"postgresql+psycopg://{role}:{quote(password, safe='')}@/{database}?host={self.folder}"

    def new(self) -> str:
        """The URL of a new and empty database."""
        name = f"course{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER teacher")
        return self.url(name)

    def emptied(self) -> str:
        """The URL of one database, emptied: a new one for each test would be a thousand files each."""
        self.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public AUTHORIZATION teacher", database="emptied")
        return self.url("emptied")

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the owner of everything, one by one."""
        engine = create_engine(self.url(database, role="owner"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = f"-c listen_addresses='' -k {self.folder} " + " ".join(f"-c {each}" for each in HASTE)
        log = self.folder / "log"
        self.run("pg_ctl", "--pgdata", self.folder / "data", "--wait", "--log", log, "--options", options, "start")

    def stop(self) -> None:
        """Stop it without waiting for anybody, as a crash would."""
        self.run("pg_ctl", "--pgdata", self.folder / "data", "--mode", "immediate", "stop")

    def run(self, program: str, *words: object) -> None:
        """Run one of its programs, as another user where we are root: PostgreSQL refuses root."""
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            entry = pwd.getpwnam("postgres")
            user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        command = [str(word) for word in (self.programs / program, *words)]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        subprocess.run(command, cwd=self.folder, check=True, timeout=60, **quiet, **user)


def programs() -> Path | None:
    """The folder of the server's programs, of the newest version if there are several."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    return Path(found).resolve().parent if found else None


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """A server with the roles `owner` and `teacher`; stopped and thrown away in the end."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:  # a socket's path may not be long
        server = Server(Path(folder), programs)
        (server.folder / "password").write_text(PASSWORD, encoding="utf-8")
        if os.geteuid() == 0:
            for path in (server.folder, server.folder / "password"):
                shutil.chown(path, "postgres", "postgres")
        words = ("--no-sync", "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8")
        secret = ("--username", "owner", "--pwfile", server.folder / "password")
        server.run("initdb", "--pgdata", server.folder / "data", *words, *secret)
        server.start()
        try:
            escaped = PASSWORD.replace("%", "%%")
            server.execute(f"CREATE ROLE teacher LOGIN PASSWORD '{escaped}'", "CREATE DATABASE emptied OWNER teacher")
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):  # a test has stopped it
                server.stop()
