"""How far a student is with all notebooks: what is found, what is run again, what the page and the table say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import PHONE, WIDE, open_page
from playwright.sync_api import Browser
from support import fill, reads, reference, small_repository
from typer.testing import CliRunner

from course_utils import cli, progress, release, selfcheck
from course_utils.progress import ProgressError, Standing, summary, survey, write_page

NAME = "01-sums"
WRONG = "def mean(numbers):\n    return 0.0"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    return release.build(small_repository(tmp_path_factory.mktemp("repository")), NAME)


@pytest.fixture
def put(made: release.Released, tmp_path: Path) -> Callable[..., Path]:
    """Write a notebook with the reference's answers, some of them replaced, into the folder."""

    def write(path: str = f"{NAME}/{NAME}.ipynb", cells: dict[str, str] | None = None) -> Path:
        nb = fill(reads(made.student), {**reference(made), **(cells or {})})
        release.write_atomically(tmp_path / path, nbformat.writes(nb).encode())
        return tmp_path / path

    return write


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The notebooks that a stand-in for the check was asked for: it says that they are right."""
    asked: list[str] = []

    def check(path: Path, timeout: int) -> selfcheck.Report:
        asked.append(path.name)
        if "dies" in path.name:
            raise selfcheck.CheckError(f"{path}: the kernel died")
        result = selfcheck.Result("mean", "The mean", 20, 20, 30, "", "passes", "")
        return selfcheck.Report(NAME, "Two small sums", [result], ["a note"])

    monkeypatch.setattr(selfcheck, "check", check)
    return asked


def test_by_the_real_check(put: Callable[..., Path], made: release.Released, tmp_path: Path) -> None:
    """Right, begun and not begun, of which the last is not even run."""
    put()
    put("0-begun/mine.ipynb", {"mean": WRONG})
    release.write_atomically(tmp_path / "fresh.ipynb", made.student)
    told: list[str] = []
    standings = survey(tmp_path, told=told.append)
    assert told == ["0-begun/mine.ipynb", f"{NAME}/{NAME}.ipynb"]
    assert [(one.name, one.earned, one.passed, one.state) for one in standings] == [
        ("0-begun/mine.ipynb", 20, 1, "begun"),
        (NAME, 40, 2, "ready to hand in"),
        ("fresh.ipynb", 0, 0, "not begun"),
    ]
    assert {(one.available, one.hidden, one.problems, one.title) for one in standings} == {
        (40, 60, 2, "Two small sums")
    }
    assert (
        summary(standings) == "2 of 2 problems pass their visible tests: 40 of 40 points so far."
    )  # of copies the best


def test_only_what_changed_is_run_again(put: Callable[..., Path], checked: list[str], tmp_path: Path) -> None:
    put()
    put("b/b.ipynb", {"mean": WRONG})
    first = survey(tmp_path)
    assert checked == [f"{NAME}.ipynb", "b.ipynb"]
    before = write_page(tmp_path, first).read_bytes()
    assert survey(tmp_path) == first
    assert write_page(tmp_path, first).read_bytes() == before
    put("b/b.ipynb", {"mean": "def mean(numbers):\n    return 1.0"})
    (tmp_path / NAME / "measurements.json").write_text("{}")  # what is handed in with a notebook counts too
    survey(tmp_path)
    assert checked == [f"{NAME}.ipynb", "b.ipynb"] * 2
    survey(tmp_path, timeout=7)
    assert len(checked) == 6


def test_a_moved_notebook_is_known_again_and_one_that_is_gone_is_forgotten(
    put: Callable[..., Path], checked: list[str], tmp_path: Path
) -> None:
    folder = put("a/mine.ipynb").parent
    survey(tmp_path)
    folder.rename(tmp_path / "b")
    (standing,) = survey(tmp_path)
    assert (standing.path, checked) == ("b/mine.ipynb", ["mine.ipynb"])
    put("b/mine.ipynb", {"mean": WRONG})
    survey(tmp_path)
    assert len(json.loads((tmp_path / progress.MEMORY).read_text())) == 1


@pytest.mark.parametrize("memory", ["", "[]", "{", '{"a": 1}', '{"a": {"path": "x", "other": 1}}', "\udcff"])
def test_a_damaged_memory_is_forgotten(
    put: Callable[..., Path], checked: list[str], tmp_path: Path, memory: str
) -> None:
    put()
    (tmp_path / progress.MEMORY).write_bytes(memory.encode("utf-8", "surrogateescape"))
    assert len(survey(tmp_path)) == 1
    assert checked == [f"{NAME}.ipynb"]


def test_what_cannot_be_read_is_a_line_and_the_others_go_on(
    put: Callable[..., Path], made: release.Released, checked: list[str], tmp_path: Path
) -> None:
    put("z.ipynb")
    put("dies.ipynb")
    (tmp_path / "a.ipynb").write_bytes(made.student[:999])
    (tmp_path / "b.ipynb").write_text("")
    later = reads(made.student)
    later.metadata["course"]["problems"][0]["bonus"] = 3
    nbformat.write(later, tmp_path / "c.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "another.ipynb")
    release.write_atomically(tmp_path / ".ipynb_checkpoints" / "z-checkpoint.ipynb", made.student)
    for _ in range(2):  # what died is run again
        standings = survey(tmp_path)
        assert [(one.path, one.state, one.note) for one in standings] == [
            ("a.ipynb", "cannot be read", "not a notebook, or a damaged one: save it again, or go back to its last "
             "checkpoint"),
            ("b.ipynb", "cannot be read", "is empty: take the released notebook again, or go back to its last "
             "checkpoint"),
            ("c.ipynb", "cannot be read", "made with another version of the course, or damaged: take the released "
             "notebook again"),
            ("dies.ipynb", "begun", "the kernel died"),
            ("z.ipynb", "ready to hand in", "`course check z.ipynb` has notes on it"),
        ]  # fmt: skip
    assert checked == ["dies.ipynb", "z.ipynb", "dies.ipynb"]


def test_nothing_found_and_nowhere_to_write_are_one_line(
    put: Callable[..., Path], checked: list[str], tmp_path: Path
) -> None:
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "another.ipynb")
    with pytest.raises(ProgressError, match=r"^no notebook of this course in .*: name the one that has them$"):
        survey(tmp_path)
    put()
    (tmp_path / progress.PAGE).mkdir()
    with pytest.raises(ProgressError, match=r"progress\.html cannot be written: Is a directory"):
        write_page(tmp_path, survey(tmp_path))


def test_the_command(
    put: Callable[..., Path], checked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put()
    (tmp_path / "[red]a.ipynb").write_text("")
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(cli.app, ["progress", str(tmp_path)])
    assert done.exit_code == 0
    assert "Ready to hand in" in done.output
    assert f"Note: {NAME}: `course check {NAME}.ipynb` has notes on it" in done.output
    assert "Note: [red]a.ipynb: is empty" in done.output
    assert "1 of 2 problems pass their visible tests: 20 of 40 points so far." in done.output
    assert done.output.endswith(f"As a page for your browser: {tmp_path / progress.PAGE}\n")
    assert max(map(len, done.output.splitlines()[:-1])) <= 80
    missing = CliRunner().invoke(cli.app, ["progress", str(tmp_path / "none")])
    assert str(missing.exception) == f"{tmp_path / 'none'} is not a folder: name the one that holds your notebooks"


# --- the page ---

STANDINGS = [
    Standing("02-a/02-a.ipynb", "02-a", "A <b>title</b>", 12, 40, 60, 3, 7, "begun"),
    Standing("03-b/03-b.ipynb", "03-b", "B", 40, 40, 60, 7, 7, "ready to hand in", "`course check` has notes on it"),
    Standing("lab-2-with-a-long-name/lab-2-with-a-long-name.ipynb", "lab-2-with-a-long-name", "C", 0, 40, 60, 0, 7),
    Standing('x/"><img src=x onerror=alert(1)>.ipynb', note="is empty & <script>"),
]


def test_the_page_reads_in_both_themes_on_any_screen_and_needs_nothing(browser: Browser, tmp_path: Path) -> None:
    path = write_page(tmp_path, STANDINGS)
    for theme, screen in (("light", WIDE), ("dark", WIDE), ("dark", PHONE)):
        page, troubles = open_page(browser, color_scheme=theme, viewport=screen)
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(path.as_uri())
        assert page.title() == "Your progress: the attention course"
        assert asked == [path.as_uri()]
        assert page.locator("tbody tr").count() == 4
        assert page.locator("tbody th[scope=row]").nth(0).inner_text() == "02-a\nA <b>title</b>"
        assert page.locator("tbody tr").nth(1).inner_text().endswith("Ready to hand in")
        assert page.locator("img, script").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not troubles
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["target"]) for rule in found] == []
        page.context.close()
