"""Grading one submission: two processes, one budget, and a verdict for every graded cell whatever happens.

An *attempt* is a fresh process for the student's cells and a fresh referee for the graded ones. It goes well, or ends
in some cell: that cell's problem is lost, is told so, and the next attempt takes up what is left, leaving out what
ended the last one. All attempts together have one budget.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import signal
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode

import course_utils
from course_utils import release
from course_utils.grading import frames
from course_utils.grading.autograded import autograded, refused
from course_utils.grading.forbidden import Finding
from course_utils.grading.frames import GoneError, WireError
from course_utils.grading.integrity import integrity_notes
from course_utils.grading.isolate import Limits
from course_utils.grading.outputs import Kept
from course_utils.grading.records import Graded, Submission, Verdict
from course_utils.grading.sandbox import SandboxError, Watch, launcher
from course_utils.grading.untrusted import RefusedError, read_notebook, shown
from course_utils.grading.warm import Parent, Warm
from course_utils.notebooks import course_of, grade_id, graded_cells, is_solution, is_test, label

_POINTER = ": it read or wrote memory that is not its own; a pointer out of bounds, or a mask that is missing?"
LINGER = 0.5  # seconds for a process to end that has closed its connection, so that its exit status is known


@dataclass(frozen=True)
class Task:
    """An assignment, as the grader needs it.

    Attributes:
        name: the assignment's name.
        source, released: the instructor's and the student's notebook, as text.
        extras: files that are given out with the notebook.
        declared: names of further files that belong to a submission: the source's ``course: {files: […]}``.
        limits: what a submission may use: the source's ``course: {limits: …}``.
        handed_in: what the reference solution hands in for the files that are declared.
    """

    name: str
    source: str
    released: str
    extras: Mapping[str, bytes] = field(default_factory=dict)
    declared: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    handed_in: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path, name: str, private: Path | None = None) -> Task:
        """The task of an assignment in ``root/solutions``.

        Args:
            root: the repository.
            name: the assignment.
            private: the folder of a private overlay.

        Raises:
            ReleaseError: there is none, or it has a fault.
            OverlayError: the overlay cannot be used.
        """
        made = release.build(root, name, private)
        course = json.loads(made.instructor)["metadata"]["course"]
        declared, limits = tuple(course.get("files", ())), Limits(**course.get("limits", {}))
        source, released = made.instructor.decode(), made.student.decode()
        return cls(name, source, released, made.extras, declared, limits, made.handed_in)

    def reference(self) -> Submission:
        """The reference solution, handed in as a student would."""
        solved = {grade_id(cell): cell.source for cell in _notebook(self.source).cells if is_solution(cell)}
        notebook = nbformat.reads(self.released, as_version=4)
        for cell in filter(is_solution, notebook.cells):
            cell.source = solved[grade_id(cell)]
        return Submission("the reference", nbformat.writes(notebook).encode(), self.handed_in)

    def fingerprint(self, submission: Submission, *, unsafe: bool = False) -> str:
        """Changes whenever grading this submission might give something else."""
        parts: list[Any] = [self.name, self.source, self.released, asdict(self.limits), versions(), unsafe]
        parts += [submission.notes, submission.refusal, submission.timestamp]
        digest = hashlib.sha256(json.dumps(parts).encode())
        for name, content in [*self.extras.items(), *submission.files.items(), ("", submission.notebook)]:
            digest.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape") + content)
        return digest.hexdigest()


@cache
def versions() -> dict[str, str]:
    """What a verdict may depend on besides the assignment: Python, the libraries, the package's own code."""
    folder = Path(course_utils.__file__).parent
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py"))))
    libraries = {name: version(name) for name in ("torch", "numpy", "ipython")}
    return {"Python": platform.python_version(), **libraries, "this package's code": digest.hexdigest()[:16]}


@lru_cache(maxsize=8)
def _notebook(text: str) -> NotebookNode:
    """A notebook of the instructor's, read once for all submissions: it is not to be changed."""
    return nbformat.reads(text, as_version=4)


class Parents(NamedTuple):
    """The two warm parents."""

    students: Warm
    referees: Parent


