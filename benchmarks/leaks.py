"""Lines of hidden tests in what a student gets: every file searched for every line, as a term's last step."""

from __future__ import annotations

import html
import json
import re
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import reads  # noqa: E402

from course_utils.release import Released  # noqa: E402

REGION = re.compile(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", re.DOTALL)
SHORT = 20  # a line of no more characters gives nothing away: `import torch`, `for seed in SEEDS:`


def secret_lines(made: Iterable[Released], written: Iterable[str] = ()) -> dict[str, list[str]]:
    """For each assignment: lines of its hidden tests that no assignment has outside of hidden tests.

    Args:
        made: all assignments.
        written: what students wrote, which may be what a hidden test has too.
    """
    sources = {one.name: [cell.source for cell in reads(one.instructor).cells] for one in made}
    shown = "\n".join([*(REGION.sub("", source) for cells in sources.values() for source in cells), *written])
    found = {}
    for name, cells in sources.items():
        hidden = {line.strip() for cell in cells for region in REGION.findall(cell) for line in region.split("\n")}
        found[name] = sorted(line for line in hidden if len(line) > SHORT and line not in shown)
    return found


def unpack(zipped: Path, folder: Path) -> None:
    """Unpack a zip, and every wheel in it."""
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(folder)
    for wheel in folder.rglob("*.whl"):
        unpack(wheel, wheel.with_suffix(""))


def leaks(files: Iterable[Path], secret: Iterable[str]) -> list[str]:
    """Where a secret line stands in a file: as it is, as in a notebook, or as in a page."""
    forms = {line: {line, json.dumps(line)[1:-1], html.escape(line), html.escape(line, False)} for line in secret}
    faults = []
    for path in files:
        text = path.read_bytes().decode("utf-8", errors="replace")
        faults += [f"{path.name}: {line}" for line, ways in forms.items() if any(way in text for way in ways)]
    return faults


def below(*folders: Path) -> list[Path]:
    """All files in folders."""
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]
