"""The process in which the instructor's graded cells run, a fork of a warm parent of its own.

The code is trusted, but what it computes with comes from a student: so it has limits too, and what is wrong with one
submission ends here. It is given a job and the student's socket, and tells as it goes; :mod:`grader` decides.

Its job is one frame: ``source`` (what the assignment was prepared as), the notebook ``submission``, ``skip`` (places
of student's cells that are not run), ``judged`` (graded cells whose verdict stands), ``search`` (whether forbidden
names are looked for: reading a student's code can be made costly too) and ``files``, the names of what lies beside the
notebook on both sides, their content as blobs. Where the assignment has graded cells read it, the notebook lies here
as well.
What it tells, one frame each: ``{"begin": [kind, place]}`` before the search and before each cell,
``{"forbidden": […]}``, ``{"ran": place, "outputs": […]}``, ``{"verdict": …}``, at last ``{"done": true}``, or
``{"lost": "…"}`` where the student's process is, or ``{"unfit": "…"}`` where this machine cannot judge at all.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_utils.grading import frames, split
from course_utils.grading.forbidden import forbidden_by_problem
from course_utils.grading.frames import TRUSTED, GoneError, WireError
from course_utils.grading.sandbox import SandboxError
from course_utils.grading.split import Ran, Step, Student
from course_utils.notebooks import grade_id, is_locked, reads_notebook

_sources: dict[str, NotebookNode] = {}


def prepare(key: str, text: str) -> None:
    """Read an assignment before any fork, so that a job only names it.

    Args:
        key: the name that jobs use.
        text: the instructor's notebook.
    """
    source = _sources[key] = nbformat.reads(text, as_version=4)
    for cell in source.cells:
        if cell.cell_type == "code" and is_locked(cell):
            split.compiled(cell.source)
    forbidden_by_problem(source, source)  # what is read of the instructor's cells is kept


def main(descriptor: int) -> None:
    """Do one job on a socket; if the grader was ended meanwhile, there is nobody to tell."""
    with contextlib.suppress(GoneError):
        _do(descriptor)


def _do(descriptor: int) -> None:
    connection = socket.socket(fileno=descriptor)
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    job, blobs = frames.receive(connection, TRUSTED)
    student = Student(socket.socket(fileno=descriptors[0]), wait=None)
    try:
        source, submission = _sources[job["source"]], nbformat.from_dict(job["submission"])
        if job["search"]:
            frames.send(connection, {"begin": ["search", 0]})
            costing, others = forbidden_by_problem(source, submission)
            found = {problem: list(map(asdict, findings)) for problem, findings in costing.items()}
            frames.send(connection, {"forbidden": [found, list(map(asdict, others))]})
        frames.send(connection, {"begin": ["files", 0]})
        _lay_out(student, dict(zip(job["files"], blobs, strict=True)))
        if reads_notebook(source):
            path = Path(f"{source.metadata['course']['assignment']}.ipynb")
            path.write_text(nbformat.writes(submission), "utf-8", "replace")
        steps = [step for step in split.plan(source, submission) if not _is_over(step, job)]
        for step, event in split.run(source, steps, student):
            frames.send(connection, _told(step, event))
        frames.send(connection, {"done": True})
    except (GoneError, WireError) as error:
        frames.send(connection, {"lost": str(error) if isinstance(error, WireError) else ""})
    except SandboxError as error:
        frames.send(connection, {"unfit": str(error)})


def _lay_out(student: Student, files: Mapping[str, bytes]) -> None:
    student.put(files)
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


def _is_over(step: Step, job: dict[str, Any]) -> bool:
    """Whether a step was settled by an earlier attempt."""
    if step.kind == "test":
        return grade_id(step.cell) in job["judged"]
    return step.kind == "student" and step.place in job["skip"]


def _told(step: Step, event: Any) -> dict[str, Any]:
    if event is None:
        return {"begin": [step.kind, step.place]}
    return {"ran": event.place, "outputs": event.outputs} if isinstance(event, Ran) else {"verdict": asdict(event)}
