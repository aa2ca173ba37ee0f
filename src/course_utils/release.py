"""From an assignment's text source to the student's notebook, through nbgrader's own ``GenerateAssignment``.

The source ``solutions/NAME/NAME.md`` (MyST, read by jupytext) is the one thing written by hand. `release` makes of it

- ``exercises/NAME/NAME.ipynb``, what a student opens: stubs for solutions, hidden tests cut out;
- ``_build/source/NAME/NAME.ipynb``, the instructor's version, where this repository's ``nbgrader_config.py`` lets
  the stock nbgrader commands look for it.

Both come out the same, byte for byte, on every run: cell ids are the grade_id or the cell's place, and nothing else
in them depends on time or chance. A source with a fault is refused in one line that names the cell.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import nbformat
from nbformat import NotebookNode

from course_utils import form, needs, notebooks, overlay
from course_utils._errors import CourseError
from course_utils.notebooks import grade_id, is_solution, is_test, labelled, points_of

INSTALL = "pip install -e '.[grade]'"
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
# SaveCells opens the gradebook, even with no_database; InstantiateTests writes tests, ours are written.
LEFT_OUT = {"SaveCells", "InstantiateTests"}


class ReleaseError(CourseError):
    """An assignment that cannot be released; the message is one line that names the cell and says what to do."""


@dataclass(frozen=True)
class Released:
    """The two versions of an assignment and the files beside its source.

    Attributes:
        extras: what students are given with the notebook.
        handed_in: what the reference hands in with its notebook: the files that the source declares.
    """

    name: str
    problems: list[notebooks.Problem]
    student: bytes
    instructor: bytes
    extras: dict[str, bytes]
    handed_in: dict[str, bytes]


def assignments(root: Path) -> list[str]:
    """The names of the assignments that have a source in ``root/solutions``, sorted."""
    return sorted(path.stem for path in (root / "solutions").glob("*/*.md") if path.stem == path.parent.name)


def release(root: Path, name: str, private: Path | None = None) -> Released:
    """Check an assignment by running it, then write both its versions.

    Nothing is written before everything has been checked, and each file appears whole or not at all.

    Args:
        root: the repository.
        name: the assignment.
        private: the folder of a private overlay.

    Raises:
        ReleaseError: the source has a fault, the reference loses a point, or the stub earns one.
        OverlayError: the overlay cannot be used.
    """
    made = build(root, name, private)
    check_answers(made)
    for relative, content in _files(made, made.student).items():
        write_atomically(root / "exercises" / relative, content)
    write_instructor_version(root, made)
    return made


def write_instructor_version(root: Path, made: Released) -> None:
    """Write ``_build/source/NAME/``, where nbgrader looks for its sources."""
    for relative, content in _files(made, made.instructor).items():
        write_atomically(root / "_build" / "source" / relative, content)


def build(root: Path, name: str, private: Path | None = None) -> Released:
    """Both versions of an assignment in memory, its form checked, nothing executed.

    Args:
        root: the repository.
        name: the assignment.
        private: the folder of a private overlay, whose seed and tests are put into the instructor's version.

    Raises:
        ReleaseError: there is no such source, it cannot be read, a cell breaks the contract of an assignment, or the
            overlay would show in the student's version.
        OverlayError: the overlay cannot be used.
    """
    nb = read_source(root, name)
    for fault in form.faults(nb):
        raise ReleaseError(f"{name}: {fault}")
    _add_needs(nb)
    problems = notebooks.problems(nb)
    nb.metadata["course"]["problems"] = [problem.released() for problem in problems]
    beside = _beside(root / "solutions" / name, name)
    declared = nb.metadata["course"].get("files", [])
    for missing in sorted(set(declared) - set(beside)):
        raise ReleaseError(f"{name}: solutions/{name}/{missing} is missing: the source declares it under `files`")
    extras = {path: content for path, content in beside.items() if path not in declared}
    instructor = _written(nb)
    student = _generate(name, instructor, extras)
    if private is not None:
        overlay.require(private, assignments(root))
        overlay.apply(nb, private, name)
        instructor = _written(nb)
        if _generate(name, instructor, extras) != student:
            raise ReleaseError(
                f"{name}: the overlay {private} would show in the students' notebook: release without it"
            )
    return Released(name, problems, student, instructor, extras, {path: beside[path] for path in declared})


def _written(nb: NotebookNode) -> bytes:
    return (nbformat.writes(nb) + "\n").encode()


def student_files(root: Path) -> tuple[dict[str, bytes], list[str]]:
    """What the sources give now for students, and how ``exercises/`` differs from it; no cell is run.

    Returns:
        The files, by their paths below ``exercises/``; and one line for each file that differs, is missing, or has no
        source any more.
    """
    faults = []
    expected: dict[str, bytes] = {}
    for name in assignments(root):
        try:
            made = build(root, name)
        except ReleaseError as error:
            faults.append(str(error))
        else:
            expected |= _files(made, made.student)
    return expected, faults + _differences(root, expected)


def up_to_date(root: Path) -> list[str]:
    """Compare ``exercises/`` with what the sources give now, without running any cell.

    Returns:
        One line for each file that differs, is missing, or has no source any more; empty when all is well.
    """
    return student_files(root)[1]


def _differences(root: Path, expected: dict[str, bytes]) -> list[str]:
    faults = []
    for name, content in expected.items():
        path = root / "exercises" / name
        if not path.is_file():
            faults.append(f"exercises/{name} is missing: run `course release {Path(name).parts[0]}`")
        elif path.read_bytes() != content:
            again = f"never edit it, run `course release {Path(name).parts[0]}`"
            faults.append(f"exercises/{name} is not what its source gives: {again}")
    for path in sorted((root / "exercises").rglob("*.ipynb")):
        shown = path.relative_to(root / "exercises").as_posix()
        known = shown in expected or (root / "solutions" / path.stem / f"{path.stem}.md").is_file()
        if ".ipynb_checkpoints" not in path.parts and not known:
            faults.append(f"exercises/{shown} has no source in solutions/: delete it")
    return faults


# --- reading ----------------------------------------------------------------------------------------------------


def read_source(root: Path, name: str) -> NotebookNode:
    """The source as a notebook, with its cell ids and the course's metadata set.

    Raises:
        ReleaseError: there is no such file, or jupytext cannot read it.
    """
    jupytext = _grade_extra("jupytext")
    path = root / "solutions" / name / f"{name}.md"
    try:
        text = path.read_text(encoding="utf-8")
        nb = jupytext.reads(text, fmt="md:myst")
    except FileNotFoundError:
        raise ReleaseError(f"{name}: there is no solutions/{name}/{name}.md") from None
    except Exception as error:  # jupytext and its YAML reader raise many types
        raise ReleaseError(f"{name}: solutions/{name}/{name}.md cannot be read: {_line(error)}") from error
    course = {
        **nb.metadata.get("course", {}),
        "assignment": name,
        "version": notebooks.package_version(),
        "source_hash": hashlib.sha256(text.encode()).hexdigest(),
    }
    nb.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "course": course})
    nb.nbformat, nb.nbformat_minor = 4, 5
    for position, cell in enumerate(nb.cells, start=1):
        cell["id"] = _cell_id(cell, position)
    return nb


def _add_needs(nb: NotebookNode) -> None:
    """Put the cell that checks the installation before the first cell of code; the others keep their ids."""
    role = {"grade": False, "grade_id": needs.GRADE_ID, "locked": True, "solution": False, "task": False}
    marks = {"nbgrader": {**role, "schema_version": 3}, "course": {"setup": True}}
    cell = nbformat.v4.new_code_cell(needs.cell(notebooks.package_version()), id=needs.GRADE_ID, metadata=marks)
    first = next((place for place, other in enumerate(nb.cells) if other.cell_type == "code"), len(nb.cells))
    nb.cells.insert(first, cell)


def _cell_id(cell: NotebookNode, position: int) -> str:
    """The grade_id where it is a legal cell id, else the cell's place."""
    legal = re.fullmatch(r"[A-Za-z0-9_-]{1,64}", grade_id(cell))
    return grade_id(cell) if legal else f"cell-{position:03}"


