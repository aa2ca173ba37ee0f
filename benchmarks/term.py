"""A whole term with the real tools, and its grades computed a second time by other means.

    .venv/bin/python benchmarks/term.py                              # 40 students, all assignments, four times
    .venv/bin/python benchmarks/term.py --students 5 --names 02-soft-dictionary 05-self-attention --ways sqlite

An invented class hands in: right answers and honest mistakes, those of `tests/answers/`, in time and late, some twice.
A test that is wrong is graded with and then mended. Questions in words are graded in nbgrader's formgrader, in a real
browser. Feedback is written and grades are exported. All of it is done as often as there are ways: with SQLite, a
second time, with PostgreSQL, and on the workers of a Dask scheduler. Every way must export the same, byte for byte, and
each total must be the one that this script computes from the answers, without the grader. All that a student gets is
searched for the lines of hidden tests. What came out is written to benchmarks/term.json; a way that is there is not
gone again.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import math
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from nbformat import NotebookNode
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browsing import jupyter, save_field  # noqa: E402
from leaks import below, leaks, secret_lines, unpack  # noqa: E402
from support import Answer, handed_in, load_answers, points, reads, reference, submission  # noqa: E402

from course_utils import release  # noqa: E402
from course_utils.notebooks import grade_id, is_test, nbgrader_of, points_of  # noqa: E402

BIN = Path(sys.executable).parent
WAYS = ("sqlite", "again", "postgresql", "dask")
DUE = datetime(2026, 10, 12, 21, 59, tzinfo=UTC)  # of the first assignment; one a week
GRACE, PER_DAY, AT_MOST, DROPPED = 15, 10, 50, 1  # minutes, percent, percent, assignments
WRONG_TEST = 'assert False, "a test that no answer passes"'


# --- what the class does ------------------------------------------------------------------------------------------


@dataclass
class Work:
    """What one student hands in for one assignment.

    Attributes:
        mistakes: the wrong answers in it, at most one to a problem.
        late: seconds after the due date; negative where it is early.
        before: the mistakes of a first submission, where there were two.
        marks: points that a person gives to each question in words.
    """

    mistakes: list[Answer]
    late: int
    before: list[Answer] | None = None
    marks: dict[str, float] = field(default_factory=dict)


@dataclass
class Plan:
    """A term, decided by a seed: assignments, what everybody hands in, extensions and weights."""

    made: dict[str, release.Released]
    works: dict[str, dict[str, Work]]  # student → assignment → work; what is not there was not handed in
    extensions: dict[str, dict[str, int]]  # assignment → student → days
    weights: dict[str, int]
    wrong: str  # the assignment whose test is mended, the last hidden one of its first problem

    @property
    def students(self) -> list[str]:
        """Everybody's id, sorted."""
        return sorted(self.works)


