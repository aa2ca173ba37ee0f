"""The private overlay: a folder outside the repository with a class's own seeds and further hidden tests.

The repository is public, its hidden tests with it. A class for credit keeps beside it, where only its teachers read::

    private/02-soft-dictionary.toml         seed = 12345
    private/02-soft-dictionary/softmax.py   further checks of the problem `softmax`

The seed takes the place of the number in every line ``SEED = …`` of a hidden test. The further checks are Python; they
run at the end of the problem's last hidden test, after its own, with all names that it has, and have no points of their
own: the points of an assignment stay as they are. Students' notebooks stay as they are too, byte for byte.
"""

from __future__ import annotations

import ast
import re
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbformat import NotebookNode

from course_utils import notebooks
from course_utils._errors import CourseError
from course_utils.form import SEED_LINE
from course_utils.notebooks import grade_id

END = "END HIDDEN TESTS"
MARKER = re.compile(r"(?:BEGIN|END) (?:HIDDEN TESTS|SOLUTION|MARK SCHEME)")  # of nbgrader's regions


class OverlayError(CourseError):
    """An overlay that cannot be used; the message is one line that names the file."""


def require(folder: Path, known: Sequence[str]) -> None:
    """Refuse an overlay that is not there, or that names assignments which are not.

    Args:
        folder: the overlay.
        known: the assignments that there are.

    Raises:
        OverlayError: a name would never be read: is it misspelt?
    """
    if not folder.is_dir():
        raise OverlayError(f"{folder}: there is no such folder, which should hold the private overlay")
    for path in sorted(folder.iterdir()):
        name = path.name if path.is_dir() else path.stem if path.suffix == ".toml" else ""
        if name and not name.startswith(".") and name not in known:
            raise OverlayError(f"{path}: there is no assignment {name!r}: is the name right?")


def apply(nb: NotebookNode, folder: Path, name: str) -> None:
    """Put the overlay of an assignment into its hidden tests; where it has none, nothing changes.

    Args:
        nb: the instructor's notebook, which is changed.
        folder: the overlay.
        name: the assignment.

    Raises:
        OverlayError: a file is not what it should be, or belongs to no problem that has hidden tests.
    """
    seed = _seed(folder / f"{name}.toml")
    last = {problem.name: list(problem.hidden)[-1] for problem in notebooks.problems(nb) if problem.hidden}
    further = {last[path.stem]: path for path in _further(folder / name, last)}
    hidden = {cell for problem in notebooks.problems(nb) for cell in problem.hidden}
    for cell in nb.cells:
        if grade_id(cell) in hidden and seed is not None:
            cell.source = SEED_LINE.sub(f"SEED = {seed}", cell.source)
        if grade_id(cell) in further:
            cell.source = _joined(cell.source, further[grade_id(cell)])


def _text(path: Path) -> str:
    """A file's text; Windows' editors begin one with a byte order mark."""
    return path.read_text(encoding="utf-8-sig")


def _seed(path: Path) -> int | None:
    try:
        content = tomllib.loads(_text(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OverlayError(f"{path}: cannot be read as TOML: {error}") from error
    if unknown := sorted(set(content) - {"seed"}):
        raise OverlayError(f"{path}: no key {unknown[0]!r}; there is seed")
    seed = content.get("seed")
    if seed is not None and (type(seed) is not int or seed < 0):
        raise OverlayError(f"{path}: seed: must be a whole number, 0 or more, not {seed!r}")
    return seed


def _further(folder: Path, problems: dict[str, str]) -> Iterator[Path]:
    """Every file of further checks, which has the name of its problem."""
    for path in sorted(folder.glob("*")):
        if path.name.startswith((".", "__pycache__")):
            continue
        if path.suffix != ".py" or path.stem not in problems:
            listed = ", ".join(f"{problem}.py" for problem in problems)
            raise OverlayError(f"{path}: belongs to no problem with hidden tests; there may be {listed}")
        yield path


def _code(path: Path) -> str:
    try:
        code = _text(path)
        ast.parse(code)
    except SyntaxError as error:
        raise _invalid(path, error, 0) from error
    except (OSError, ValueError) as error:  # not UTF-8, or with a null byte
        raise OverlayError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(code.split("\n"), start=1):
        if found := MARKER.search(line):
            raise OverlayError(f"{path}: line {number} has {found[0]}: these checks stand within hidden tests already")
    return code.rstrip("\n")


def _invalid(path: Path, error: SyntaxError, above: int) -> OverlayError:
    """A fault of Python in a file that has so many lines above it."""
    return OverlayError(f"{path}: is not valid Python: {error.msg} (line {(error.lineno or 1) - above})")


def _joined(source: str, path: Path) -> str:
    """A hidden test with further checks at its end, inside the region that no student gets."""
    lines = source.split("\n")
    end = max(place for place, line in enumerate(lines) if END in line)
    joined = "\n".join([*lines[:end], _code(path), *lines[end:]])
    try:
        with warnings.catch_warnings(action="ignore"):  # it would name a line of the joined test, which nobody has
            compile(joined, str(path), "exec")  # `return 1` can be parsed, and a __future__ import above all else
    except SyntaxError as error:
        raise _invalid(path, error, end) from error
    return joined
