"""What students get: what is in the zip, and that it works where nothing but Python's packages is installed."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
import sysconfig
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import PHONE, WIDE, open_page
from playwright.sync_api import Browser, Page, expect
from support import ROOT, small_repository
from test_cli import course, one_line, wait_for

from course_utils import bundle, needs, notebooks, release

NAME = "02-soft-dictionary"
VERSION = notebooks.package_version()
TOP = f"attention-course-{VERSION}"
ASSIGNMENTS = release.assignments(ROOT)


@pytest.fixture(scope="module")
def content() -> bytes:
    return bundle.bundle(ROOT)


@pytest.fixture(scope="module")
def files(content: bytes) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    return {info.filename: archive.read(info) for info in archive.infolist()}


# --- the zip ---


def test_it_holds_what_students_need_in_one_folder_and_nothing_else(files: dict[str, bytes]) -> None:
    first = {"README.txt", "START-HERE.html", "LICENSE.txt", "LICENSE-TEXT.txt", needs.wheel_name(VERSION)}
    books = {f"exercises/{name}/{name}.ipynb" for name in ASSIGNMENTS}
    assert set(files) == {f"{TOP}/{path}" for path in first | books}
    for path in books:
        assert files[f"{TOP}/{path}"] == (ROOT / path).read_bytes()


def test_it_has_the_same_bytes_whenever_it_is_made(content: bytes, files: dict[str, bytes]) -> None:
    assert bundle.bundle(ROOT) == content
    infos = zipfile.ZipFile(io.BytesIO(content)).infolist()
    assert {(info.date_time, info.create_system, info.external_attr) for info in infos} == {
        (bundle.DATE, 3, 0o100644 << 16)
    }
    assert [info.filename for info in infos] == sorted(files)


def test_every_system_can_write_its_names(files: dict[str, bytes]) -> None:
    reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
    for path in files:
        assert len(path) < 160  # of the 260 that Windows allows
        for part in PurePosixPath(path).parts:
            assert re.fullmatch(r"[A-Za-z0-9._-]+", part)
            assert not reserved.match(part)
            assert part[-1] != "."
    assert len({path.lower() for path in files}) == len(files)


def test_no_hidden_test_and_no_solution_is_in_it(files: dict[str, bytes]) -> None:
    """Lines of the regions that are cut out; those that a released notebook or the package has anyway are left out."""
    wheel = zipfile.ZipFile(io.BytesIO(files[f"{TOP}/{needs.wheel_name(VERSION)}"]))
    package = "\n".join(wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".py"))
    assert not [name for name in wheel.namelist() if re.search(r"\.(md|ipynb)$|tests?/", name)]
    for name in ASSIGNMENTS:
        source = (ROOT / "solutions" / name / f"{name}.md").read_text(encoding="utf-8")
        regions = re.findall(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)### END \1", source, re.S)
        rest = re.sub(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)### END \1", "", source, flags=re.S)
        lines = {line.strip() for _, region in regions for line in region.splitlines()}
        secret = [line for line in lines if len(line) > 30 and line not in rest]
        assert len(secret) > 20
        nb = nbformat.reads(files[f"{TOP}/exercises/{name}/{name}.ipynb"].decode(), as_version=4)
        given = "\n".join(cell.source for cell in nb.cells)
        assert [line for line in secret if line in given] == []
        hidden = {line.strip() for kind, region in regions if kind == "HIDDEN TESTS" for line in region.splitlines()}
        assert [line for line in hidden if len(line) > 40 and line in package] == []


def test_the_first_page_says_the_same_twice(files: dict[str, bytes]) -> None:
    text, page = files[f"{TOP}/README.txt"].decode(), files[f"{TOP}/START-HERE.html"].decode()
    for words in (f"pip install attention_course-{VERSION}-py3-none-any.whl", r"environment\Scripts\activate"):
        assert words in text
        assert words in page
    assert all(name in text and name in page for name in ASSIGNMENTS)
    assert "$" not in text + page
    assert max(map(len, text.splitlines())) <= 110


def test_the_first_page_reads_in_both_themes_on_any_screen(
    browser: Browser, files: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "START-HERE.html"
    path.write_bytes(files[f"{TOP}/START-HERE.html"])
    for theme, screen in (("light", WIDE), ("dark", PHONE)):
        page, troubles = open_page(browser, color_scheme=theme, viewport=screen)
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not troubles
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["target"]) for rule in found] == []
        page.context.close()


# --- the command ---


def test_a_notebook_that_is_not_as_released_is_not_given_out(tmp_path: Path) -> None:
    """A solved notebook in exercises/ would be the worst."""
    root = small_repository(tmp_path)
    one_line(course("bundle", cwd=root), 1, "nothing was bundled: exercises/01-sums/01-sums.ipynb is missing: run `cou")
    release.write_atomically(root / "exercises/01-sums/01-sums.ipynb", release.build(root, "01-sums").instructor)
    said = "nothing was bundled: exercises/01-sums/01-sums.ipynb is not what its source gives: never edit it, run `cou"
    one_line(course("bundle", cwd=root), 1, said)
    assert not list(tmp_path.glob("*.zip"))


def test_what_students_leave_beside_a_notebook_is_not_given_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_repository(tmp_path)
    (root / "solutions/01-sums/table.csv").write_text("a,b\n")
    made = release.build(root, "01-sums")
    release.write_atomically(root / "exercises/01-sums/01-sums.ipynb", made.student)
    for name in ("table.csv", "measurements.json", ".ipynb_checkpoints/01-sums-checkpoint.ipynb"):
        release.write_atomically(root / "exercises/01-sums" / name, b"a,b\n")
    for name in bundle.LICENCES:
        (root / name).write_text("a licence")
    monkeypatch.setattr(bundle, "build_wheel", lambda root, folder: root / "LICENSE")
    names = zipfile.ZipFile(io.BytesIO(bundle.bundle(root))).namelist()
    assert [name for name in names if "exercises" in name] == [
        f"{TOP}/exercises/01-sums/01-sums.ipynb",
        f"{TOP}/exercises/01-sums/table.csv",
    ]


def test_where_it_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    one_line(course("bundle", "--output", tmp_path, cwd=ROOT), 2, f"{tmp_path} is a folder: name a file in it, such as")
    (tmp_path / "file").write_text("")
    done = course("bundle", "--output", tmp_path / "file" / "a.zip", cwd=ROOT)
    one_line(done, 1, f"{tmp_path}/file/a.zip cannot be written: ")


# --- in an environment of its own, in JupyterLab, in a browser ---

ANSWER = '''def softmax(scores: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Weights over the axes `dims` together; the shape of `scores`."""
    weights = (scores - scores.amax(dims, keepdim=True)).exp()
    return weights / weights.sum(dims, keepdim=True)'''


@pytest.fixture(scope="module")
def unpacked(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked bundle with an environment in it: the wheel, and the packages that this suite runs with."""
    folder = tmp_path_factory.mktemp("home")
    zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
    top = folder / TOP
    venv.create(top / "environment", with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", top / "environment/bin/python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", *top.glob("*.whl")], check=True)
    (site,) = (top / "environment").glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n")  # its own .pth files are not read
    return top


@pytest.fixture(scope="module")
def lab(unpacked: Path) -> Iterator[str]:
    """JupyterLab on the bundle's exercises; its address, and a token in it."""
    share, etc = Path(sys.prefix, "share", "jupyter"), Path(sys.prefix, "etc", "jupyter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "JUPYTER"))},
        **{"HOME": str(unpacked.parent), "JUPYTERLAB_DIR": str(share / "lab")},
        **{"JUPYTER_CONFIG_PATH": str(etc), "JUPYTER_PLATFORM_DIRS": "0"},
        "PATH": f"{unpacked / 'environment/bin'}{os.pathsep}{os.environ['PATH']}",  # activated
    }
    options = ["--no-browser", f"--port={port}", "--IdentityProvider.token=token", "--allow-root"]
    # Started by a program and not in a terminal, JupyterLab would give its own terminals a login shell and its PATH.
    options.append("--ServerApp.terminado_settings={'shell_command': ['/bin/sh']}")
    with started([unpacked / "environment/bin/python", "-m", "jupyterlab", "exercises", *options], unpacked, env):
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(f"{address}/api?token=token"))
        yield address


@contextmanager
def started(command: list[str | Path], folder: Path, env: dict[str, str]) -> Iterator[None]:
    with (folder.parent / "lab.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10) as reply:
            return reply.status == 200
    except OSError:
        return False


def test_a_student_solves_a_problem_in_jupyterlab_saves_and_checks_it(
    browser: Browser, lab: str, unpacked: Path
) -> None:
    path = unpacked / "exercises" / NAME / f"{NAME}.ipynb"
    page, _ = open_page(browser)
    page.goto(f"{lab}/lab/tree/{NAME}/{NAME}.ipynb?token=token")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    cells.nth(0).locator(".cm-content").click()
    for _ in range(2):  # the check of the installation, and the setup
        page.keyboard.press("Shift+Enter")
    expect(cells.nth(1).locator(".jp-InputArea-prompt")).to_have_text("[2]:", timeout=60_000)
    assert cells.nth(0).locator(".jp-OutputArea-output").count() == 0
    cells.nth(2).locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(ANSWER)
    for _ in range(2):
        page.keyboard.press("Shift+Enter")
    expect(cells.nth(3).locator(".jp-InputArea-prompt")).to_have_text("[4]:", timeout=60_000)
    assert cells.nth(3).locator(".jp-OutputArea-output").count() == 0  # the test passes
    page.keyboard.press("ControlOrMeta+s")
    wait_for(lambda: "weights.sum" in path.read_text(encoding="utf-8"))
    said, progress = terminal(page, f"course check {NAME}", "course progress", unpacked)
    assert "1 of 7 problems pass their visible tests: 6 of 41 points so far." in said
    assert said.count("Not tested here.") == 7  # of every problem it is said what hidden tests will look at
    assert re.findall(r"^Note: (\d+ points are still)", said, re.M) == ["86 points are still"]
    assert re.search(rf"{NAME} +6 of 41 +1 of 7 +Begun", progress)
    assert re.search(r"^1 of \d\d problems pass their visible tests: 6 of ", progress, re.M)
    assert (unpacked / "exercises" / "progress.html").is_file()
    page.context.close()


def terminal(page: Page, *rest: str | Path) -> list[str]:
    """Type commands into JupyterLab's own terminal; what each of them says."""
    *commands, folder = rest
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^New$")).hover()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Terminal$")).click()
    page.locator(".jp-Terminal .xterm-screen").click()
    said = []
    for command in commands:
        page.keyboard.type(f"{command} > said.txt 2>&1; pwd > done\n")
        wait_for(lambda: list(Path(folder).rglob("done")))
        (done,) = Path(folder).rglob("done")
        said.append(done.with_name("said.txt").read_text(encoding="utf-8"))
        done.unlink()
    return said
