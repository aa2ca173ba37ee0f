"""The floors of the package: a module imports only from floors below its own, and light commands stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

PACKAGE = ROOT / "src" / "course_utils"
CELLAR, TOP = -1, 9  # all may import from the cellar; the top may import all
# Modules of the side floor take arrays and callables: they import no model code, and only the top imports them.
FLOORS: dict[str, int | None] = {
    **dict.fromkeys(("_require", "_quick", "_errors"), CELLAR),
    **dict.fromkeys(("scores", "masks", "data", "text", "alignment"), 0),
    **dict.fromkeys(("sound", "saliency"), 0),
    **dict.fromkeys(("attention", "positional"), 1),
    **dict.fromkeys(("flash", "seq2seq", "blocks", "pronouns"), 2),
    **dict.fromkeys(("decoders", "transformer", "language_model", "flash_triton"), 3),
    **dict.fromkeys(("wirings", "decoding", "induction"), 4),
    "training": 5,
    **dict.fromkeys(("plotting", "interactive", "listening", "family_tree"), None),
    **dict.fromkeys(("attention_view", "dials", "head_view", "tiles_view"), None),
    **dict.fromkeys(("benchmark", "roofline", "costs", "checks", "claims", "records"), None),
    "interpreted": None,
    "party": None,
    **dict.fromkeys(("notebooks", "form", "overlay", "needs", "release", "selfcheck", "grading", "cli"), TOP),
    **dict.fromkeys(("measuring", "measurements", "plausibility", "ahead"), TOP),
    **dict.fromkeys(("bench", "bench_table", "rivals", "bundle", "progress", "advice", "messages", "places"), TOP),
}


def module(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(source: str) -> set[str]:
    """The modules of the package that a source imports, wherever in it, also under `if TYPE_CHECKING`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "course_utils" + (f".{node.module}" if node.module else "") if node.level else str(node.module)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("course_utils.")}


def may_import(importer: str, target: str) -> bool:
    own, other = FLOORS[importer], FLOORS[target]
    if own == TOP or other == CELLAR or importer == target:
        return True
    if own is None or other is None:  # the side
        return own is other
    return other < own


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_downward(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        assert imported(path.read_text(encoding="utf-8")) == set()
        return
    assert module(path) in FLOORS, "give the new module a floor"
    targets = imported(path.read_text(encoding="utf-8"))
    assert [target for target in targets if not may_import(module(path), target)] == []


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("import course_utils.masks as m", {"masks"}),
        ("from course_utils import masks, scores", {"masks", "scores"}),
        ("from course_utils.attention import masked_softmax", {"attention"}),
        ("def f():\n    from .grading.forbidden import forbidden_calls", {"grading"}),
        ("import torch", set()),
    ],
)
def test_imports_are_read_in_every_form(source: str, targets: set[str]) -> None:
    assert imported(source) == targets


def test_the_rule_refuses_sideways_and_upward() -> None:
    assert may_import("attention", "masks")
    assert not may_import("masks", "scores")
    assert not may_import("masks", "attention")
    assert not may_import("plotting", "scores")
    assert not may_import("_require", "scores")
    assert may_import("checks", "_require")
    assert not may_import("training", "cli")


@pytest.mark.parametrize(
    "code",
    [
        "import course_utils",
        "import course_utils.cli",
        "import sys; sys.argv[1:] = ['--help']\nfrom course_utils.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass",
    ],
)
def test_the_package_and_the_command_start_without_torch_and_nbgrader(code: str) -> None:
    heavy = ("torch", "numpy", "matplotlib", "nbgrader", "nbclient", "jupytext")
    code += f"\nimport sys\nprint([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
