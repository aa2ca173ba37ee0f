"""The grader inside stock nbgrader: what `nbgrader autograde` runs in place of its own ``Execute``.

nbgrader's executor runs a submission, the tests in it, with the rights of whoever grades. This one grades the file as
it was handed in, as `course grade` does, and gives nbgrader the autograded notebook to save: a graded cell that failed
holds an error, one that passed holds nothing, which is what nbgrader's scores are computed from. The due dates and
extensions of ``course.toml`` are in nbgrader's tables by then.
"""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from course_utils.grading.gradebook import Book
from course_utils.grading.grader import Grader, Task
from course_utils.grading.intake import IntakeError, from_folder


class TrustedExecute(NbGraderPreprocessor):
    """Grades a submission in the sandbox."""

    repository = Unicode("", help="The folder that holds solutions/ of the course.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Replace a notebook by its autograded form.

        Raises:
            IntakeError: there are links in what was handed in, or it is not where nbgrader says.
            ReleaseError: the assignment is not in the repository.
            SandboxError: there is no sandbox to be had.
            TermError, OverlayError: ``course.toml`` or the private overlay cannot be used.
        """
        name, student = resources["nbgrader"]["assignment"], resources["nbgrader"]["student"]
        course = Path(CourseDirectory(parent=self).root)
        with Book(course, resources["nbgrader"]["db_url"]) as book:
            book.renew(name)
        task = _task(self.repository, name, book.term.overlay)
        _require_no_links(course / "submitted" / student / name)
        (submission,) = from_folder(course, name, declared=task.declared, students=[student])
        graded = _grader().grade(task, submission)
        for note in [*graded.notes, *([f"not graded: {graded.refusal}"] if graded.refusal else [])]:
            self.log.warning("%s: %s", student, note)
        return nbformat.reads(graded.notebook, as_version=4), resources


def _require_no_links(folder: Path) -> None:
    for path in (folder.parent, folder, *folder.rglob("*")):
        if path.is_symlink():
            raise IntakeError(f"{path} is a link, which nbgrader would follow: remove it, or use `course grade`")


@cache
def _grader() -> Grader:
    grader = Grader().__enter__()
    atexit.register(grader.__exit__, None, None, None)
    return grader


@cache
def _task(repository: str, name: str, overlay: Path | None) -> Task:
    return Task.of(Path(repository), name, overlay)