class Grader:
    """Grades submissions: a context manager that keeps the two warm parents.

    Args:
        unsafe: run students' code without a sandbox, with the rights of this process. Never for strangers' code.

    Raises:
        SandboxError: when entered: there is no sandbox to be had.
    """

    def __init__(self, *, unsafe: bool = False) -> None:
        self.unsafe, self.lock = unsafe, threading.Lock()

    def __enter__(self) -> Grader:
        inside = [] if self.unsafe else launcher()
        with contextlib.ExitStack() as stack:
            students = stack.enter_context(Warm(inside))
            self.parents = Parents(students, stack.enter_context(students.referees()))
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def grade(self, task: Task, submission: Submission) -> Graded:
        """Grade one submission; whatever it does, there is an answer. Several threads may do so at once.

        Raises:
            SandboxError: its process, or one that a graded cell starts, could not be isolated.
            GoneError: a warm parent is gone, and so is the one that took its place.
        """
        parents = self.parents
        try:
            return self._grade(parents, task, submission)
        except GoneError:
            with self.lock:
                if self.parents is parents:  # no other thread has seen to it
                    self.stack.close()
                    self.__enter__()
                parents = self.parents
            return self._grade(parents, task, submission)

    def _grade(self, parents: Parents, task: Task, submission: Submission) -> Graded:
        started = time.monotonic()
        blank = Graded(submission.student, task.name, unsafe=self.unsafe, notes=submission.notes)
        released = _notebook(task.released)
        try:
            if submission.refusal:
                raise RefusedError(submission.refusal)
            notebook, notes = read_notebook(submission.notebook, task.name)
            attempts = _Attempts(parents, task, notebook, submission.files)
            attempts.make()
        except RefusedError as error:
            return replace(blank, refusal=str(error), notebook=refused(released, str(error)))
        verdicts = tuple(_without_forbidden(attempts))
        found = {*attempts.others, *(finding for findings in attempts.costing.values() for finding in findings)}
        notes = [*submission.notes, *notes, *integrity_notes(released, notebook), *attempts.notes]
        notes += [f"forbidden: {_words(finding)}" for finding in sorted(found)]
        return replace(
            blank,
            verdicts=verdicts,
            notebook=autograded(released, notebook, verdicts, attempts.kept.outputs),
            notes=tuple(dict.fromkeys(notes)),
            seconds=time.monotonic() - started,
            cpu_seconds=attempts.cpu_seconds,
            memory_bytes=attempts.memory_bytes,
            starts=attempts.starts,
        )


def _without_forbidden(attempts: _Attempts) -> list[Verdict]:
    """The verdicts, those of a problem that used a forbidden name lost."""
    verdicts = []
    for cell in filter(is_test, attempts.source.cells):
        verdict, findings = attempts.verdicts[grade_id(cell)], attempts.costing.get(course_of(cell)["problem"])
        verdicts.append(Verdict(verdict.grade_id, False, _words(findings[0])) if findings else verdict)
    return verdicts


def _words(finding: Finding) -> str:
    return f"{finding.name} is not allowed here (line {finding.line} of {finding.cell})"


