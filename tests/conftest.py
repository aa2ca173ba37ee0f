"""Settings of all tests: no window opens, one thread, and what the wrong answers lost is printed at the end."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator

import postgresql
import pytest
from browsing import HTML, open_page
from playwright.sync_api import Browser, Locator, sync_playwright

os.environ["MPLBACKEND"] = "Agg"  # before matplotlib is imported, here and in every kernel
os.environ["OMP_NUM_THREADS"] = "1"  # small tensors: a second thread makes the sweeps three times slower

CHROMIUM = [
    *["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
    *["--disable-background-networking", "--disable-component-update", "--mute-audio"],
]
Row = tuple[str, str, dict[str, float], str]
KILLS: list[Row] = []  # gathered from the reports of all processes
# The long modules: each assignment's tests, or each part of the pages, may go to another process.
SPLIT_UP = ("test_access", "test_assignments", "test_book", "test_split")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="all submissions by nbgrader's own commands, all kernels compiled"
    )


# Not in pytest_collection_modifyitems: there pytest-xdist has read the groups before us.
def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep a module's tests together where several processes share the work: its fixtures are made once."""
    group = item.path.stem
    if group in SPLIT_UP and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        group += str(item.callspec.params.get("name", item.callspec.params.get("part", "")))
    item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say so if pytest-xdist does not understand the groups: it would be silent, and the tests take twice as long."""
    if getattr(session.config.option, "loadgroup", False) and not all("@" in item.nodeid for item in session.items):
        raise pytest.UsageError("this pytest-xdist does not keep groups of tests together under this pytest")


# Not for the whole session: while Playwright runs, no other test could start an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, for the tests of a module."""
    chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if chromium is None:
        pytest.fail("no browser for this test: install the package chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pages() -> list[str]:
    """The built book's pages, as paths within it."""
    found = sorted(path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html") if "_static" not in path.parts)
    if "index.html" not in found:
        pytest.fail("there is no book in _build/html: run `make book`", pytrace=False)
    return found


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgresql.Server]:
    """A PostgreSQL server."""
    programs = postgresql.programs()
    if programs is None:
        missing = "no PostgreSQL server for this test: install the package postgresql"
        pytest.fail(missing, pytrace=False) if "CI" in os.environ else pytest.skip(missing)
    with postgresql.running(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> str:
    """What `--db` says: nothing, for the gradebook in the course folder, or the URL of an empty database."""
    return request.getfixturevalue("postgres").emptied() if request.param == "postgresql" else ""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        # Asked for by the browser itself, sometimes, before index.html has sent it on to the first page.
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture(scope="session")
def server(pages: list[str]) -> Iterator[str]:
    """The address of the built book on a local server."""
    handler = functools.partial(QuietHandler, directory=HTML)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@pytest.fixture
def figures(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Locator]:
    """The module's ELEMENTs on the page at its `address`; a parameter has options of the browser's context.

    Where the module says CLOCK_STANDS, time goes on only when a test moves it.
    """
    page, troubles = open_page(browser, **getattr(request, "param", {}))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "warning" else None)
    stands = getattr(request.module, "CLOCK_STANDS", False)
    if stands:
        page.clock.install(time="2026-01-01T00:00:00")
    page.goto(address)
    page.evaluate("() => document.fonts.ready.then(() => null)")
    if stands:
        page.clock.pause_at("2026-01-02T00:00:00")
    yield page.locator(request.module.ELEMENT)
    assert not troubles
    page.context.close()


@pytest.fixture
def figure(figures: Locator) -> Locator:
    return figures.first


@pytest.fixture
def kill_table(record_property: Callable[[str, object], None]) -> Callable[[Row], None]:
    """Takes a row of the table: assignment, answer, points lost per problem, the mistake."""
    return lambda row: record_property("kill", row)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        KILLS.extend(row for name, row in report.user_properties if name == "kill")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for assignment in sorted({row[0] for row in KILLS}):
        terminalreporter.section(f"points lost by the named answers of {assignment}")
        mine = [row for row in KILLS if row[0] == assignment]
        problems = list(mine[0][2])
        width = max(len(row[1]) for row in mine)
        terminalreporter.line(f"{'':{width}}  {'  '.join(problems)}")
        for _, answer, lost, mistake in mine:
            cells = "  ".join(f"{lost[name] or '·':>{len(name)}}" for name in problems)
            terminalreporter.line(f"{answer:{width}}  {cells}  {mistake}")