def _beside(folder: Path, name: str) -> dict[str, bytes]:
    """The files beside a source: all but the source, notebooks and hidden files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith((".", "__pycache__")) for part in relative.parts)
        if path.is_file() and not hidden and path.suffix != ".ipynb" and relative != Path(f"{name}.md"):
            found[relative.as_posix()] = path.read_bytes()
    return found


def _grade_extra(module: str) -> ModuleType:
    """A package of the ``grade`` extra, or one line that says how to install it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or module).split(".")[0]
        raise ReleaseError(f"releasing needs {missing}, which is not installed: {INSTALL}") from error


def _line(error: BaseException) -> str:
    """An exception as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


# --- the two versions -------------------------------------------------------------------------------------------


def _generate(name: str, instructor: bytes, extras: dict[str, bytes]) -> bytes:
    """The student's notebook: nbgrader's own release step, in a course folder that lives for this call."""
    _grade_extra("nbgrader.apps")  # in this order: nbgrader's packages import each other in a circle
    converters = _grade_extra("nbgrader.converters")
    coursedir = _grade_extra("nbgrader.coursedir")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source", name)
        for relative, content in {**extras, f"{name}.ipynb": instructor}.items():
            write_atomically(source / relative, content)
        where = coursedir.CourseDirectory(root=folder, assignment_id=name)
        converter = converters.GenerateAssignment(coursedir=where, no_database=True)
        converter.preprocessors = [step for step in converter.preprocessors if step.__name__ not in LEFT_OUT]
        try:
            converter.start()
        except converters.base.NbGraderException as error:
            raise ReleaseError(f"{name}: nbgrader refused the source: {_line(error)}") from error
        return Path(folder, "release", name, f"{name}.ipynb").read_bytes().rstrip(b"\n") + b"\n"


def check_answers(made: Released) -> None:
    """Run the reference and the stub, each in a clean kernel: all points to the one, none to the other.

    Raises:
        ReleaseError: a cell of the reference stops or loses points, a graded cell does not run apart from the
            student's process, a test gives points to the stub, or the kernel died.
    """
    reference = nbformat.reads(made.instructor.decode(), as_version=4)
    stubs = {cell.id: cell.source for cell in nbformat.reads(made.student.decode(), as_version=4).cells}
    with _working_folder(made) as folder:
        _run(made.name, "reference solution", reference, folder)
        for where, cell in labelled(reference):
            fault = _loss(cell)
            if fault:
                raise ReleaseError(f"{made.name}: {where}: the reference solution {fault}")
        _check_split(made.name, reference, folder)
        stub = nbformat.reads(made.instructor.decode(), as_version=4)
        for cell in filter(is_solution, stub.cells):
            cell.source = stubs[cell.id]
        write_atomically(folder / f"{made.name}.ipynb", nbformat.writes(stub).encode())
        _run(made.name, "stub", stub, folder)
    for where, cell in labelled(stub):
        if is_test(cell) and _score(cell) > 0:
            raise ReleaseError(f"{made.name}: {where} gives {_score(cell):g} points to the stub: it tests nothing")


@contextlib.contextmanager
def _working_folder(made: Released) -> Iterator[Path]:
    """A folder as the reference's author has it: the notebook and all files that belong to it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for relative, content in {**made.extras, **made.handed_in, f"{made.name}.ipynb": made.instructor}.items():
            write_atomically(folder / relative, content)
        yield folder


