"""How the book's cells are run: several pages at once, timed cells alone, each page once. On books of a few lines."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).parents[1] / "book" / "_ext"
HEADER = "---\nfile_format: mystnb\nkernelspec: {name: python3}\norphan: true\n---\n\n"
OPTIONS = {
    "extensions": "myst_nb,course_execute",
    "nb_execution_mode": "cache",
    "nb_execution_timeout": "60",
    "nb_output_stderr": "error",
    "root_doc": "a",
}

sys.path.insert(0, str(EXTENSIONS))
from course_execute import CORES, Turns  # noqa: E402


class Book:
    """A book in a folder of its own; every page notes in the file ``ran`` that its cells were run."""

    def __init__(self, folder):
        self.folder = folder
        self.source = folder / "book"
        self.source.mkdir()

    def write(self, page, *cells, prose="Some words."):
        """Write a page; a cell is its source, or its tag and its source."""
        pairs = [cell if isinstance(cell, tuple) else ("plain", cell) for cell in [f"note('{page}')", *cells]]
        first = ("plain", "def note(words, file='ran'):\n    open(file, 'a').write(words + '\\n')")
        blocks = [f"```{{code-cell}} ipython3\n:tags: [{tag}]\n\n{source}\n```\n" for tag, source in [first, *pairs]]
        title = f"# Page {page}\n\n{prose}\n\n"
        (self.source / f"{page}.md").write_text(HEADER + title + "\n".join(blocks), encoding="utf-8")

    def start(self):
        """Begin to build, in a process group of its own."""
        settings = [word for name, value in OPTIONS.items() for word in ("-D", f"{name}={value}")]
        command = [sys.executable, "-m", "sphinx", "-C", "-W", "--keep-going", "-q", *settings]
        return subprocess.Popen(
            [*command, str(self.source), str(self.folder / "html")],
            env={**os.environ, "PYTHONPATH": str(EXTENSIONS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def build(self):
        """Build to the end: what was said if it failed, else nothing."""
        process = self.start()
        words, _ = process.communicate()
        return words if process.returncode else ""

    def ran(self):
        """The pages whose cells were run since this was asked last."""
        file = self.source / "ran"
        pages = sorted(file.read_text().split()) if file.exists() else []
        file.unlink(missing_ok=True)
        return pages


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


@pytest.mark.skipif(CORES < 2, reason="pages run one after another where there is one core")
def test_pages_run_side_by_side_and_a_timed_cell_alone(book):
    os.mkfifo(book.source / "meet")
    at_work = "note('begin {0}', 'cells'); sum(range(2_000_000)); note('end {0}', 'cells')"
    cells = [("plain", at_work.format("plain")), ("timed", at_work.format("timed"))] * 8
    # Opening a pipe waits for its other end: neither page could pass here without the other.
    book.write("a", "open('meet', 'w').write('hello')", *cells)
    book.write("b", "assert open('meet').read() == 'hello'", *cells)
    assert not book.build()
    events = (book.source / "cells").read_text().splitlines()
    assert len(events) == 2 * 2 * len(cells)
    for event, following in pairwise(events):
        assert event != "begin timed" or following == "end timed"
        assert following != "begin timed" or event.startswith("end")
    assert not book.build()
    assert book.ran() == ["a", "b"], "the second build should find the results of the first"


def test_who_waits_to_be_alone_is_not_overtaken(tmp_path):
    order = []

    def take(turns, name, alone):
        turns.begin(alone=alone)
        order.append(name)
        turns.end()

    with Turns(tmp_path) as first, Turns(tmp_path) as second, Turns(tmp_path) as third:
        first.begin()
        waiting = threading.Thread(target=take, args=(second, "timed", True))
        waiting.start()
        while not held(tmp_path / "door"):
            pass
        late = threading.Thread(target=take, args=(third, "late", False))
        late.start()
        first.end()
        waiting.join()
        late.join()
    assert order == ["timed", "late"]


def held(path):
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_only_changed_cells_are_run_again(book):
    book.write("a", "1 + 1")
    book.write("b", "1 + 1")
    assert not book.build()
    assert book.ran() == ["a", "b"]
    book.write("a", "1 + 1", prose="Other words.")
    assert not book.build()
    assert book.ran() == []
    assert "Other words." in (book.folder / "html" / "a.html").read_text()
    book.write("a", "1 + 2")
    assert not book.build()
    assert book.ran() == ["a"]
    assert ">3<" in (book.folder / "html" / "a.html").read_text().replace("\n", "")


def test_a_failure_names_its_page_and_line_and_spares_the_others(book):
    book.write("a", "1 + 1")
    book.write("b", "fine = 0", "1 / fine", "note('too far')")
    words = book.build()
    line = (book.source / "b.md").read_text().split("\n").index("1 / fine") - 1
    assert f"b.md:{line}: " in words
    assert "ZeroDivisionError" in words
    assert book.ran() == ["a", "b"]
    book.write("b", "fine = 1", "1 / fine")
    assert not book.build()
    assert book.ran() == ["b"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("import sys; print('careful', file=sys.stderr)", "stderr"),
        ("import os; os._exit(1)", "Kernel died"),
    ],
)
def test_what_fails_besides_exceptions(book, cell, said):
    book.write("a", cell)
    words = book.build()
    assert said in words
    assert "a.md:" in words


def test_interrupted_it_leaves_nothing_running_and_begins_anew(book):
    os.mkfifo(book.source / "meet")
    waits = "import os, pathlib, threading\nif not pathlib.Path('free').exists():\n"
    waits += "    open('meet', 'w').write(str(os.getpid()))\n    threading.Event().wait()"
    book.write("a", waits)
    process = book.start()
    kernel = int((book.source / "meet").read_text())
    os.killpg(process.pid, signal.SIGINT)
    process.communicate()
    assert process.returncode != 0
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)
    (book.source / "free").touch()
    assert not book.build()
    assert book.ran() == ["a", "a"]
