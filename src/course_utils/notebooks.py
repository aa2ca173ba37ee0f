"""What release, self-check and grading all need of a notebook: its cells' roles, its problems, a clean kernel.

A cell's role is read from nbgrader's metadata (``grade``, ``solution``, ``locked``, ``points``) and from ours
(``course: {problem, title, defines, tests, written}``). Only the packages of a student's install are used here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

CELL_TIMEOUT = 120  # seconds for one cell: a first `import torch` from a slow disk takes up to 30


class KernelError(Exception):
    """The notebook could not be run to its end: the kernel died, did not start, or a cell took too long."""


@dataclass
class Problem:
    """One problem of an assignment: its cells' ids, and their points by grade_id.

    Attributes:
        name, title: its name in the cells' metadata, and what people read.
        solutions: the cells that the student fills in.
        visible, hidden: the automatic tests.
        written: the solution cells that a person grades; a problem that has one has no tests.
    """

    name: str
    title: str = ""
    solutions: list[str] = field(default_factory=list)
    visible: dict[str, float] = field(default_factory=dict)
    hidden: dict[str, float] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)

    def released(self) -> dict[str, Any]:
        """The problem as a released notebook carries it; ``written`` only where there is something."""
        return {key: value for key, value in vars(self).items() if value or key != "written"}


def package_version() -> str:
    """The installed version of the course, as released notebooks carry it."""
    return version("attention-course")


def nbgrader_of(cell: NotebookNode) -> dict[str, Any]:
    """Metadata that nbgrader keeps in a cell, empty for a cell that has none."""
    found = cell.metadata.get("nbgrader", {})
    return found if isinstance(found, dict) else {}


def course_of(cell: NotebookNode) -> dict[str, Any]:
    """The course's own metadata of a cell, empty for a cell that has none."""
    found = cell.metadata.get("course", {})
    return found if isinstance(found, dict) else {}


def grade_id(cell: NotebookNode) -> str:
    """The cell's grade_id, or an empty string."""
    return str(nbgrader_of(cell).get("grade_id") or "")


def is_solution(cell: NotebookNode) -> bool:
    """Whether the student writes in this cell."""
    return bool(nbgrader_of(cell).get("solution"))


def is_test(cell: NotebookNode) -> bool:
    """Whether this cell is graded by running it (a written answer is graded too, but by hand)."""
    return bool(nbgrader_of(cell).get("grade")) and not is_solution(cell)


def is_written(cell: NotebookNode) -> bool:
    """Whether this cell is an answer in words, which a person grades."""
    return is_solution(cell) and bool(course_of(cell).get("written"))


def is_locked(cell: NotebookNode) -> bool:
    """Whether the cell is the instructor's: setup and tests, not the student's."""
    return bool(nbgrader_of(cell).get("locked")) or is_test(cell)


def points_of(cell: NotebookNode) -> float:
    """The points of a graded cell."""
    return float(nbgrader_of(cell).get("points") or 0)


def graded_cells(nb: NotebookNode) -> list[str]:
    """The cells that are graded by running them, by their grade_id, in the notebook's order."""
    return [grade_id(cell) for cell in nb.cells if is_test(cell)]


def label(cell: NotebookNode, position: int) -> str:
    """How messages name a cell: by its grade_id, else by its place (from 1, as a reader counts)."""
    return f"cell '{grade_id(cell)}'" if grade_id(cell) else f"cell {position}"


