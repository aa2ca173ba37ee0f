"""What every notebook's first code cell asks for: the course's package in its version, and what that depends on.

`release` puts the cell in (:func:`cell`), the same in every notebook but for the version. It says nothing if all is
well, and stops with one line that says what to install if not. This module imports what Python itself has, and what
its check needs when it runs: an environment that lacks something must not keep it from saying so.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cache
from importlib import metadata

from course_utils._errors import CourseError

DISTRIBUTION = "attention-course"
GRADE_ID = "needs"  # of the cell
# The package may be absent, so the cell brings its error itself.
_CELL = """\
# Is all that this notebook needs installed? If so, this cell says nothing.
try:
    from course_utils.needs import require
except ImportError:
    words = "This notebook needs the course's package, version {version}, which this Python "
    words += "has not. In a new cell: %pip install {wheel} "
    words += "(or where that file lies); then restart the kernel."
    shown_alone = {{"_render_traceback_": lambda error: [str(error)]}}
    raise type("NotInstalled", (Exception,), shown_alone)(words) from None
require("{version}")
"""


class NotInstalledError(CourseError):
    """Something that the course needs is not there, or does not fit; the message is one line."""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows in the place of a traceback."""
        return [str(self)]


def wheel_name(version: str) -> str:
    """The file name of the package's wheel."""
    return f"attention_course-{version}-py3-none-any.whl"


def cell(version: str) -> str:
    """The source of the cell that checks the installation.

    Args:
        version: the course's, as the notebook is released.
    """
    return _CELL.format(version=version, wheel=_from_notebook(version)).rstrip("\n")


def _from_notebook(version: str) -> str:
    """Where the wheel lies in the course's bundle, seen from a notebook."""
    return f"../../{wheel_name(version)}"


def require(version: str) -> None:
    """Be silent if the environment has what a notebook needs.

    Args:
        version: the course's version that the notebook was released with.

    Raises:
        NotInstalledError: the installed version is another one, or Python or a dependency is missing or does not fit
            what the package's own metadata ask for.
    """
    if found := fault(version):
        raise NotInstalledError(found)


@cache
def fault(version: str) -> str:
    """What keeps a notebook of this version from running here, in one line; empty if nothing. Read once a process."""
    try:
        installed = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:  # a bare folder of its files
        installed = "unknown"
    if installed == version:
        return _python_fault() or _dependency_fault()
    return (
        f"This notebook is of version {version} of the course, and installed is {installed}. In a new cell: "
        f"%pip install {_from_notebook(version)} (or where that file lies); then restart the kernel."
    )


def _python_fault() -> str:
    from packaging.specifiers import SpecifierSet

    wanted = SpecifierSet(metadata.metadata(DISTRIBUTION)["Requires-Python"] or "")
    if wanted.contains(platform.python_version(), prereleases=True):
        return ""
    return (
        f"The course needs Python {wanted}, and this is {platform.python_version()}: install one that fits, make an "
        "environment with it and install the course's package there."
    )


def _dependency_fault() -> str:
    """What is missing or too old, with the line that mends it."""
    lacking = dict(_lacking())
    if not lacking:
        return ""
    found = ", ".join(f"{wanted} ({here})" for wanted, here in lacking.items())
    install = " ".join(f'"{wanted}"' for wanted in lacking)
    return f"The course needs {found}. In a new cell: %pip install {install}; then restart the kernel."


def _lacking() -> Iterator[tuple[str, str]]:
    """Each dependency that does not fit, and what is there in its place."""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, metadata.requires(DISTRIBUTION) or []):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield wanted, "is missing"
        else:
            if not requirement.specifier.contains(version, prereleases=True):
                yield wanted, f"here is {version}"
