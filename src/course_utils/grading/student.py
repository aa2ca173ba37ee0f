"""The process in which a student's cells run: a fork of the warm parent (:mod:`course_utils.grading.warm`).

It holds the student's names, runs cells as a notebook would (magics, displays), and answers calls. It knows no test
and no expected value, and nothing that it says is a verdict.
"""

from __future__ import annotations

import socket
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from course_utils.grading.peer import Header, Peer

MOST_OUTPUT = 20_000  # characters of one stream of one cell


class Names:
    """The student's namespace, behind the two requests that concern it."""

    def __init__(self) -> None:
        self.shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))

    def run(self, header: Header) -> Header:
        """Run a cell; what it printed and what stopped it go back as text."""
        with capture_output() as captured:
            result = self.shell.run_cell(str(header["source"]), store_history=True)
        error = result.error_before_exec or result.error_in_exec
        return {
            "stopped": None if error is None else [type(error).__name__, str(error)[:MOST_OUTPUT]],
            "stdout": _cut(captured.stdout),
            "stderr": _cut(captured.stderr),
        }

    def name(self, header: Header) -> Header:
        """What stands under a name now."""
        name = str(header["name"])
        if name not in self.shell.user_ns:
            raise NameError(f"name {name!r} is not defined")
        return {"values": self.shell.user_ns[name]}


def _cut(text: str) -> str:
    if len(text) <= MOST_OUTPUT:
        return text
    return f"{text[:MOST_OUTPUT]}\n[{len(text) - MOST_OUTPUT} more characters were cut]"


def main(descriptor: int) -> None:
    """Serve one submission on a socket until the other end closes it."""
    names = Names()
    operations: dict[str, Any] = {"run": names.run, "name": names.name}
    Peer(socket.socket(fileno=descriptor), operations=operations).serve_forever()
