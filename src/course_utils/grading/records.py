"""What travels between the parts of the grader: a submission as it was handed in, and what grading it gave.

Both are plain data and go through JSON, so that a task can be sent to another machine and its answer be kept.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Submission:
    """One student's submission, taken in but not run.

    Attributes:
        student: the student's id, in whatever letters.
        notebook: the bytes of the notebook as handed in; empty where it was refused.
        files: further files that the assignment declares, by name.
        timestamp: the text of nbgrader's ``timestamp.txt``; empty where there is none.
        notes: what the instructor should know of how it was handed in, one line each.
        refusal: why it cannot be graded, in one line; empty where it can.
    """

    student: str
    notebook: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    timestamp: str = ""
    notes: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether a graded cell ran to its end on the trusted side, and what stopped it if it did not."""

    grade_id: str
    passed: bool
    message: str = ""


@dataclass(frozen=True)
class Graded:
    """What grading one submission gave.

    Attributes:
        student, assignment: whose, and which.
        verdicts: one for each automatically graded cell, in the order of the source; empty where it was refused.
        notebook: the autograded notebook as ``.ipynb`` text: the student's cells with their outputs, the released
            form of the instructor's; no hidden test is in it.
        notes: integrity notes for the instructor, one line each.
        refusal: why it was not graded (then every score is 0, pending review); empty where it was.
        unsafe: whether it was run without a sandbox.
        seconds: how long it took, by the clock.
        cpu_seconds: CPU time of the student's processes.
        memory_bytes: the most memory that they had at once, beyond what the first look found.
        starts: how often the student's process was started.
    """

    student: str
    assignment: str
    verdicts: tuple[Verdict, ...] = ()
    notebook: str = ""
    notes: tuple[str, ...] = ()
    refusal: str = ""
    unsafe: bool = False
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    starts: int = 0

    def to_json(self) -> str:
        """The record as JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Graded:
        """The record that :meth:`to_json` wrote."""
        fields = json.loads(text)
        verdicts = tuple(Verdict(**verdict) for verdict in fields.pop("verdicts"))
        return cls(**{**fields, "verdicts": verdicts, "notes": tuple(fields["notes"])})


def submission_to_json(submission: Submission) -> str:
    """A submission as JSON text, bytes in base64."""
    files = {name: base64.b64encode(content).decode() for name, content in submission.files.items()}
    content = {**vars(submission), "files": files, "notebook": base64.b64encode(submission.notebook).decode()}
    return json.dumps(content, ensure_ascii=False)


def submission_from_json(text: str) -> Submission:
    """The submission that :func:`submission_to_json` wrote."""
    fields = json.loads(text)
    files = {name: base64.b64decode(content) for name, content in fields["files"].items()}
    notebook = base64.b64decode(fields["notebook"])
    return Submission(**{**fields, "files": files, "notebook": notebook, "notes": tuple(fields["notes"])})