def labelled(nb: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Every cell with its label, in notebook order."""
    for position, cell in enumerate(nb.cells, start=1):
        yield label(cell, position), cell


def problems(nb: NotebookNode) -> list[Problem]:
    """The problems of a notebook in their order, gathered from its cells' metadata."""
    found: dict[str, Problem] = {}
    for cell in nb.cells:
        course = course_of(cell)
        if not (grade_id(cell) and course.get("problem")):
            continue
        problem = found.setdefault(course["problem"], Problem(course["problem"]))
        if is_solution(cell):
            problem.title = course.get("title", problem.name)
            problem.solutions.append(grade_id(cell))
            if is_written(cell):
                problem.written[grade_id(cell)] = points_of(cell)
        elif is_test(cell):
            side = problem.hidden if course.get("tests") == "hidden" else problem.visible
            side[grade_id(cell)] = points_of(cell)
    return list(found.values())


def reads_notebook(nb: NotebookNode) -> bool:
    """Whether graded cells find the notebook, as ``ASSIGNMENT.ipynb``, where they run.

    The source asks for it by ``notebook: true``; an assignment with ``files`` has it too, to compare them with.
    """
    return bool(course_of(nb).get("notebook") or course_of(nb).get("files"))


def checksum(cell: NotebookNode) -> str:
    """The checksum of nbgrader/utils.py (compute_checksum), written again for installs without nbgrader."""
    meta = nbgrader_of(cell)
    parts = [cell.source, cell.cell_type]
    parts += [str(bool(meta.get(key, False))) for key in ("grade", "solution", "locked")]
    parts.append(grade_id(cell))
    if meta.get("grade"):
        parts.append(str(points_of(cell)))
    return hashlib.md5("".join(parts).encode("utf-8"), usedforsecurity=False).hexdigest()


def as_released(cell: NotebookNode) -> bool:
    """Whether the cell is as nbgrader's checksum says that it was released; so too where there is none."""
    return nbgrader_of(cell).get("checksum") in (None, checksum(cell))


class _Client(NotebookClient):
    """A client that Ctrl-C cancels, and that goes on after a cell that took too long.

    nbclient's own handler of Ctrl-C kills the kernel, then reports that it died.
    """

    interrupted = False
    stopped: NotebookNode | None = None

    async def _async_handle_timeout(self, timeout: int, cell: NotebookNode | None = None) -> dict[str, Any] | None:
        """Interrupt a cell that takes too long; one that goes on all the same ends the run."""
        self.interrupt_on_timeout = cell is not self.stopped
        self.stopped = cell
        return await super()._async_handle_timeout(timeout, cell)

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        """Start the kernel, with Ctrl-C bound to this run where there is a main thread to bind it in."""
        task = asyncio.current_task()

        def interrupt() -> None:
            self.interrupted = True
            if task is not None:
                task.cancel()

        with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows; a thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
        await super().async_start_new_kernel(**kwargs)


def run(nb: NotebookNode, folder: Path, timeout: int = CELL_TIMEOUT) -> None:
    """Run a notebook from top to bottom in a clean kernel, errors recorded as outputs and no reason to stop.

    A cell that takes too long is interrupted, which leaves a KeyboardInterrupt as its error.

    Args:
        nb: the notebook; its cells receive ``outputs`` and ``execution_count``.
        folder: the kernel's working directory.
        timeout: seconds that one cell may take.

    Raises:
        KernelError: the kernel did not start or died, or a cell went on when it was interrupted after ``timeout``.
        KeyboardInterrupt: Ctrl-C; the kernel is gone by then.
    """
    current = ["the first cell"]

    def started(cell: NotebookNode, cell_index: int) -> None:
        current[0] = label(cell, cell_index + 1)

    client = _Client(
        nb,
        kernel_name="python3",
        timeout=timeout,
        allow_errors=True,
        shutdown_kernel="immediate",
        skip_cells_with_tag="",  # a tag must not exempt a test from being run
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=started,
    )
    try:
        asyncio.run(client.async_execute())
    except CellTimeoutError as error:
        raise KernelError(
            f"{current[0]} ran for more than {timeout} s and ignored an interrupt: is there a loop that never ends?"
        ) from error
    except (DeadKernelError, RuntimeError, asyncio.CancelledError) as error:
        if client.interrupted:  # nbclient takes a cancelled wait for a dead kernel
            raise KeyboardInterrupt from None
        raise KernelError(
            f"the kernel died in {current[0]} or just before it: "
            "out of memory, a call of exit(), or a pointer out of bounds?"
        ) from error
