"""What a student gets: one zip with the notebooks, the package as a wheel and a page that says how to begin.

It holds what `course release` has made and nothing else of the repository, under names that every system can write,
and it has the same bytes whenever it is made of the same files.
"""

from __future__ import annotations

import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import NamedTuple

from course_utils import release
from course_utils._errors import CourseError
from course_utils.needs import wheel_name
from course_utils.notebooks import package_version

PACKAGE_FILES = ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT")
LICENCES = ("LICENSE", "LICENSE-TEXT")
DATE = (2026, 1, 1, 0, 0, 0)  # of every file in the zip: JupyterLab shows how old a notebook is
EPOCH = "315532800"  # 1980, the first year that a zip, as a wheel is one, can name


class BundleError(CourseError):
    """The bundle cannot be made; the message is one line."""


def bundle_name() -> str:
    """The name of the bundle, without the ending of a zip: also of the one folder in it."""
    return f"attention-course-{package_version()}"


def bundle(root: Path) -> bytes:
    """The zip for students.

    Args:
        root: the repository.

    Raises:
        BundleError: ``exercises/`` is not what the sources give, so that it is not said what students should get; or
            the wheel could not be built.
    """
    notebooks, faults = release.student_files(root)
    if faults:
        raise BundleError(f"nothing was bundled: {faults[0]}")
    files = {f"exercises/{path}": content for path, content in notebooks.items()}
    files |= {f"{name}.txt": (root / name).read_bytes() for name in LICENCES}
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(root, Path(folder))
        files[wheel.name] = wheel.read_bytes()
    files |= first_page([_row(content) for path, content in notebooks.items() if path.endswith(".ipynb")])
    return _zipped({f"{bundle_name()}/{path}": content for path, content in files.items()})


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip that depends on nothing but the files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, DATE)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # as on Unix, wherever it is made
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[path])
    return buffer.getvalue()


# --- the wheel --------------------------------------------------------------------------------------------------


def build_wheel(root: Path, folder: Path) -> Path:
    """Build the package's wheel, the same bytes from the same files.

    setuptools is called on a copy: in the repository it would leave its files, and take along what an earlier one left.

    Args:
        root: the repository.
        folder: where the wheel is put.

    Raises:
        BundleError: it could not be built.
    """
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for file in PACKAGE_FILES:
            shutil.copyfile(root / file, copy / file)
        shutil.copytree(root / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        command = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", command, str(folder)],
            cwd=copy,
            env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        said = done.stderr.strip().split("\n")[-1]
        raise BundleError(f"the package's wheel could not be built: {said}")
    return folder / wheel_name(package_version())


# --- the first page ---------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    """An assignment in the list of the first page."""

    name: str
    title: str
    minutes: str


def _row(notebook: bytes) -> _Row:
    course = json.loads(notebook)["metadata"]["course"]
    return _Row(course["assignment"], course.get("title", course["assignment"]), str(course.get("minutes", "")))


def first_page(rows: Sequence[_Row]) -> dict[str, bytes]:
    """``START-HERE.html``, and the same words as ``README.txt``, both from the text beside this module."""
    text = Template(Path(__file__).with_name("start_here.txt").read_text(encoding="utf-8"))
    version = package_version()
    filled = text.substitute(version=version, wheel=wheel_name(version), folder=bundle_name(), rows=_listed(rows))
    blocks = [block for block in filled.split("\n\n") if block.strip()]
    page = _PAGE.substitute(version=version, body="\n".join(map(_markup, blocks)))
    return {"README.txt": filled.encode(), "START-HERE.html": page.encode()}


def _listed(rows: Sequence[_Row]) -> str:
    width = max((len(row.name) for row in rows), default=0)
    return "\n".join(f"    {row.name:{width}}  {row.title}, {row.minutes} minutes" for row in rows)


def _markup(block: str) -> str:
    """A block of the text as HTML: headings are underlined, and what is typed or listed is indented."""
    lines = block.strip("\n").split("\n")
    if len(lines) == 2 and set(lines[1]) <= {"=", "-"}:
        level = "h1" if lines[1].startswith("=") else "h2"
        return f"<{level}>{html.escape(lines[0])}</{level}>"
    if all(line.startswith("    ") for line in lines):
        typed = html.escape("\n".join(line[4:] for line in lines))
        return f'<pre tabindex="0">{typed}</pre>'  # so that a keyboard can scroll it
    return "<p>" + re.sub(r"`(.+?)`", r"<code>\1</code>", html.escape(" ".join(lines))) + "</p>"


_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Start here: the attention course $version</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2433; --paper: #fcfcfa; --box: #f1f1ed; --line: #dcdfe4; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e3e6eb; --paper: #15181d; --box: #1f242c; --line: #343b46; }
  }
  body { max-width: 42rem; margin: 2rem auto; padding: 0 1rem; font: 1.0625rem/1.55 system-ui, sans-serif;
    color: var(--ink); background: var(--paper); }
  h1 { font-size: 1.6rem; line-height: 1.25; }
  h2 { font-size: 1.2rem; margin-top: 2rem; }
  code { white-space: nowrap; }
  pre { padding: .7rem .9rem; overflow-x: auto; font-size: .9rem; line-height: 1.5; background: var(--box);
    border: 1px solid var(--line); border-radius: .3rem; }
</style>
<main>
$body
</main>
</html>
""")
