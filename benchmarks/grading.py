"""How fast a class is graded: plain `nbgrader autograde` against `course grade`, and `course grade` alone.

    .venv/bin/python benchmarks/grading.py                 # 20 and 200 side by side, then 1,000 alone: about an hour
    .venv/bin/python benchmarks/grading.py --sizes 20 --alone 100

The submissions are the right named answers of an assignment that imports torch, each with a comment of its own. Both
programs grade the same folders, by turns, on an otherwise idle machine: nbgrader with its own executor, one after the
other, as it always does; `course grade` with a worker for each core. Figures are written to benchmarks/grading.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import load_answers, submission  # noqa: E402

from course_utils import release  # noqa: E402
from course_utils.grading import grader as grading  # noqa: E402
from course_utils.grading.gradebook import Book  # noqa: E402
from course_utils.grading.intake import from_folder  # noqa: E402
from course_utils.grading.warm import Warm  # noqa: E402

NAME = "02-soft-dictionary"
BIN = Path(sys.executable).parent
STOCK = """
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, Execute, LimitOutput, SaveAutoGrades
c.Autograde.autograde_preprocessors = [Execute, LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
c.Execute.timeout = 120
"""


def notebooks(made: release.Released, size: int) -> list[NotebookNode]:
    answers = [answer for answer in load_answers(NAME) if answer.kind == "right"]
    found = []
    for number in range(size):
        cells = {name: f"# {number}\n{text}" for name, text in answers[number % len(answers)].cells.items()}
        found.append(submission(made, cells))
    return found


def course_folder(folder: Path, made: release.Released, size: int) -> Path:
    """A course in which nbgrader has released the assignment and a class has handed it in."""
    folder.mkdir()
    config = f"load_subconfig({str(ROOT / 'nbgrader_config.py')!r})\n{STOCK}"
    (folder / "nbgrader_config.py").write_text(config)
    for number, nb in enumerate(notebooks(made, size)):
        path = folder / "submitted" / f"s{number:04}" / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(nb))
    return folder


class Memory(threading.Thread):
    """The most memory that a process and all below it have had, shared pages counted once."""

    def __init__(self, pid: int, every: float) -> None:
        super().__init__(daemon=True)
        self.process, self.every, self.most, self.over = psutil.Process(pid), every, 0, threading.Event()

    def now(self) -> int:
        """Bytes at this moment."""
        total = 0
        for process in [self.process, *self.process.children(recursive=True)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        return total

    def run(self) -> None:
        """Look until it is over."""
        while not self.over.wait(self.every):
            try:
                self.most = max(self.most, self.now())
            except psutil.Error:
                return


def timed(
    folder: Path, *command: object, line: Callable[[float, Memory], None] = lambda *_: None, every: float = 5
) -> dict[str, float]:
    """Run a command: seconds by the clock, seconds until its first result, most memory in MiB, looked at every 5 s."""
    began = time.monotonic()
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        memory = Memory(process.pid, every)
        memory.start()
        first = 0.0
        assert process.stdout is not None
        for text in process.stdout:
            if text.startswith("s0"):
                first = first or time.monotonic() - began
                line(time.monotonic() - began, memory)
    memory.over.set()
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed: {process.returncode}")
    return {"seconds": time.monotonic() - began, "first": first, "memory_mib": memory.most / 2**20}


def side_by_side(folder: Path, made: release.Released, size: int) -> dict[str, Any]:
    """Both programs on the same class, one after the other."""
    course = course_folder(folder, made, size)
    timed(course, BIN / "nbgrader", "generate_assignment", NAME)
    theirs = timed(course, BIN / "nbgrader", "autograde", NAME)
    shutil.rmtree(course / "autograded")
    ours = timed(course, BIN / "course", "grade", NAME, "--course", course)
    shutil.rmtree(course)
    found = {"nbgrader": theirs, "course": ours}
    return {
        "submissions": size,
        **found,
        "a_minute": {name: 60 * size / run["seconds"] for name, run in found.items()},
        "seconds_each": {name: run["seconds"] / size for name, run in found.items()},
        "ratio": theirs["seconds"] / ours["seconds"],
    }


def alone(folder: Path, made: release.Released, size: int) -> dict[str, Any]:
    """`course grade` on a large class: the time at each hundred, and the memory then."""
    course = course_folder(folder / "alone", made, size)
    marks: list[dict[str, float]] = []
    count = 0

    def line(seconds: float, memory: Memory) -> None:
        nonlocal count
        count += 1
        if count % max(1, size // 10) == 0:
            marks.append({"done": count, "seconds": seconds, "memory_mib": memory.now() / 2**20})

    run = timed(course, BIN / "course", "grade", NAME, "--course", course, line=line)
    again = timed(course, BIN / "course", "grade", NAME, "--course", course)
    after_first = (run["seconds"] - run["first"]) / (size - 1)
    cores = os.cpu_count() or 1
    return {
        **run,
        "submissions": size,
        "marks": marks,
        "seconds_a_submission_and_core": after_first * cores,
        "with_start": run["seconds"] / size * cores,
        "again_unchanged_seconds": again["seconds"],
    }


def where_time_goes(folder: Path, made: release.Released, size: int) -> dict[str, float]:
    """Milliseconds a submission, one at a time in this process, by what is done in them."""
    course = course_folder(folder / "parts", made, size)
    task = grading.Task.of(ROOT, NAME)
    spent: dict[str, float] = {}

    def clocked(owner: Any, name: str, label: str) -> Any:
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                spent[label] = spent.get(label, 0.0) + time.perf_counter() - began

        return mock.patch.object(owner, name, call)

    watched = [
        (Warm, "fork", "fork and isolate"),
        (grading._Attempts, "_follow", "forbidden names, cells, tests"),
        (Warm, "end", "end the processes"),
        (grading, "read_notebook", "read the notebook"),
        (grading, "integrity_notes", "compare with the release"),
        (grading, "autograded", "write the autograded notebook"),
        (Book, "write", "gradebook and files"),
    ]
    began = time.perf_counter()
    handed_in = from_folder(course, NAME)
    spent["take in"] = time.perf_counter() - began
    with grading.Grader() as grader, Book(course) as book:
        source = release.nbformat.reads(task.source, as_version=4)
        book.register(NAME, source)
        grader.grade(task, handed_in[0])  # the warm parents are up
        with ExitStack() as stack:
            for owner, name, label in watched:
                stack.enter_context(clocked(owner, name, label))
            began = time.perf_counter()
            for one in handed_in:
                book.write(grader.grade(task, one), task.fingerprint(one), one.timestamp)
            total = time.perf_counter() - began
    spent["everything else"] = total - sum(spent.values()) + spent["take in"]
    return {label: 1000 * seconds / size for label, seconds in spent.items()} | {"all": 1000 * total / size}


def machine() -> dict[str, Any]:
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "cores": os.cpu_count(),
        "cpu": model.partition(":")[2].strip(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "nbgrader", "distributed")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[20, 20, 200], help="classes graded by both programs")
    parser.add_argument("--alone", type=int, default=1000, help="class graded by course grade alone; 0 for none")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"), help="where figures go")
    options = parser.parse_args()
    made = release.build(ROOT, NAME)
    release.write_atomically(ROOT / "_build" / "source" / NAME / f"{NAME}.ipynb", made.instructor)
    found: dict[str, Any] = {"machine": machine(), "assignment": NAME}
    with tempfile.TemporaryDirectory() as folder:
        found["milliseconds"] = where_time_goes(Path(folder), made, 40)
        print(json.dumps(found, indent=1), flush=True)
        found["side_by_side"] = []
        for turn, size in enumerate(options.sizes):
            found["side_by_side"].append(side_by_side(Path(folder, str(turn)), made, size))
            print(json.dumps(found["side_by_side"][-1], indent=1), flush=True)
        if options.alone:
            found["alone"] = alone(Path(folder), made, options.alone)
            print(json.dumps(found["alone"], indent=1), flush=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
