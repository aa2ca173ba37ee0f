"""How far a student has come with all notebooks: found, checked where they changed, gathered in a table and a page.

What a check gave is kept beside the notebooks (``progress.json``) by a hash of all that it depends on, so that only
what changed is run again. The file is a memory, nothing more: without it, everything is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from nbformat import NotebookNode

from course_utils import notebooks, selfcheck
from course_utils._errors import CourseError
from course_utils.notebooks import as_released, is_solution
from course_utils.places import found
from course_utils.release import write_atomically

NOT_BEGUN, BEGUN, READY, UNREADABLE = "not begun", "begun", "ready to hand in", "cannot be read"
PAGE, MEMORY = "progress.html", "progress.json"


class ProgressError(CourseError):
    """Progress cannot be told or written down; the message is one line."""


@dataclass(frozen=True)
class Standing:
    """How far one notebook is.

    Attributes:
        path: where it is, from the folder that was asked for.
        assignment: its name; empty where the notebook cannot be read.
        earned, available: points of the visible tests, so far and in all.
        hidden: points that the grader's hidden tests decide.
        passed, problems: how many problems pass their visible tests, and how many have some.
        state: "not begun", "begun", "ready to hand in" (all visible tests pass) or "cannot be read".
        note: what else is to be said, in one line.
    """

    path: str
    assignment: str = ""
    title: str = ""
    earned: float = 0
    available: float = 0
    hidden: float = 0
    passed: int = 0
    problems: int = 0
    state: str = UNREADABLE
    note: str = ""

    @property
    def name(self) -> str:
        """The assignment's name where the notebook lies under it, as released; else its path."""
        usual = f"{self.assignment}.ipynb"
        return self.assignment if self.path in (usual, f"{self.assignment}/{usual}") else self.path

    @property
    def counts(self) -> tuple[str, str]:
        """Points and problems in words; empty where nothing is known."""
        if not self.assignment:
            return "", ""
        return f"{self.earned:g} of {self.available:g}", f"{self.passed} of {self.problems}"


def survey(
    folder: Path, timeout: int = notebooks.CELL_TIMEOUT, told: Callable[[str], None] = lambda path: None
) -> list[Standing]:
    """Check every notebook of the course that changed since the last time.

    Args:
        folder: where the notebooks are, or the folders that hold them.
        timeout: seconds that one cell may take.
        told: is called with the path of each notebook that is run.

    Returns:
        A standing for each notebook, in the order of their paths; those of other courses are left out.

    Raises:
        ProgressError: there is no notebook of the course, or the folder cannot be written to.
    """
    digests, standings = {path: _digest(path, timeout) for path in found(folder)}, []
    kept = {digest: fields for digest, fields in _kept(folder).items() if digest in digests.values()}
    for path, digest in digests.items():
        name = path.relative_to(folder).as_posix()
        try:
            if digest not in kept:
                kept[digest] = asdict(_standing(path, name, timeout, told))
                _write(folder / MEMORY, json.dumps(kept, indent=1, sort_keys=True) + "\n")
            standings.append(replace(Standing(**kept[digest]), path=name))
        except selfcheck.ForeignError:
            continue
        except selfcheck.UnreadableError as error:
            standings.append(Standing(name, note=_without(path, error)))
        except selfcheck.CheckError as error:  # not kept: it may go better the next time
            start = _before(selfcheck.read(path), name)
            standings.append(replace(start, state=BEGUN, note=_without(path, error)))
    if not standings:
        raise ProgressError(f"no notebook of this course in {folder} or the folders in it: name the one that has them")
    return standings


def _without(path: Path, error: selfcheck.CheckError) -> str:
    """What an error says, without the path that the table has already."""
    return str(error).removeprefix(str(path)).removeprefix(":").strip()