def planned(names: list[str], students: int, seed: int = 2026) -> Plan:
    """Draw the term: stronger and weaker students, a few of them often late."""
    draw = random.Random(seed)
    made = {name: release.build(ROOT, name) for name in names}
    wrong = {name: [a for a in load_answers(name) if a.kind == "wrong" and not a.enforced_by] for name in names}
    plan = Plan(made, {}, {}, {name: draw.choice([1, 1, 2]) for name in names}, names[0])
    for number in range(students):
        strength, often_late = draw.random(), draw.random() < 0.2
        student = plan.works.setdefault(f"s{number:03}", {})
        for name in names:
            if draw.random() > 0.95:
                continue
            work = Work(_mistakes(draw, wrong[name], strength), _late(draw, often_late))
            if draw.random() < 0.15:
                work.before = _mistakes(draw, wrong[name], strength / 2)
            work.marks = {cell: float(draw.randint(0, 2 * most) / 2) for cell, most in in_words(made[name]).items()}
            student[name] = work
    for name in names:
        plan.extensions[name] = {one: draw.randint(1, 3) for one in draw.sample(plan.students, max(1, students // 20))}
    return plan


def _mistakes(draw: random.Random, wrong: list[Answer], strength: float) -> list[Answer]:
    """Fewer of them the stronger a student is; no two that replace the same cell."""
    chosen: list[Answer] = []
    for answer in draw.sample(wrong, min(len(wrong), 6)):
        free = not any(answer.cells.keys() & other.cells.keys() for other in chosen)
        if free and draw.random() > strength:
            chosen.append(answer)
    return chosen


def _late(draw: random.Random, often: bool) -> int:
    if draw.random() < (0.5 if often else 0.1):
        return draw.choice([60, 14 * 60, 16 * 60, draw.randint(3600, 8 * 86400)])
    return -draw.randint(60, 3 * 86400)


def in_words(made: release.Released) -> dict[str, int]:
    """The cells that a person grades, with their points."""
    cells = reads(made.instructor).cells
    return {grade_id(c): int(points_of(c)) for c in cells if nbgrader_of(c).get("grade") and not is_test(c)}


# --- what everybody should get ------------------------------------------------------------------------------------


def earned(plan: Plan, name: str, work: Work) -> float:
    """Points of a submission, by what its mistakes are known to lose."""
    worth, lost = points(plan.made[name]), {cell for answer in work.mistakes for cell in answer.fails}
    return sum(value for cell, value in worth.items() if cell not in lost) + sum(work.marks.values())


def expected(plan: Plan, student: str, name: str) -> tuple[float, float]:
    """Points earned, and what lateness takes of them."""
    work = plan.works[student][name]
    seconds = work.late - 86400 * plan.extensions[name].get(student, 0) - 60 * GRACE
    days = -(-max(0, seconds) // 86400)
    score = earned(plan, name, work)
    return score, score * min(AT_MOST, PER_DAY * days) / 100


def totals(plan: Plan) -> dict[str, float]:
    """The term in per cent: lowest ones dropped, the others by weight."""
    found = {}
    for student, works in plan.works.items():
        shares = {}
        for name, made in plan.made.items():
            score, penalty = expected(plan, student, name) if name in works else (0.0, 0.0)
            shares[name] = 100 * (score - penalty) / (100 + sum(in_words(made).values()))
        kept = sorted(shares, key=lambda name: (shares[name], -plan.weights[name]))
        kept = kept[min(DROPPED, len(kept) - 1) :]
        found[student] = sum(plan.weights[n] * shares[n] for n in kept) / sum(plan.weights[n] for n in kept)
    return found


# --- what is on the disk ------------------------------------------------------------------------------------------


def repository(folder: Path, plan: Plan) -> Path:
    """A repository of sources, the first assignment with a hidden test that is wrong."""
    for part in ("solutions", "exercises"):
        shutil.copytree(ROOT / part, folder / part)
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    source = folder / "solutions" / plan.wrong / f"{plan.wrong}.md"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("### END HIDDEN TESTS", f"{WRONG_TEST}\n### END HIDDEN TESTS", 1), encoding="utf-8")
    return folder


def mended(plan: Plan) -> str:
    """The graded cell that the wrong test is in: the first with hidden tests."""
    return next(grade_id(c) for c in reads(plan.made[plan.wrong].instructor).cells if "END HIDDEN TESTS" in c.source)


def cells_of(mistakes: list[Answer]) -> dict[str, str]:
    """The cells that a submission with these mistakes has in the place of the reference's."""
    return {cell: text for answer in mistakes for cell, text in answer.cells.items()}


def hand_in(course: Path, plan: Plan, *, first: bool) -> None:
    """Put everybody's folders down: first submissions, or those that count."""
    for student, works in plan.works.items():
        for place, (name, made) in enumerate(plan.made.items()):
            if name not in works or (first and works[name].before is None):
                continue
            work, due = works[name], DUE + timedelta(weeks=place)
            mistakes, late = (work.before or [], -9 * 86400) if first else (work.mistakes, work.late)
            cells = cells_of(mistakes)
            folder = course / "submitted" / student / name
            files = handed_in(made, cells)
            files[f"{name}.ipynb"] = json.dumps(_in_words(made, submission(made, cells), student)).encode()
            files["timestamp.txt"] = f"{due + timedelta(seconds=late):%Y-%m-%d %H:%M:%S} UTC\n".encode()
            for path, content in files.items():
                release.write_atomically(folder / path, content)


def _in_words(made: release.Released, nb: NotebookNode, student: str) -> NotebookNode:
    """The notebook with an answer to each question in words."""
    for cell in nb.cells:
        if grade_id(cell) in in_words(made):
            cell.source = f"The answer of {student}: the weights say where was looked, not why; $\\sum_i w_i = 1$."
    return nb


def rules(plan: Plan) -> str:
    """The class's ``course.toml``."""
    lines = ["[lateness]", f"grace_minutes = {GRACE}", f"percent_per_day = {PER_DAY}", f"at_most_percent = {AT_MOST}"]
    lines += ["[term]", f"drop_lowest = {DROPPED}"]
    for place, name in enumerate(plan.made):
        due = DUE + timedelta(weeks=place)
        lines += [f"[assignments.{name}]", f"due = {due:%Y-%m-%dT%H:%M:%SZ}", f"weight = {plan.weights[name]}"]
        lines += [f"[assignments.{name}.extensions]"]
        lines += [f'{student} = "{days} days"' for student, days in plan.extensions[name].items()]
    return "\n".join(lines) + "\n"


# --- one way through the term -------------------------------------------------------------------------------------


class Term:
    """A course folder, and the commands that an instructor types there."""

    def __init__(self, folder: Path, plan: Plan, options: list[str], db: list[str]) -> None:
        self.plan, self.options, self.db = plan, options, db
        self.root, self.course = repository(folder / "repository", plan), folder / "course"
        self.course.mkdir()
        (self.course / "course.toml").write_text(rules(plan), encoding="utf-8")
        self.seconds: dict[str, float] = {}

    def type(self, *words: str) -> str:
        """Type a command, and return what it prints."""
        command = [str(BIN / "course"), words[0], *words[1:], "--course", str(self.course), *self.db]
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(command, cwd=self.root, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add up the seconds that a kind of work takes."""
        began = time.monotonic()
        yield
        self.seconds[what] = round(self.seconds.get(what, 0.0) + time.monotonic() - began, 1)

    def run(self) -> dict[str, str]:
        """The whole term; what is exported at its end, by the file's name."""
        for first in (True, False):
            hand_in(self.course, self.plan, first=first)
            for name in self.plan.made:
                if (self.course / "submitted").exists() and any(self.course.glob(f"submitted/*/{name}")):
                    with self.timed("grading"):
                        self.type("grade", name, *self.options)
        self.mend()
        with self.timed("by hand"), formgrader(self) as page:
            grade_by_hand(page, self.plan)
        for name in self.plan.made:
            with self.timed("feedback"):
                self.type("feedback", name)
        return self.exports()

    def mend(self) -> None:
        """Mend the wrong test: a preview says whose points change, and nothing is written until it is."""
        name, cell = self.plan.wrong, mended(self.plan)
        source = self.root / "solutions" / name / f"{name}.md"
        text = source.read_text(encoding="utf-8").replace(f"{WRONG_TEST}\n", "")
        source.write_text(text, encoding="utf-8")
        before = self.type("report", name, "--format", "csv")
        said = self.type("grade", name, *self.options, "--preview")
        works = [works[name] for works in self.plan.works.values() if name in works]
        up = sum(cell not in {lost for answer in work.mistakes for lost in answer.fails} for work in works)
        if f"{up} up, 0 down, {len(works) - up} same" not in " ".join(said.split()):
            raise RuntimeError(f"the preview was to say {up} up, 0 down, {len(works) - up} same: {said}")
        if self.type("report", name, "--format", "csv") != before:
            raise RuntimeError("the preview has written something")
        with self.timed("grading"):
            self.type("grade", name, *self.options)

    def exports(self) -> dict[str, str]:
        """All that is handed on at the end of a term."""
        found = {"term.csv": self.type("report", "--format", "csv")}
        people = ["id,first_name,last_name,email,lms_user_id"]
        people += [f"{s},{s.upper()},Example,{s}@example.org,{9000 + n}" for n, s in enumerate(self.plan.students)]
        (self.course / "students.csv").write_text("\n".join(people) + "\n", encoding="utf-8")
        for name in self.plan.made:
            for form in ("csv", "canvas", "moodle", "html"):
                found[f"{name}.{form}"] = self.type("report", name, "--format", form)
        return found


@contextlib.contextmanager
def formgrader(term: Term) -> Iterator[Page]:
    """Open nbgrader's formgrader on the course in a browser."""
    home = term.course.parent / "home"
    home.mkdir()
    with jupyter(home, "course", "formgrader", "--course", term.course, *term.db, cwd=term.root) as address:
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))))
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(address)
            yield page
            browser.close()


