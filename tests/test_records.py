"""Records of experiments: what makes one stale and what does not, and what is said of those that are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from course_utils import records
from course_utils.records import experiment, faults, fingerprint, load

PACKAGE = {
    "a.py": '"""Doc."""\nfrom course_utils.b import helper, LIMIT\nfrom course_utils import c as sea\nSIZE = 3\n\n\n'
    'def used(x):\n    """Doc."""\n    return helper(x) + SIZE\n\n\ndef unused(x):\n    return sea.deep(x)\n',
    "b.py": "import math\nLIMIT = 4\nOTHER = 1\n\n\ndef helper(x):\n    return math.sqrt(x)\n",
    "c.py": "def deep(x):\n    return x\n",
    "records.py": "def experiment(run):\n    return 1\n",
}
SCRIPT = (
    "from course_utils.a import used\nfrom course_utils.records import experiment\nSETTINGS = {}\n\n\n"
    "def run(seed):\n    return used(seed)\n\n\nexperiment(run)\n"
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(records, "PACKAGE", folder)
    return folder


def code(package: Path, settings: dict[str, int] | None = None) -> str:
    records._module.cache_clear()
    script = package.parent / "one.py"
    if not script.is_file():
        script.write_text(SCRIPT)
    return fingerprint(script, settings or {"size": 3})


def change(package: Path, name: str, old: str, new: str) -> None:
    text = (package / name).read_text()
    assert old in text
    (package / name).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a.py", "+ SIZE", "- SIZE"),
        ("a.py", "SIZE = 3", "SIZE = 4"),
        ("b.py", "math.sqrt", "math.exp"),
        ("../one.py", "used(seed)", "used(seed + 1)"),
    ],
)
def test_a_change_of_what_is_reached_shows(package: Path, name: str, old: str, new: str) -> None:
    before = code(package)
    change(package, name, old, new)
    assert code(package) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a.py", '"""Doc."""\n    return', '"""Another."""\n    return'),
        ("a.py", '"""Doc."""\nfrom', '"""Another."""\nfrom'),
        ("a.py", "helper(x) + SIZE", "(helper(\n        x\n    ) + SIZE)  # why"),
        ("a.py", "sea.deep(x)", "sea.deep(x + 1)"),
        ("b.py", "OTHER = 1", "OTHER = 2"),
        ("c.py", "return x", "return 2 * x"),
        ("records.py", "return 1", "return 2"),
    ],
)
def test_comments_layout_docstrings_and_what_is_not_reached_do_not(
    package: Path, name: str, old: str, new: str
) -> None:
    before = code(package)
    change(package, name, old, new)
    assert code(package) == before


def test_a_module_that_is_used_as_a_whole_counts_as_a_whole(package: Path) -> None:
    (package.parent / "one.py").write_text(SCRIPT.replace("used", "unused"))
    before = code(package)
    change(package, "c.py", "return x", "return 2 * x")
    assert code(package) != before


def test_settings_count(package: Path) -> None:
    assert code(package, {"size": 4}) != code(package)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    script = tmp_path / records.SCRIPTS / "squares.py"
    script.parent.mkdir(parents=True)
    script.write_text("def run(seed, power):\n    return seed**power\n")
    return tmp_path


def recorded(root: Path, power: int = 2) -> Path:
    script = root / records.SCRIPTS / "squares.py"
    experiment(script, {"power": power}, {"grows": (1, 9)}, lambda seed, power: seed**power)
    return root / records.FOLDER / "squares.json"


def test_an_experiment_is_recorded_once_and_again_when_its_code_changed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = load(recorded(root))
    assert (record.runs, record.seeds, record.expected) == ([1, 4, 9], [1, 2, 3], {"grows": (1, 9)})
    assert not record.stale
    assert faults(root) == []
    capsys.readouterr()
    recorded(root)
    assert capsys.readouterr().out == "squares: recorded and up to date\n"
    (root / records.SCRIPTS / "squares.py").write_text("def run(seed, power):\n    return seed + power\n")
    assert load(root / records.FOLDER / "squares.json").stale
    assert "Stale" in load(root / records.FOLDER / "squares.json")._repr_html_()
    assert faults(root) == ["squares: its code or settings changed since it was recorded: `make experiments`"]
    recorded(root)
    assert faults(root) == []


def test_what_is_missing_or_left_over_is_said(root: Path) -> None:
    assert faults(root) == ["squares: not recorded yet: `make experiments`"]
    recorded(root)
    (root / records.SCRIPTS / "squares.py").unlink()
    (fault,) = faults(root)
    assert fault.startswith("squares: a record without its experiment: remove ")
    with pytest.raises(FileNotFoundError, match=r"there is no record data/none\.json: `make experiments` makes it"):
        load("data/none.json")


def test_numbers_that_json_does_not_know_are_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        experiment(root / records.SCRIPTS / "squares.py", {}, {}, lambda seed: float("nan"))


def test_the_books_own_records_are_up_to_date() -> None:
    command = [sys.executable, "-m", "course_utils.records"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_books_own_records_carry_what_was_predicted() -> None:
    for path in (ROOT / records.FOLDER).glob("*.json"):
        kept = json.loads(path.read_text())
        assert kept["expected"], path
        assert len(kept["runs"]) == len(kept["seeds"]) >= 3, path
