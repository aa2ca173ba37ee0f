"""A text source edited with nbgrader's "Create Assignment" in JupyterLab, in a real browser, and then released."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import jupyter, open_create_assignment, open_page
from playwright.sync_api import Browser, Page, expect
from support import ROOT, reads

from course_utils import release

NAME = "02-soft-dictionary"
CELLS = ".nbgrader-CellWidget"
FIND = "(cells, name) => cells.findIndex((cell) => cell.querySelector('.nbgrader-CellId input')?.value === name)"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a copy of one of the course's assignments."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "solutions" / NAME, root / "solutions" / NAME)
    (root / "exercises").mkdir()
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.fixture
def page(browser: Browser, root: Path, tmp_path: Path) -> Iterator[Page]:
    """JupyterLab, the source's folder opened."""
    with jupyter(tmp_path, "jupyter-lab", "--allow-root", cwd=root) as address:
        page, troubles = open_page(browser)
        page.set_default_timeout(60_000)  # the first page takes long where the cores are busy
        page.goto(address.replace("/lab?", f"/lab/tree/solutions/{NAME}?"))
        yield page
        assert troubles == []
        page.context.close()


def give_points(page: Page, cell: str, points: int, total: int) -> None:
    """As an instructor does it, and save."""
    place = page.locator(CELLS).evaluate_all(FIND, cell)
    field = page.locator(CELLS).nth(place).locator(".nbgrader-CellPoints input")
    field.fill(str(points))
    field.blur()
    expect(page.locator(".nbgrader-TotalPointsInput")).to_have_value(str(total))
    page.locator("[data-jp-item-name=save]:visible").click()
    expect(page.locator(".jp-mod-current.jp-mod-dirty")).to_have_count(0)


def course_release(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "course"), "release", NAME]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_points_are_edited_refused_and_put_right(page: Page, root: Path) -> None:
    before = release.build(root, NAME)
    open_create_assignment(page, f"{NAME}.md")

    give_points(page, "softmax-visible", 7, 101)
    refused = course_release(root)
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        f"course: {NAME}: the automatic points add up to 101, not to 100 (softmax-visible 7,"
    )
    assert refused.stderr.count("\n") == 1

    give_points(page, "softmax-visible", 6, 100)
    text = (root / "solutions" / NAME / f"{NAME}.md").read_text(encoding="utf-8")
    assert "jupytext_version" in text  # the editor has saved it
    after = release.build(root, NAME)
    for version in ("student", "instructor"):
        old, new = (reads(getattr(made, version)) for made in (before, after))
        assert old.metadata.course.pop("source_hash") != new.metadata.course.pop("source_hash")
        assert json.dumps(new, sort_keys=True) == json.dumps(old, sort_keys=True)
