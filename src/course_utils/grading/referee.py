"""The process in which the instructor's graded cells run, a fork of a warm parent of its own.

The code is trusted, but what it computes with comes from a student: so it has limits too, and what is wrong with one
submission ends here. It is given a job and the student's socket, and tells as it goes; :mod:`grader` decides.

Its job is one frame: the notebooks ``source`` and ``submission``, ``skip`` (places of student's cells that are not
run), ``judged`` (graded cells whose verdict stands), ``search`` (whether forbidden names are looked for: reading a
student's code can be made costly too) and ``files``, the names of what lies beside the notebook on both sides, their
content as blobs. What it tells, one frame each: ``{"begin": [kind, place]}`` before the search and before each cell,
``{"forbidden": […]}``, ``{"ran": place, "outputs": […]}``,
``{"verdict": …}``, at last ``{"done": true}``, or ``{"lost": "…"}`` where the student's process is.
"""

from __future__ import annotations

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
from course_utils.grading.split import Ran, Step, Student


def warm_up() -> None:
    """Make, before any fork, what every fork would make for itself."""
    nbformat.reads(nbformat.writes(nbformat.v4.new_notebook()), as_version=4)


def main(descriptor: int) -> None:
    """Do one job on a socket."""
    connection = socket.socket(fileno=descriptor)
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    job, blobs = frames.receive(connection, TRUSTED)
    student = Student(socket.socket(fileno=descriptors[0]), wait=None)
    try:
        if job["search"]:
            frames.send(connection, {"begin": ["search", 0]})
            costing, others = forbidden_by_problem(*_notebooks(job))
            found = {problem: list(map(asdict, findings)) for problem, findings in costing.items()}
            frames.send(connection, {"forbidden": [found, list(map(asdict, others))]})
        _lay_out(student, dict(zip(job["files"], blobs, strict=True)))
        for step, event in split.run(*_steps(job), student):
            frames.send(connection, _told(step, event))
        frames.send(connection, {"done": True})
    except (GoneError, WireError) as error:
        frames.send(connection, {"lost": str(error) if isinstance(error, WireError) else ""})


def _lay_out(student: Student, files: Mapping[str, bytes]) -> None:
    student.put(files)
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


def _notebooks(job: dict[str, Any]) -> list[NotebookNode]:
    return [nbformat.from_dict(job[name]) for name in ("source", "submission")]


def _steps(job: dict[str, Any]) -> tuple[NotebookNode, list[Step]]:
    source, submission = _notebooks(job)
    steps = split.plan(source, submission)
    left = [step for step in steps if not (step.kind == "student" and step.place in job["skip"])]
    return source, [step for step in left if not (step.kind == "test" and split.grade_id(step.cell) in job["judged"])]


def _told(step: Step, event: Any) -> dict[str, Any]:
    if event is None:
        return {"begin": [step.kind, step.place]}
    return {"ran": event.place, "outputs": event.outputs} if isinstance(event, Ran) else {"verdict": asdict(event)}
