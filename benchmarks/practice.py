"""A class to practise on: invented students who handed in assignment 02, right, half right and late.

    .venv/bin/python benchmarks/practice.py ~/attention-practice

Writes nothing but `submitted/` in that folder, which must be new or without one. The answers are those that the tests
know, `tests/answers/02-soft-dictionary/`; one student handed in a text file.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import load_answers, submission  # noqa: E402

from course_utils import release  # noqa: E402

NAME = "02-soft-dictionary"
# Student: the answers that they put together, of several to one problem the last; and when they handed in.
CLASS = {
    "ada": (["einsum"], "2026-10-11 20:15:00 UTC"),
    "ben": (["einsum", "no_max_subtraction"], "2026-10-12 21:10:00 UTC"),
    "cem": (["loops", "softmax_over_queries", "no_factor_two"], "2026-10-12 08:00:00 UTC"),
    "dana": (["loops", "no_max_subtraction"], "2026-10-14 09:30:00 UTC"),
}


def main() -> None:
    """Make the class."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a course folder to be")
    submitted = parser.parse_args().folder.expanduser() / "submitted"
    if submitted.exists():
        sys.exit(f"{submitted} is there already: give a new folder")
    made = release.build(ROOT, NAME)
    answers = {answer.name: answer for answer in load_answers(NAME)}
    for student, (named, handed_in) in CLASS.items():
        cells = {name: text for each in named for name, text in answers[each].cells.items()}
        folder = submitted / student / NAME
        folder.mkdir(parents=True)
        (folder / f"{NAME}.ipynb").write_text(json.dumps(submission(made, cells)), encoding="utf-8")
        (folder / "timestamp.txt").write_text(f"{handed_in}\n", encoding="utf-8")
    (submitted / "eve" / NAME).mkdir(parents=True)
    (submitted / "eve" / NAME / f"{NAME}.ipynb").write_text("I forgot to save it, sorry.\n", encoding="utf-8")
    print(f"{submitted}: {len(CLASS) + 1} students")


if __name__ == "__main__":
    main()
