"""A disk that is really full, a small one in memory: each time one line, nothing lost, and with room it goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from support import small_repository

from course_utils import release

SIZE = 1_500_000  # bytes of the disk

FULL = """
import json, os, sys
from pathlib import Path
import nbformat
from nbformat.v4 import new_notebook
from course_utils._errors import CourseError
from course_utils.grading.backup import backup
from course_utils.grading.gradebook import Book
from course_utils.grading.records import Graded, Verdict
from course_utils.grading.restore import restore

disk, large, source = map(Path, sys.argv[1:])
POINTS = ("mean-visible", "mean-hidden", "spread-visible", "spread-hidden")
said = {}

def attempt(name, call, *words):
    try:
        call(*words)
    except CourseError as error:
        said[name] = str(error)

def graded(number):
    notebook = nbformat.writes(new_notebook(metadata={"padding": os.urandom(20_000).hex()}))
    verdicts = tuple(Verdict(name, True) for name in POINTS)
    return Graded(f"s{number:03}", "01-sums", verdicts=verdicts, notebook=notebook)

def write(book, numbers):
    for number in numbers:
        book.write(graded(number), "f")
        said[str(book.course)] = number + 1

def register(course):
    book = Book(course).__enter__()
    book.register("01-sums", nbformat.read(source, 4))
    return book

(disk / "course").mkdir()
filler = disk / "filler"
filler.write_bytes(bytes(300_000))
book = register(disk / "course")
attempt("grade", write, book, range(1000))
said["kept"] = len(book.done("01-sums")), len(book.scores("01-sums"))
filler.unlink()
said["written"] = said[str(book.course)]
write(book, range(said["written"], said["written"] + 2))
said["later"] = len(book.done("01-sums"))

write(register(large), range(60))
attempt("backup", backup, large, disk / "large.zip")
backup(large, large.parent / "large.zip")
(disk / "new").mkdir()
attempt("restore", restore, large.parent / "large.zip", disk / "new")
said["left"] = sorted(path.name for path in disk.rglob("*") if "large" in path.name or "restoring" in path.name)
print(json.dumps(said))
"""


def test_a_full_disk_is_one_line_and_nothing_is_lost(tmp_path: Path) -> None:
    for name in ("disk", "large"):
        (tmp_path / name).mkdir()
    source = tmp_path / "source.ipynb"
    source.write_bytes(release.build(small_repository(tmp_path / "repository"), "01-sums").instructor)
    bubblewrap = shutil.which("bwrap")
    assert bubblewrap, "no small disk for this test: install the package bubblewrap"
    small = (bubblewrap, "--dev-bind", "/", "/", "--size", str(SIZE), "--tmpfs", tmp_path / "disk")
    command = [*small, sys.executable, "-W", "error", "-c", FULL, tmp_path / "disk", tmp_path / "large", source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert "disk is full: make room" in said["grade"] or "No space left on device; nothing of this" in said["grade"]
    assert said["written"] > 3
    assert said["kept"] == [said["written"]] * 2
    assert said["later"] == said["written"] + 2
    assert said["backup"].endswith("large.zip: No space left on device; nothing was changed")
    assert "more than the disk has left: make room" in said["restore"]
    assert said["left"] == []
    assert all("\n" not in said[name] for name in ("grade", "backup", "restore"))