def grade_by_hand(page: Page, plan: Plan) -> None:
    """Give every answer in words its points, student after student, as an instructor does."""
    first = page.url
    for name in (name for name, made in plan.made.items() if in_words(made)):
        page.goto(first)
        page.get_by_role("link", name="Manual Grading").click()
        for _ in ("assignment", "notebook"):
            page.locator("td").get_by_role("link", name=name).click()
        links = page.locator("td a[href*='/submissions/']")
        links.first.wait_for()  # the table is filled by a script, all at once
        for address in dict.fromkeys(links.evaluate_all("links => links.map(each => each.href)")):
            page.goto(address)
            student = re.search(r"The answer of (\w+):", page.locator("body").inner_text())
            assert student is not None
            for cell, mark in plan.works[student[1]][name].marks.items():
                save_field(page, cell, f"{mark:g}")


# --- checks -------------------------------------------------------------------------------------------------------


def differing(plan: Plan, exports: dict[str, str]) -> list[str]:
    """Where an export says something else than this script computed."""
    faults = []
    for name in plan.made:
        rows = {row["student"]: row for row in csv.DictReader(exports[f"{name}.csv"].splitlines())}
        for student in plan.students:
            if (name in plan.works[student]) != (student in rows):
                faults.append(f"{name}: {student} is there or not, against the plan")
            elif student in rows:
                score, penalty = expected(plan, student, name)
                said = [float(rows[student][column]) for column in ("score", "penalty", "total")]
                if not all(map(math.isclose, said, (score, penalty, score - penalty))):
                    faults.append(f"{name}: {student} has {said}, expected {score:g} less {penalty:g}")
    said = {row["student"]: float(row["total"]) for row in csv.DictReader(exports["term.csv"].splitlines())}
    for student, total in totals(plan).items():
        if not math.isclose(said.get(student, -1.0), total, rel_tol=1e-9):
            faults.append(f"term: {student} has {said.get(student)}, expected {total:.10g}")
    return faults