class _Attempts:
    """The attempts at one submission, and what is known so far."""

    def __init__(self, parents: Parents, task: Task, notebook: NotebookNode, files: Mapping[str, bytes]) -> None:
        self.parents, self.task, self.notebook = parents, task, notebook
        self.files = {**task.extras, **files}
        self.source, self.key = _notebook(task.source), parents.referees.prepare(task.source)
        self.solutions = {grade_id(c): course_of(c).get("problem", "") for c in self.source.cells if is_solution(c)}
        self.searched = False
        self.costing: dict[str, list[Finding]] = {}
        self.others: list[Finding] = []
        self.verdicts: dict[str, Verdict] = {}
        self.kept = Kept()
        self.skip: list[int] = []
        self.notes: list[str] = []
        self.cpu_seconds, self.memory_bytes, self.starts = 0.0, 0, 0
        self.began = time.monotonic()
        self.cell: list[Any] = []  # kind and place of the cell that runs

    def make(self) -> None:
        """Attempt until every graded cell has a verdict, or the budget is spent."""
        while (limits := self._left()) and not self._attempt(limits):
            continue
        for name in graded_cells(self.source):
            words = "not graded: the submission had used up its budget of time or starts before"
            self.verdicts.setdefault(name, Verdict(name, False, words))

    def _left(self) -> Limits | None:
        """What is left of the budget."""
        limits = self.task.limits
        cpu, wall = limits.cpu_seconds - self.cpu_seconds, limits.wall_seconds - (time.monotonic() - self.began)
        if cpu < 1 or wall < 1 or self.starts >= limits.starts:
            return None
        return replace(limits, cpu_seconds=int(cpu), wall_seconds=int(wall))

    def _attempt(self, limits: Limits) -> bool:
        """One attempt; whether it came to the end."""
        self.starts, self.cell = self.starts + 1, []
        students, referees = self.parents
        student, number = students.fork(limits)
        end: dict[str, Any] = {}
        try:
            with student:
                referee, judge = referees.fork(limits)
                try:
                    with referee:
                        end = self._follow(referee, student, (students.watches[number], referees.watches[judge]))
                finally:
                    referee_status, referee_watch = referees.end(judge)
        finally:
            status, watch = students.end(number, LINGER if end == {"lost": ""} else 0)
        self.cpu_seconds += watch.cpu_seconds
        self.memory_bytes = max(self.memory_bytes, watch.memory_bytes)
        if "done" in end:
            return True
        checking = referee_watch.reason or _ending(referee_status)
        self._charge(watch.reason or end.get("lost") or (_ending(status) if end else f"{checking}, in checking it"))
        return False

    def _follow(
        self, connection: socket.socket, student: socket.socket, watches: tuple[Watch, Watch]
    ) -> dict[str, Any]:
        """Hand the referee its job, and take what it tells until it is done or lost; empty where it ended itself."""
        job = {"source": self.key, "submission": self.notebook, "search": not self.searched}
        job |= {"skip": self.skip, "judged": list(self.verdicts), "files": list(self.files)}
        try:
            socket.send_fds(connection, [b"s"], [student.fileno()])
            student.close()
            frames.send(connection, job, list(self.files.values()))
            while True:
                event, _ = frames.receive(connection, frames.TRUSTED)
                if "done" in event or "lost" in event:
                    return event
                if "unfit" in event:
                    raise SandboxError(event["unfit"])
                self._note(event, watches)
        except (GoneError, WireError):
            return {}

    def _note(self, event: dict[str, Any], watches: tuple[Watch, Watch]) -> None:
        if "begin" in event:
            self.cell = event["begin"]
            for watch in watches:
                watch.begin()
        elif "forbidden" in event:
            costing, others = event["forbidden"]
            self.costing = {problem: [Finding(**each) for each in found] for problem, found in costing.items()}
            self.others, self.searched = [Finding(**each) for each in others], True
        elif "ran" in event:
            self.kept.keep(event["ran"], [nbformat.from_dict(output) for output in event["outputs"]])
        else:
            verdict = Verdict(**event["verdict"])
            self.verdicts[verdict.grade_id] = verdict

    def _charge(self, reason: str) -> None:
        """Take away the problem in whose cell an attempt ended."""
        kind, place = self.cell or ("setup", 0)
        if kind == "student":
            cell = self.notebook.cells[place]
            self.skip.append(place)
            self.kept.keep(place, [_stopped(reason)])
            self.notes.append(
                f"{shown(label(cell, place + 1))} ended the student's process and was left out then: {reason}"
            )
            self._lose(self.solutions.get(grade_id(cell)), reason)
        elif kind == "test":
            cell = self.source.cells[place]
            self.notes.append(f"{label(cell, place + 1)} ended the student's process: {reason}")
            self._lose(course_of(cell)["problem"], reason)
        elif kind == "search":
            raise RefusedError(f"its code could not be searched for forbidden names ({reason})")
        else:
            raise RefusedError(f"the assignment's files and setup failed ({reason}): are the limits too tight?")

    def _lose(self, problem: str | None, reason: str) -> None:
        """Every graded cell of a problem that has no verdict yet is lost."""
        for cell in filter(is_test, self.source.cells):
            if course_of(cell)["problem"] == problem:
                words = f"this problem is lost: the process of your code ended here ({reason})"
                self.verdicts.setdefault(grade_id(cell), Verdict(grade_id(cell), False, words))


def _stopped(reason: str) -> NotebookNode:
    return nbformat.v4.new_output("error", ename="process ended", evalue=reason, traceback=[reason])


def _ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"it exited with status {status}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-status).name
        return f"it was ended by {name}{_POINTER if -status in (signal.SIGSEGV, signal.SIGBUS) else ''}"
    return f"it was ended by signal {-status}"
