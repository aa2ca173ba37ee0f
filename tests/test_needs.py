"""The first code cell of every notebook: silent if all is installed, else one line that says what to do."""

from __future__ import annotations

import ast
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from support import ROOT

from course_utils import needs, notebooks
from course_utils.notebooks import grade_id, is_locked

VERSION = notebooks.package_version()
REQUIRED = metadata.requires(needs.DISTRIBUTION)
ASSIGNMENTS = sorted(path.parent.name for path in (ROOT / "exercises").glob("*/*.ipynb"))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed; a test changes it, and nothing that was read before is kept."""
    installed = {name: metadata.version(name) for name in ("numpy", "torch", "typer", needs.DISTRIBUTION)}
    asked = ["numpy>=1.26", "torch<3,>=2.6", 'typer>=0.12; python_version >= "3"', 'nbgrader; extra == "grade"']

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(needs.metadata, "version", version)
    monkeypatch.setattr(needs.metadata, "requires", lambda _: asked)
    needs.fault.cache_clear()
    yield installed
    needs.fault.cache_clear()


def said() -> str:
    with pytest.raises(needs.NotInstalledError) as error:
        needs.require(VERSION)
    assert "\n" not in str(error.value)
    assert error.value._render_traceback_() == [str(error.value)]
    return str(error.value)


def test_where_all_is_installed_nothing_is_said(environment: dict[str, str]) -> None:
    environment["numpy"], environment["torch"] = "1.26", "2.13.0+cpu"
    needs.require(VERSION)


@pytest.mark.parametrize(("torch", "found"), [("2.5.1", "here is 2.5.1"), ("3.0", "here is 3.0"), ("", "is missing")])
def test_a_dependency_that_does_not_fit_is_named_with_the_line_that_mends_it(
    environment: dict[str, str], torch: str, found: str
) -> None:
    environment["torch"] = torch
    if not torch:
        del environment["torch"]
    environment["numpy"] = "1.25.9"
    assert said() == (
        f"The course needs numpy>=1.26 (here is 1.25.9), torch<3,>=2.6 ({found}). In a new cell: "
        '%pip install "numpy>=1.26" "torch<3,>=2.6"; then restart the kernel.'
    )


@pytest.mark.parametrize("installed", ["0.0.9", None])
def test_another_version_of_the_course_is_said_before_all(environment: dict[str, str], installed: str | None) -> None:
    environment["torch"] = "1.0"
    environment[needs.DISTRIBUTION] = installed or ""
    if installed is None:
        del environment[needs.DISTRIBUTION]
    assert said().startswith(
        f"This notebook is of version {VERSION} of the course, and installed is {installed or 'unknown'}. In a new "
        f"cell: %pip install ../../attention_course-{VERSION}-py3-none-any.whl"
    )


@pytest.mark.parametrize("python", ["3.10.14", "3.14.0"])
def test_another_python_is_said(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, python: str) -> None:
    monkeypatch.setattr(needs.platform, "python_version", lambda: python)
    assert said().startswith(f"The course needs Python <3.14,>=3.11, and this is {python}: install one that fits")


def test_what_the_package_asks_for_is_here() -> None:
    assert any(line.startswith("torch") for line in REQUIRED or [])
    needs.fault.cache_clear()
    needs.require(VERSION)


def test_in_a_kernel_one_line_is_shown_and_the_run_stops(tmp_path: Path) -> None:
    """One kernel: the package is hidden from it, then it is there in another version, then all is well."""
    hide = "import sys\nsys.modules['course_utils'] = None\n"
    show = "import sys\nsys.modules.pop('course_utils', None)\n"
    sources = [hide + needs.cell(VERSION), show + needs.cell("9.9"), needs.cell(VERSION)]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebooks.run(nb, tmp_path)
    absent, other, well = (cell.outputs for cell in nb.cells)
    assert well == []
    for (output,), words in (
        (absent, "This notebook needs the course's package, "),
        (other, "This notebook is of ver"),
    ):
        assert output.output_type == "error"
        (line,) = output.traceback
        assert line.startswith(words)
        assert line.endswith("then restart the kernel.")
        assert "\n" not in line


def test_what_the_cell_imports_needs_no_installation() -> None:
    tree = ast.parse(Path(needs.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "collections.abc", "functools", "importlib", "course_utils._errors"}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_every_notebook_begins_with_it(name: str) -> None:
    nb = nbformat.read(ROOT / "exercises" / name / f"{name}.ipynb", as_version=4)
    first = next(cell for cell in nb.cells if cell.cell_type == "code")
    assert (grade_id(first), first.source) == (needs.GRADE_ID, needs.cell(nb.metadata["course"]["version"]))
    assert is_locked(first)
    assert first.metadata["editable"] is False