def leaks_before(folder: Path, plan: Plan) -> dict[str, object]:
    """Hidden tests in what students get before they hand in: the bundle, and `course check` of the worst answers."""
    secret = [line for lines in secret_lines(plan.made.values()).values() for line in lines]
    said, zipped = folder / "said", folder / "bundle.zip"
    subprocess.run([str(BIN / "course"), "bundle", "--output", str(zipped)], cwd=ROOT, check=True, capture_output=True)
    unpack(zipped, folder / "bundle")
    given = below(folder / "bundle")
    faults = leaks(given, secret)
    said.mkdir()
    for name, made in plan.made.items():
        work = max((works[name] for works in plan.works.values() if name in works), key=lambda work: len(work.mistakes))
        notebook = next((folder / "bundle").rglob(f"{name}.ipynb"))
        cells = cells_of(work.mistakes)
        for path, content in handed_in(made, cells).items():
            release.write_atomically(notebook.parent / path, content)
        notebook.write_text(json.dumps(submission(made, cells)), encoding="utf-8")
        done = subprocess.run([str(BIN / "course"), "check", str(notebook)], capture_output=True, text=True)
        (said / name).write_text(done.stdout + done.stderr, encoding="utf-8")
    faults += leaks(below(said), secret)
    return {"files": len(given) + len(below(said)), "lines": len(secret), "leaks": faults}


