"""The process in which a student's cells run: a fork of the warm parent (:mod:`course_utils.grading.warm`).

It holds the student's names, runs cells as a notebook would (magics, displays, figures), and answers calls. It knows
no test and no expected value, and nothing that it says is a verdict: what a cell put out is shown, never judged.
"""

from __future__ import annotations

import contextlib
import io
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from course_utils.grading.outputs import MOST_IMAGE, MOST_SHOWN, MOST_TEXT
from course_utils.grading.peer import Header, Peer


class _Stream(io.TextIOBase):
    """Keeps the beginning of what is written, and counts the rest."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.room, self.cut = MOST_TEXT, 0

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        if self.room:
            self.kept.append(text[: self.room])
        self.cut += max(0, len(text) - self.room)
        self.room = max(0, self.room - len(text))
        return len(text)

    def text(self) -> str:
        """What was kept, and a note on what was not."""
        note = f"\n[{self.cut} more characters were cut]\n" if self.cut else ""
        return "".join(self.kept) + note


class _Publisher(DisplayPublisher):
    """Takes what a cell displays."""

    def publish(self, data: dict[str, Any], metadata: Any = None, **_: Any) -> None:
        self.shell.shown.append({"data": data, "result": False})


class _Hook(DisplayHook):
    """Takes the value of a cell's last expression."""

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: Any = None) -> None:
        self.shell.shown.append({"data": format_dict, "result": True})

    def finish_displayhook(self) -> None:
        pass


class Shell(InteractiveShell):
    """IPython's shell with a notebook's ways: displays and figures are kept, an error's traceback too."""

    display_pub_class = Type(_Publisher)
    displayhook_class = Type(_Hook)

    def __init__(self, **settings: Any) -> None:
        self.shown: list[dict[str, Any]] = []
        self.trace: list[str] = []
        super().__init__(**settings)
        self.display_formatter.active_types = self.display_formatter.format_types

    def enable_gui(self, gui: Any = None) -> None:
        """There is no window to be had; ``%matplotlib inline`` asks all the same."""

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        self.trace = stb


class Names:
    """The student's namespace, behind the requests that concern it."""

    def __init__(self) -> None:
        # Plain tracebacks: those with context take many seconds for a recursion without end.
        shell = {"colors": "nocolor", "xmode": "Plain"}
        settings = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": shell})
        self.shell = Shell.instance(config=settings)
        self.shell.enable_matplotlib("inline")

    def run(self, header: Header, _: list[bytes]) -> Header:
        """Run a cell; what it put out and what stopped it go back as text."""
        self.shell.shown, self.shell.trace = [], []
        out, err = _Stream(), _Stream()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            result = self.shell.run_cell(str(header["source"]), store_history=True)
        error = result.error_before_exec or result.error_in_exec
        stopped = error and [type(error).__name__, str(error)[:MOST_TEXT], "\n".join(self.shell.trace)[:MOST_TEXT]]
        return {"stdout": out.text(), "stderr": err.text(), "shown": _kept(self.shell.shown), "stopped": stopped}

    def name(self, header: Header, _: list[bytes]) -> Header:
        """What stands under a name now."""
        name = str(header["name"])
        if name not in self.shell.user_ns:
            raise NameError(f"name {name!r} is not defined")
        return {"values": self.shell.user_ns[name]}


def _kept(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the displays what is looked at later: all of it might not fit into the reply."""
    kept, room = [], MOST_IMAGE
    for each in shown[: MOST_SHOWN + 1]:
        text, image = each["data"].get("text/plain", ""), each["data"].get("image/png", "")
        data = {"text/plain": text[: MOST_TEXT + 1], **({"image/png": image} if len(image) <= room else {})}
        room -= len(data.get("image/png", ""))
        kept.append({"data": data, "result": each["result"]})
    return kept


def put(header: Header, blobs: list[bytes]) -> Header:
    """Lay a file of the assignment beside the notebook."""
    path = Path(str(header["file"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blobs[0])
    return {}


@cache
def warm_up() -> Names:
    """Make, before any fork, what every fork would make for itself: there is one shell in a process."""
    return Names()


def main(descriptor: int) -> None:
    """Serve one submission on a socket until the other end closes it."""
    sys.path.insert(0, "")  # a notebook can import what lies beside it
    names = warm_up()
    operations: dict[str, Any] = {"run": names.run, "name": names.name, "put": put}
    Peer(socket.socket(fileno=descriptor), operations=operations).serve_forever()
