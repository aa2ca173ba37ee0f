"""What tests in a browser share: pages of the built book, pages of a figure alone, and Jupyter's servers."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Browser, Page, Request, expect

if TYPE_CHECKING:
    from course_utils.interactive import Html

ROOT = Path(__file__).resolve().parents[1]
HTML, STATIC = ROOT / "_build" / "html", ROOT / "book" / "_static"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TOUCH = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
expect.set_options(timeout=60_000)  # what is waited for comes late where the cores are busy


def open_page(browser: Browser, theme: str = "light", **options: Any) -> tuple[Page, list[str]]:
    """A page in a fresh context, and the list that its troubles are written to."""
    context = browser.new_context(**{"viewport": WIDE, **options})
    context.add_init_script(f"localStorage.mode = localStorage.theme = '{theme}'")
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # that is one which the next page has cut off
            troubles.append(f"failed: {request.url} ({request.failure})")

    page.on("requestfailed", failed)
    return page, troubles


def turn(page: Page, theme: str) -> None:
    """Show an open page in another theme."""
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)


def figure_page(folder: Path, *figures: Html) -> str:
    """Write a page with nothing on it but figures, in the theme that the browser was given; return its address."""
    page = folder / "page.html"
    page.write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>Figures</title>'
        "<script>document.documentElement.dataset.theme = localStorage.theme ?? 'light'</script>"
        '<meta name="viewport" content="width=device-width"><style>body {background: var(--c-paper)}</style>'
        "<style>html {font-size: 18px} .cell_output .output {overflow-x: auto}"
        " .bd-content div.output table {table-layout: auto}</style>"  # the theme's
        f'<link rel="stylesheet" href="{STATIC.as_uri()}/course.css">'
        f'<script src="{STATIC.as_uri()}/course.js"></script>'
        '<div class="bd-content"><div class="cell_output"><div class="output text_html">'
        f"{''.join(figure.markup for figure in figures)}</div></div></div>",
        encoding="utf-8",
    )
    return page.as_uri()


@contextlib.contextmanager
def jupyter(home: Path, *words: object, cwd: Path) -> Iterator[str]:
    """A server of Jupyter's with settings of its own, started by one of the environment's commands.

    Args:
        home: where it keeps its settings.
        words: the command and its options; it is to listen on the ``--port`` that is added.
        cwd: where it is started.

    Returns:
        The address that it prints, token and all.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    news = home / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")
    folders = dict.fromkeys(("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"), str(home))
    command = [Path(sys.executable).parent / str(words[0]), *words[1:], "--no-browser", "--port", port]
    env = {**os.environ, **folders}
    with subprocess.Popen(list(map(str, command)), cwd=cwd, env=env, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        reader = threading.Thread(target=server.stderr.read)  # else the server waits as soon as the pipe is full
        try:
            log = ""
            while not (found := re.search(r"http://127\.0\.0\.1\S+", log)):
                line = server.stderr.readline()
                assert line, f"the server ended: {log}"
                log += line
            reader.start()
            yield found[0]
        finally:
            server.terminate()
            if reader.is_alive():
                reader.join()


def open_create_assignment(page: Page, source: str) -> None:
    """In JupyterLab, at the source's folder: open it as a notebook, with nbgrader's Create Assignment beside it."""
    page.locator(".jp-DirListing-item").filter(has_text=source).click(button="right")
    for item in ("Open With", "Jupytext Notebook"):
        page.locator(".lm-Menu-item").filter(has_text=item).click()
    page.locator(".jp-Cell:visible").first.wait_for()
    page.locator(".jp-SideBar").get_by_text("Create Assignment").click()
    expect(page.locator(".nbgrader-TotalPointsInput")).to_have_value("100")


def save_field(page: Page, field: str, words: str) -> None:
    """On the formgrader's page of a submission: type points or a comment, and wait until the gradebook has them."""
    # nbgrader's script gives the fields their placeholders when it has what was saved, and not before does it save.
    expect(page.locator("input.score[placeholder]")).not_to_have_count(0)
    expect(page.locator("textarea.comment[placeholder]")).not_to_have_count(0)
    with page.expect_response(lambda answer: answer.request.method == "PUT" and answer.ok):
        page.locator(f"[id='{field}']").fill(words)
        page.locator(f"[id='{field}']").blur()