def written(plan: Plan) -> list[str]:
    """All code that students of the plan write."""
    answers = [text for name in plan.made for answer in load_answers(name) for text in answer.cells.values()]
    return answers + [text for made in plan.made.values() for text in reference(made).values()]


# --- the ways -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def way(kind: str, folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    """What a way of grading needs, started: options of `course grade`, and where the gradebook is."""
    if kind == "postgresql":
        from postgresql import programs, running

        if (found := programs()) is None:
            sys.exit("no PostgreSQL here: sudo apt-get install postgresql, or leave this way out with --ways")
        with running(found) as server:
            yield [], ["--db", server.new()]
    elif kind == "dask":
        with scheduler(folder) as address:
            yield ["--scheduler", address], []
    else:
        yield [], []


@contextlib.contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """A Dask scheduler with two workers, each a process of its own, as on other machines."""
    told = folder / "scheduler.json"
    dask, quiet = str(BIN / "dask"), {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with contextlib.ExitStack() as stack:
        words = [dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        stack.enter_context(_running([*words, "--scheduler-file", str(told)], **quiet))
        while not told.exists() or not told.read_text():
            time.sleep(0.1)
        address = json.loads(told.read_text())["address"]
        for _ in range(2):
            worker = [dask, "worker", address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard"]
            stack.enter_context(_running([*worker, "--local-directory", str(folder)], **quiet))
        yield address


@contextlib.contextmanager
def _running(words: list[str], **options: int) -> Iterator[None]:
    process = subprocess.Popen(words, **options)  # type: ignore[call-overload]
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Go through the term by every way, and compare."""
    known = release.assignments(ROOT)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--students", type=int, default=40)
    parser.add_argument("--names", nargs="+", default=known, choices=known, metavar="NAME")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "term.json")
    chosen = parser.parse_args()
    plan = planned(chosen.names, chosen.students)
    record = {
        "students": chosen.students,
        "assignments": chosen.names,
        "submissions": sum(map(len, plan.works.values())),
        "resubmissions": sum(work.before is not None for works in plan.works.values() for work in works.values()),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "nbgrader": version("nbgrader")},
    }
    known = json.loads(chosen.output.read_text()) if chosen.output.exists() else {}
    if not record.items() <= known.items():
        with tempfile.TemporaryDirectory() as folder:
            known = record | {"given_out": leaks_before(Path(folder), plan), "runs": {}}
    print("what students get: {files} files, {lines} lines of hidden tests, found {leaks}".format(**known["given_out"]))
    for kind in chosen.ways:
        if kind not in known["runs"]:
            known["runs"][kind] = once(kind, plan)
            chosen.output.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    runs = list(known["runs"].values())
    same = len({run["sha256"] for run in runs}) == 1
    print(
        f"{known['submissions']} submissions, {', '.join(known['runs'])}: {'same bytes' if same else 'EXPORTS DIFFER'}"
    )
    if known["given_out"]["leaks"] or not same or any(run["faults"] for run in runs):
        sys.exit("the term did not come out as it should: see the record")


def once(kind: str, plan: Plan, told: Callable[[str], None] = print) -> dict[str, object]:
    """One way through the term: seconds, faults, and a hash over all that was exported."""
    with tempfile.TemporaryDirectory() as name, way(kind, Path(name)) as (options, db):
        term = Term(Path(name), plan, options, db)
        exports = term.run()
        given = below(*(term.course / part for part in ("feedback", "autograded", "logs")))
        faults = differing(plan, exports)
        for name, secret in secret_lines(plan.made.values(), written(plan)).items():
            faults += leaks([path for path in given if name in path.parts or path.stem == name], secret)
    digest = hashlib.sha256(json.dumps(exports, sort_keys=True).encode()).hexdigest()
    told(f"{kind}: {term.seconds}, {len(faults)} faults{''.join(f'{chr(10)}  {fault}' for fault in faults[:10])}")
    return {"seconds": term.seconds, "faults": faults, "sha256": digest}


if __name__ == "__main__":
    main()
