"""What must stay as it is while hostile submissions are graded: files near by, a port, and our own processes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from course_utils.grading.sandbox import _tree

REPOSITORY = Path(__file__).resolve().parents[2]
WATCHED = (
    "pyproject.toml",
    "src/course_utils/__init__.py",
    "src/course_utils/checks.py",
    "tests/corpora/assignment.py",
)


class Canary:
    """A course folder with a gradebook and another student's work in it, and a port on which nobody may call.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        other = folder / "submitted" / "other" / "01-corpus"
        other.mkdir(parents=True)
        (other / "01-corpus.ipynb").write_text("another student's work")
        (folder / "gradebook.db").write_text("all grades")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(self.listener.getsockname())
        self.udp.setblocking(False)
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0course-corpora-{self.port}")
        self.abstract.listen()
        self.abstract.setblocking(False)
        self.before, self.processes = self.seen(), set(_tree(os.getpid()))

    @property
    def port(self) -> int:
        return self.listener.getsockname()[1]

    def placed(self, content: bytes) -> bytes:
        """A submission in which the places stand that it is to attack."""
        content = content.replace(b"{{CANARY}}", str(self.folder).encode())
        content = content.replace(b"{{REPOSITORY}}", str(REPOSITORY).encode())
        return content.replace(b"{{PORT}}", str(self.port).encode())

    def seen(self) -> dict[str, tuple[int, bytes]]:
        """All files, with mode and content."""
        paths = [*self.folder.rglob("*"), *(REPOSITORY / name for name in WATCHED)]
        paths += (REPOSITORY / "src").rglob("*corpora*")
        return {str(path): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"") for path in paths}

    def called(self) -> list[str]:
        """The ways on which somebody called."""
        ways = []
        for name, listener in (("tcp", self.listener), ("udp", self.udp), ("unix", self.abstract)):
            try:
                listener.recv(1) if name == "udp" else listener.accept()
                ways.append(name)
            except BlockingIOError:
                pass
        return ways

    def left(self) -> set[int]:
        """Processes below ours that were not there in the beginning."""
        return set(_tree(os.getpid())) - self.processes

    def close(self) -> None:
        for one in (self.listener, self.udp, self.abstract):
            one.close()