def _digest(path: Path, timeout: int) -> str:
    """Of what a check depends on: the notebook, its name, the record beside it, the limit, the course's version."""
    digest = hashlib.sha256(f"{notebooks.package_version()}\0{path.name}\0{timeout}\0".encode())
    for file in (path, path.with_name("measurements.json")):
        with contextlib.suppress(OSError):  # what cannot be read, reading the notebook will say
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _kept(folder: Path) -> dict[str, dict[str, Any]]:
    """What was found earlier, by digest; nothing where the file is damaged."""
    try:
        kept = json.loads((folder / MEMORY).read_text(encoding="utf-8"))
        return {digest: asdict(Standing(**fields)) for digest, fields in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _standing(path: Path, name: str, timeout: int, told: Callable[[str], None]) -> Standing:
    """Check one notebook, without running what nobody has written anything into."""
    nb = selfcheck.read(path)
    start = _before(nb, name)
    if all(map(as_released, filter(is_solution, nb.cells))):
        return start
    told(name)
    report = selfcheck.check(path, timeout)
    return replace(
        start,
        earned=sum(result.earned for result in report.results),
        passed=sum(result.status == "passes" for result in report.results),
        state=READY if report.passed else BEGUN,
        note=f"`course check {path.name}` has notes on it" if report.passed and report.warnings else "",
    )


def _before(nb: NotebookNode, path: str) -> Standing:
    """The standing of a notebook into which nothing was written."""
    course, problems = nb.metadata["course"], selfcheck.expected(nb)
    available = sum(points for problem in problems for points in problem.visible.values())
    hidden = sum(points for problem in problems for points in problem.hidden.values())
    title = str(course.get("title", ""))
    tested = sum(bool(problem.visible) for problem in problems)
    return Standing(path, course["assignment"], title, 0, available, hidden, 0, tested, NOT_BEGUN)


# --- the sum, and the page --------------------------------------------------------------------------------------


def summary(standings: Iterable[Standing]) -> str:
    """All notebooks in a sentence; of copies of an assignment the best counts."""
    best: dict[str, Standing] = {}
    for one in standings:
        if one.assignment not in best or one.earned > best[one.assignment].earned:
            best[one.assignment] = one
    earned, available = (sum(getattr(one, name) for one in best.values()) for name in ("earned", "available"))
    passed, problems = (sum(getattr(one, name) for one in best.values()) for name in ("passed", "problems"))
    return f"{passed} of {problems} problems pass their visible tests: {earned:g} of {available:g} points so far."


def write_page(folder: Path, standings: Sequence[Standing]) -> Path:
    """Write the page beside the notebooks; it needs nothing but a browser.

    Raises:
        ProgressError: it cannot be written.
    """
    path, rows = folder / PAGE, "\n".join(map(_row, standings))
    notes = "\n".join(map(_note, filter(lambda one: one.note, standings)))
    _write(path, _PAGE.substitute(summary=summary(standings), rows=rows, notes=notes))
    return path


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise ProgressError(f"{path} cannot be written: {error.strerror}") from error


_SIGNS = {NOT_BEGUN: "○", BEGUN: "◐", READY: "●", UNREADABLE: "!"}


def _row(one: Standing) -> str:
    name, title = html.escape(one.name), html.escape(one.title)
    head = f'{name}<br><span class="title">{title}</span>' if title else name
    points, problems = one.counts
    if one.assignment:
        points += f'<meter max="{one.available:g}" value="{one.earned:g}" aria-label="Points of {name}"></meter>'
    state = f'<span aria-hidden="true">{_SIGNS[one.state]}</span> {one.state.capitalize()}'
    cells = "".join(f"<td>{cell}</td>" for cell in (points, problems, state))
    return f'<tr><th scope="row">{head}</th>{cells}</tr>'


def _note(one: Standing) -> str:
    return f"<p><strong>{html.escape(one.name)}</strong>: {html.escape(one.note)}</p>"


_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Your progress: the attention course</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2433; --paper: #fcfcfa; --muted: #596273; --line: #dcdfe4; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e3e6eb; --paper: #15181d; --muted: #a2abb9; --line: #343b46; }
  }
  body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; font: 1.0625rem/1.5 system-ui, sans-serif;
    color: var(--ink); background: var(--paper); }
  h1 { font-size: 1.6rem; }
  .wide { overflow-x: auto; }
  table { width: 100%; border-collapse: collapse; }
  caption { text-align: left; color: var(--muted); padding-bottom: .5rem; }
  th, td { text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); }
  tbody th { overflow-wrap: anywhere; min-width: 6rem; }
  .title { font-weight: 400; font-size: .875rem; color: var(--muted); overflow-wrap: anywhere; }
  meter { display: block; width: 7rem; height: .75rem; }
  p { overflow-wrap: anywhere; }
  @media (max-width: 40rem) { body { font-size: .9375rem; } meter { width: 4.5rem; } }
</style>
<main>
<h1>Your progress</h1>
<p>$summary</p>
<div class="wide" tabindex="0" role="region" aria-label="All notebooks">
<table>
<caption>Points are those of the visible tests; when a notebook is graded, hidden tests decide the others. An assignment
is ready to hand in when all its visible tests pass.</caption>
<thead><tr><th scope="col">Assignment</th><th scope="col">Points so far</th><th scope="col">Problems</th>
<th scope="col">State</th></tr></thead>
<tbody>
$rows
</tbody>
</table>
</div>
$notes
</main>
</html>
""")
