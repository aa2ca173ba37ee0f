"""What a class costs: seconds, memory and disk of every step from grading to a restored backup, by the class's size.

    .venv/bin/python benchmarks/class.py                   # 30, 300 and 1,000 students: on two cores about 20 minutes
    .venv/bin/python benchmarks/class.py --sizes 10 30 --computed 100 --out /tmp/class.json

One assignment that imports torch, handed in by every student (as in grading.py), on an otherwise idle machine, with a
worker for each core and the gradebook in SQLite. A size is written to benchmarks/class.json when it is done, and one
that is there is not measured again on the same machine; --again forgets it. Larger classes are computed and said to be:
on a straight line through the two largest that were measured. How far such a line through the smaller ones misses the
largest is written beside it.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from grading import BIN, NAME, ROOT, course_folder, machine, timed

from course_utils import release

FOLDERS = ("submitted", "autograded", "feedback", "logs")
Cost = dict[str, dict[str, float]]


def measured(folder: Path, made: release.Released, size: int) -> dict[str, Any]:
    """Every step for a class of this size."""
    course, backup = course_folder(folder / str(size), made, size), folder / f"{size}.zip"
    where = ("--course", course)
    steps: dict[str, tuple[object, ...]] = {
        "grade": ("grade", NAME, *where),
        "grade, nothing changed": ("grade", NAME, *where),
        "report": ("report", NAME, *where, "--format", "csv"),
        "feedback": ("feedback", NAME, *where),
        "backup": ("backup", backup, *where),
        "restore": ("restore", backup, "--course", folder / f"{size}-restored"),
    }
    runs = {name: timed(course, BIN / "course", *words, every=0.5) for name, words in steps.items()}
    with closing(sqlite3.connect(course / "gradebook.db")) as gradebook:
        gradebook.execute("VACUUM")  # its size then depends on what is in it alone
    disk = {name: sum(path.stat().st_size for path in (course / name).rglob("*") if path.is_file()) for name in FOLDERS}
    disk |= {"gradebook": (course / "gradebook.db").stat().st_size, "backup": backup.stat().st_size}
    return {
        "students": size,
        "seconds": {name: run["seconds"] for name, run in runs.items()},
        "memory_mib": {name: run["memory_mib"] for name, run in runs.items()},
        "disk_mib": {name: bytes_ / 2**20 for name, bytes_ in disk.items()},
    }


def computed(first: dict[str, Any], second: dict[str, Any], size: int) -> dict[str, Any]:
    """What a straight line through two sizes says of another."""
    share = (size - first["students"]) / (second["students"] - first["students"])
    kinds = ("seconds", "memory_mib", "disk_mib")
    line: Cost = {
        kind: {name: value + share * (second[kind][name] - value) for name, value in first[kind].items()}
        for kind in kinds
    }
    return {"students": size, **line}


def record(runs: list[dict[str, Any]], sizes: list[int]) -> dict[str, Any]:
    """All that is known: what was measured, what follows, and how good that is."""
    runs = sorted(runs, key=lambda run: run["students"])
    found: dict[str, Any] = {"machine": machine(), "assignment": NAME, "measured": runs, "computed": []}
    if len(runs) >= 2:
        found["computed"] = [computed(*runs[-2:], size) for size in sizes if size > runs[-1]["students"]]
    if len(runs) >= 3:
        line = computed(*runs[-3:-1], runs[-1]["students"])
        found["measured_by_line"] = {
            kind: {name: runs[-1][kind][name] / value for name, value in line[kind].items() if value > 0}
            for kind in ("seconds", "memory_mib", "disk_mib")
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[30, 300, 1000], help="classes that are measured")
    parser.add_argument("--computed", type=int, nargs="*", default=[10_000], help="classes that are computed")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"), help="where figures go")
    options = parser.parse_args()
    before = json.loads(options.out.read_text()) if options.out.exists() and not options.again else {}
    runs = before["measured"] if before.get("machine") == machine() else []
    made = release.build(ROOT, NAME)
    for size in options.sizes:
        if size in [run["students"] for run in runs]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            runs.append(measured(Path(folder), made, size))
        print(json.dumps(runs[-1], indent=1), flush=True)
        text = json.dumps(record(runs, options.computed), indent=1) + "\n"
        release.write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
