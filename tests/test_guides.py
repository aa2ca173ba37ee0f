"""The guides of the book, typed as they stand: every command runs, and prints what the page says that it prints."""

from __future__ import annotations

import os
import re
import shutil
import string
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import ROOT, with_programs

from course_utils.needs import wheel_name
from course_utils.notebooks import package_version

BLOCK = re.compile(
    r"^(?P<fence>`{3,})(?:\{code-block\} )?(?P<kind>\w+)\n"
    r"(?::caption: (?P<caption>[^\n]+)\n\n)?(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
END = "--- block {} ends ---"


@dataclass
class Block:
    """What a page shows as code: a file by its caption, commands (`sh`), or what they print (`text`)."""

    kind: str
    caption: str | None
    text: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    return [Block(found["kind"], found["caption"], found["text"]) for found in BLOCK.finditer(text)]


def script(found: list[Block]) -> str:
    """All of a page as one shell script: files are written, commands run, and after each block stands a mark."""
    lines = ["set -euo pipefail"]
    for number, block in enumerate(found):
        if block.caption:
            lines += [f"mkdir -p {Path(block.caption).parent}", f"cat > {block.caption} <<'END OF FILE'"]
            lines += [block.text.rstrip("\n"), "END OF FILE"]
        elif block.kind == "sh":
            lines += [block.text, f"echo; echo '{END.format(number)}'"]
    return "\n".join(lines)


def printed(found: list[Block], output: str) -> None:
    """What a page says that the commands before it print is in what they printed, line by line; … stands for any."""
    said, commands = "", -1
    for number, block in enumerate(found):
        if block.kind == "sh":
            _, _, rest = output.partition(END.format(commands)) if commands >= 0 else ("", "", output)
            said, commands = rest.partition(END.format(number))[0], number
        elif block.kind == "text" and not block.caption and commands >= 0:
            for line in filter(str.strip, block.text.split("\n")):
                pattern = ".*".join(map(re.escape, " ".join(line.split()).split("…")))
                assert re.search(pattern, " ".join(said.split())), f"the page says {line!r}, printed was:\n{said}"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A fresh clone of what is committed and what is not, with an environment that is made already."""
    clone = tmp_path / "attention"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)  # with its time, or make would set the environment up again
    (clone / ".venv").symlink_to(Path(with_programs().split(os.pathsep)[0]).parent)
    (clone / ".ci" / "environment").write_text(
        "echo the environment is older than pyproject.toml: run make check; exit 1\n"
    )
    return clone


def type_in(found: list[Block], folder: Path, home: Path) -> str:
    environment = os.environ | {"HOME": str(home), "PYTHONPATH": str(folder / "src"), "PATH": with_programs()}
    done = subprocess.run(
        ["bash", "-c", script(found)], cwd=folder, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("page", ["instructors", "scale", "security", "self-study", "writing"])
def test_every_command_runs_and_prints_what_the_page_says(page: str, repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "exercises" / "02-soft-dictionary", tmp_path / "work")  # where a reader solves it
    found = blocks(page)
    assert any(block.kind == "sh" for block in found)
    printed(found, type_in(found, repository, tmp_path))


def test_students_read_the_commands_that_come_with_the_bundle() -> None:
    """Those of the bundle's first page, with which `test_bundle` goes all the way in JupyterLab."""
    first_page = string.Template((ROOT / "src/course_utils/start_here.txt").read_text(encoding="utf-8"))
    lines = {line.strip() for line in first_page.safe_substitute(wheel=wheel_name(package_version())).split("\n")}
    typed = [line for block in blocks("students") for line in block.text.strip().split("\n")]
    assert len(typed) == 8
    assert set(typed) <= lines


def test_a_command_that_fails_and_words_that_are_not_printed_are_seen(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        type_in([Block("sh", None, "false\n")], tmp_path, tmp_path)
    shown = [Block("sh", None, "echo one\n"), Block("sh", None, "echo two\n"), Block("text", None, "one\n")]
    with pytest.raises(AssertionError, match="the page says 'one'"):
        printed(shown, type_in(shown, tmp_path, tmp_path))
