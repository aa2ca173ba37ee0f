"""How fast the book is built: by jupyter-book itself against over the cores, then unchanged and with other prose.

    .venv/bin/python benchmarks/book.py        # about ten minutes, on an otherwise idle machine

By itself means without the extension that runs the cells over the cores and has pages read and written over them;
everything else is the same. Both build from nothing, each in a temporary copy of the repository. The figures are
printed and written to benchmarks/book.json.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from course_utils.measuring import processor

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("jupyter-book", "sphinx", "myst-nb", "jupyter-cache", "nbclient", "torch")
LEFT_OUT = shutil.ignore_patterns("_build", ".git", ".venv", "__pycache__", ".*_cache")
CHANGES = {  # what is taken out of a file, and what is put in its place
    "_config.yml": ("    course_execute: book/_ext\n", ""),
    "book/05-self-attention.md": ("Three places had a part in this", "Three places had a share in this"),
}


def copied(folder: str) -> Path:
    """A copy of the repository with nothing built; its environment is the repository's own."""
    copy = Path(folder, "course")
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy


def change(copy: Path, name: str) -> None:
    """Make one of the changes."""
    old, new = CHANGES[name]
    text = (copy / name).read_text(encoding="utf-8")
    if old not in text:
        raise SystemExit(f"benchmarks/book.py: {name} does not have {old!r} any more")
    (copy / name).write_text(text.replace(old, new), encoding="utf-8")


def processors() -> float:
    """Seconds that the processors have worked for builds that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def build(copy: Path, what: str) -> dict[str, float]:
    """Build the book in a copy: seconds by the clock, and of processors."""
    before, began = processors(), time.monotonic()
    subprocess.run(
        [copy / ".ci" / "book"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "src")},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took = {"seconds": round(time.monotonic() - began, 1), "processors": round(processors() - before, 1)}
    print(f"{what:30}{took['seconds']:8.1f} s {took['processors']:8.1f} s of processors", flush=True)
    return took


def main() -> None:
    built = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(folder)
        change(copy, "_config.yml")
        built["by itself, cold"] = build(copy, "by itself, cold")
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(folder)
        for what in ("over the cores, cold", "unchanged", "chapter 05 in other words"):
            if what.startswith("chapter"):
                change(copy, "book/05-self-attention.md")
            built[what] = build(copy, what)
    ratio = built["by itself, cold"]["seconds"] / built["over the cores, cold"]["seconds"]
    print(f"over the cores {ratio:.2f} × as fast; {processor()}, {os.cpu_count()} processors, {platform.platform()}")
    record = {
        "machine": {"processor": processor(), "processors": os.cpu_count(), "system": platform.platform()},
        "versions": {name: version(name) for name in PACKAGES},
        "built": built,
        "ratio": round(ratio, 3),
    }
    (ROOT / "benchmarks" / "book.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
