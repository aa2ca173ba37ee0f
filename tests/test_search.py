"""Search's index after a build of some pages only: the same as after a build of all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONF = f"""
import sys
sys.path.insert(0, {str(ROOT / "book" / "_ext")!r})
extensions = ["myst_parser", "course_search"]
"""
WORDS = "# Words\n\n```{glossary}\nvalue (of attention)\n  What is averaged.\n```\n"


def index_of(project: Path) -> dict:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", project, project / "_build"]
    subprocess.run(command, check=True)
    text = (project / "_build" / "searchindex.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))


def test_a_term_is_still_a_term_when_another_page_was_built_anew(tmp_path: Path) -> None:
    for name, text in {"conf.py": CONF, "index.md": "# One\n\n```{toctree}\nwords\n```\n", "words.md": WORDS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    first = index_of(tmp_path)["indexentries"]
    assert list(first) == ["value (of attention)"]
    (tmp_path / "index.md").write_text("# Two\n\n```{toctree}\nwords\n```\n", encoding="utf-8")
    assert index_of(tmp_path)["indexentries"] == first
