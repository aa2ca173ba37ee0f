"""Takes the pictures of real screens that the guides show: book/_static/screens/*.png.

    .venv/bin/python benchmarks/screens.py [NAME ...]      # all of them: two minutes

Each is Chromium's picture of JupyterLab, nbgrader's formgrader or a feedback page, with the class of
benchmarks/practice.py and a student's notebook in folders of their own.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browsing import jupyter, open_create_assignment, open_page, save_field  # noqa: E402

SCREENS = ROOT / "book" / "_static" / "screens"
NAME = "02-soft-dictionary"
SIZE = {"width": 1280, "height": 800}
COLOURS, MOST_BYTES = 64, 120_000
COMMENT = r"Subtract the largest score first: $e^{s_i - \max_j s_j}$ is never more than 1."
# A plain shell, whose prompt names no machine.
SHELL = "--ServerApp.terminado_settings={'shell_command': ['bash', '--norc', '--noprofile']}"


def main() -> None:
    """Take those pictures that are named, or all."""
    wanted = sys.argv[1:] or list(PICTURES)
    os.environ["PS1"] = "$ "
    chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with ExitStack() as stack:
            screens = Screens(browser, Path(folder), stack)
            for name in wanted:
                keep(name, PICTURES[name](screens))
        browser.close()


def keep(name: str, page: Page) -> None:
    """Write a page's picture with few colours, which is enough for a screen, and close the page."""
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    path = SCREENS / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    page.context.close()
    assert path.stat().st_size < MOST_BYTES, f"{path}: {path.stat().st_size} bytes"
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def run(*words: object) -> None:
    """One of the course's commands, in the repository."""
    subprocess.run(list(map(str, words)), cwd=ROOT, check=True)


class Screens:
    """The servers, each started when it is first asked for, and pages of theirs."""

    def __init__(self, browser: Browser, folder: Path, stack: ExitStack) -> None:
        self.browser, self.folder, self.stack = browser, folder, stack
        self.course = folder / "class"
        self.addresses: dict[str, str] = {}
        self.commented = False

    def address(self, name: str, *words: object, cwd: Path) -> str:
        """What a server prints when it has started."""
        if name not in self.addresses:
            server = jupyter(self.folder / f"home-{name}", *words, cwd=cwd)
            self.addresses[name] = self.stack.enter_context(server)
        return self.addresses[name]

    def page(self, address: str) -> Page:
        """An address in a light window of one size."""
        page, _ = open_page(self.browser, viewport=SIZE)
        page.set_default_timeout(60_000)
        page.goto(address)
        return page

    def graded(self) -> Path:
        """The course folder of the practice class, graded."""
        if not self.course.exists():
            run(sys.executable, "benchmarks/practice.py", self.course)
            run(Path(sys.executable).with_name("course"), "grade", NAME, "--course", self.course)
        return self.course

    def formgrader(self, page: str) -> Page:
        """A page of the formgrader on that folder."""
        start = self.address("formgrader", "course", "formgrader", "--course", self.graded(), cwd=ROOT)
        opened = self.page(start)
        opened.goto(start.replace("/formgrader?", f"/formgrader/{page}?"))
        return opened

    def student(self) -> Page:
        """JupyterLab as `make lab` opens it, with a notebook that a student has worked on."""
        work = self.folder / "exercises"
        if not work.exists():
            shutil.copytree(ROOT / "exercises", work, ignore=shutil.ignore_patterns("lab-*"))
            shutil.copy(self.graded() / "submitted" / "ben" / NAME / f"{NAME}.ipynb", work / NAME)
        start = self.address("student", "jupyter-lab", "--allow-root", SHELL, cwd=work)
        return self.page(start.replace("/lab?", f"/lab/tree/{NAME}/{NAME}.ipynb?reset&"))


def notebook(screens: Screens) -> Page:
    """A student's notebook: an answer, and what its test says."""
    page = screens.student()
    page.set_viewport_size({"width": 1280, "height": 740})  # below it comes a path of this machine
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item").filter(has_text="Run All Cells").first.click()
    test = page.locator(".jp-CodeCell").filter(has_text="the softmax of each row")
    expect(test.locator(".jp-OutputArea-output")).to_contain_text("AssertionError")
    page.locator(".jp-CodeCell").filter(has_text="def softmax(scores").evaluate("cell => cell.scrollIntoView()")
    return page


def check(screens: Screens) -> Page:
    """`course check` in a terminal of JupyterLab."""
    page = screens.student()
    page.set_viewport_size({"width": 1280, "height": 1120})  # the whole table
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.locator(".lm-Menu-item").filter(has_text="New").first.click()
    page.locator(".lm-Menu-item").filter(has_text="Terminal").first.click()
    page.locator(".jp-Terminal-body").click()
    type_until(page, "", screens.folder / "listening")
    type_until(page, f"clear; course check {NAME}/{NAME}.ipynb;", screens.folder / "checked", again=600)
    page.wait_for_timeout(1000)
    return page


def type_until(page: Page, words: str, made: Path, again: int = 2) -> None:
    """Type a command, after `again` seconds once more, until a file says that it was run: its text is but a drawing."""
    while not made.exists():
        page.keyboard.type(f"{words} touch {made}\n")
        for _ in range(10 * again):
            if made.exists():
                break
            page.wait_for_timeout(100)


def submissions(screens: Screens) -> Page:
    """The formgrader's list of what was handed in."""
    page = screens.formgrader(f"manage_submissions/{NAME}")
    expect(page.get_by_role("gridcell", name="dana", exact=True)).to_be_visible()
    return page


def graded_page(screens: Screens) -> Page:
    """A submission in the formgrader, with a comment."""
    page = screens.formgrader(f"gradebook/{NAME}/{NAME}")
    row = page.get_by_role("row").filter(has=page.get_by_text("ben", exact=True))
    row.locator(".glyphicon-eye-open").click()
    row.get_by_role("link", name="ben", exact=True).click()
    if not screens.commented:
        save_field(page, "softmax-comment", COMMENT)
        screens.commented = True
    page.get_by_text("Student's answer").first.evaluate("element => scrollTo(0, element.offsetTop - 150)")
    return page


def feedback(screens: Screens) -> Page:
    """The page that a student gets back."""
    graded_page(screens).context.close()
    run(Path(sys.executable).with_name("course"), "feedback", NAME, "--course", screens.graded(), "--student", "ben")
    page = screens.page((screens.course / "feedback" / "ben" / NAME / f"{NAME}.html").as_uri())
    page.get_by_text("Student's answer").first.scroll_into_view_if_needed()
    return page


def create_assignment(screens: Screens) -> Page:
    """A text source opened as a notebook, with nbgrader's panel beside it."""
    repository = screens.folder / "repository"
    shutil.copytree(ROOT / "solutions", repository / "solutions")
    start = screens.address("instructor", "jupyter-lab", "--allow-root", cwd=repository)
    page = screens.page(start.replace("/lab?", f"/lab/tree/solutions/{NAME}?reset&"))
    open_create_assignment(page, f"{NAME}.md")
    page.get_by_role("heading", name="Problem 1").scroll_into_view_if_needed()
    return page


PICTURES = {
    "notebook": notebook,
    "check": check,
    "submissions": submissions,
    "graded-page": graded_page,
    "feedback": feedback,
    "create-assignment": create_assignment,
}

if __name__ == "__main__":
    main()