def _check_split(name: str, reference: NotebookNode, folder: Path) -> None:
    """Refuse a graded cell that works only beside the student's code: the grader keeps the two apart."""
    from course_utils.grading.split import Student, judge
    from course_utils.grading.warm import Warm

    with contextlib.chdir(folder), Warm() as warm:
        connection, _ = warm.fork()
        with connection:
            verdicts = judge(reference, reference, Student(connection))
    for verdict in verdicts:
        if not verdict.passed:
            raise ReleaseError(
                f"{name}: cell '{verdict.grade_id}' does not run apart from the student's process: {verdict.message}"
            )


def _run(name: str, what: str, nb: NotebookNode, folder: Path) -> None:
    try:
        notebooks.run(nb, folder)
    except notebooks.KernelError as error:
        raise ReleaseError(f"{name}: the {what} does not run: {error}") from error


def _score(cell: NotebookNode) -> float:
    """What stock nbgrader gives for a cell that was run: it counts stderr and printed values too."""
    return float(_grade_extra("nbgrader.utils").determine_grade(cell)[0])


def _loss(cell: NotebookNode) -> str | None:
    """How the reference loses by this cell, if it does."""
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            return f"stops with {' '.join(f'{output.ename}: {output.evalue}'.split())}"
    if is_test(cell) and _score(cell) < points_of(cell):
        return f"gets {_score(cell):g} of {points_of(cell):g} points: does the cell print, or warn on stderr?"
    return None


# --- writing ----------------------------------------------------------------------------------------------------


def _files(made: Released, notebook: bytes) -> dict[str, bytes]:
    """What one version of an assignment consists of: path below exercises/ or _build/source/ -> content."""
    return {f"{made.name}/{path}": data for path, data in {**made.extras, f"{made.name}.ipynb": notebook}.items()}


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all, also when interrupted; parents are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
