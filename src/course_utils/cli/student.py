"""What a student types, `course check` and `course progress`, and what is packed for students, `course bundle`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from course_utils.cli.app import WIDEST, FailureError, MisuseError, app, repository_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from course_utils.progress import Standing
    from course_utils.selfcheck import Report, Result

STYLES = {"passes": "green", "ready to hand in": "green"}
STYLES |= {"not written yet": "yellow", "graded by a person": "cyan", "cannot be read": "red"}


@app.command()
def check(
    notebook: Annotated[Path, typer.Argument(help="Your notebook, or the assignment's name.")],
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that one cell may take.")] = 120,
) -> int:
    """Run a notebook from top to bottom in a clean kernel and say of each problem what is right."""
    from course_utils import selfcheck
    from course_utils.places import located

    console, notebook = _console(), located(notebook, Path.cwd())
    with console.status(f"Running {notebook} from top to bottom") if console.is_terminal else console:
        try:
            report = selfcheck.check(notebook, timeout)
        except selfcheck.UnreadableError as error:
            raise MisuseError(str(error)) from error
    _show(console, report, notebook)
    return 0 if report.passed else 1


@app.command()
def progress(
    folder: Annotated[Path | None, typer.Argument(help="Your notebooks; the nearest exercises/ if none.")] = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that one cell may take.")] = 120,
) -> None:
    """Check all notebooks that changed since the last time, say how far each is, and write progress.html."""
    from rich.text import Text

    from course_utils import progress as gathering
    from course_utils.places import folder_of

    place = folder or folder_of(Path.cwd())
    if not place.is_dir():
        raise MisuseError(f"{place} is not a folder: name the one that holds your notebooks")
    console = _console()
    with console.status("Looking through the notebooks") as status:  # in a pipe it prints nothing

        def told(path: str) -> None:
            status.update(Text(f"Running {path} from top to bottom"))

        standings = gathering.survey(place, timeout, told)
    page = gathering.write_page(place, standings)
    console.print(_standings(standings))
    for one in standings:
        if one.note:
            console.print(f"Note: {one.name}: {one.note}", markup=False, style="yellow")
    console.print(gathering.summary(standings), style="bold")
    console.print(f"As a page for your browser: {page}", markup=False, soft_wrap=True)


@app.command()
def bundle(
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="The zip; its own name here if none.")] = None,
) -> None:
    """Pack what students get into one zip: exercises/, the package as a wheel and a first page, no solutions."""
    from course_utils import bundle as bundling
    from course_utils.release import write_atomically

    root, _ = repository_of()
    path = output or Path(f"{bundling.bundle_name()}.zip")
    if path.is_dir():
        raise MisuseError(f"{path} is a folder: name a file in it, such as {path / bundling.bundle_name()}.zip")
    content = bundling.bundle(root)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise FailureError(f"{path} cannot be written: {error.strerror}") from error
    print(f"{path}: {len(content) / 1e6:.1f} MB for students, no solutions and no hidden tests in it")


def _console() -> Console:
    """Where tables are printed: not wider than can be read."""
    from rich.console import Console

    console = Console(highlight=False)
    console.width = min(console.width, WIDEST)
    return console


def _show(console: Console, report: Report, notebook: Path) -> None:
    """Print the table, then what is not in it: the file, warnings and the summary."""
    console.print(_table(report))
    console.print(f"Checked as it was saved: {notebook}", markup=False, style="dim")
    for warning in report.warnings:
        console.print(f"Note: {warning}", markup=False, style="yellow")
    earned = sum(result.earned for result in report.results)
    available = sum(result.available for result in report.results)
    hidden = sum(result.hidden for result in report.results)
    tested = [result for result in report.results if not result.written]
    right = sum(result.status == "passes" for result in tested)
    written = sum(result.written for result in report.results)
    console.print(
        f"{right} of {len(tested)} problems pass their visible tests: {earned:g} of {available:g} points so "
        f"far. {hidden:g} more are decided by the grader's hidden tests."
        + (f" {written:g} are given by a person for what you wrote." if written else ""),
        style="bold",
    )


def _table(report: Report) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(f"{report.assignment}: {report.title}" if report.title else report.assignment, style="bold"),
        title_justify="left",
        box=box.HORIZONTALS,
        show_lines=True,
        expand=True,
        pad_edge=False,
    )
    table.add_column("Problem", ratio=3)
    table.add_column("Points\nso far", justify="right", no_wrap=True)
    table.add_column("Hidden\npoints", justify="right", no_wrap=True)
    table.add_column("What was found", ratio=6)
    for number, result in enumerate(report.results, start=1):
        points = "" if result.written else f"{result.earned:g} of {result.available:g}"
        table.add_row(
            Text(f"{number}. {result.title}"), points, "" if result.written else f"{result.hidden:g}", _found(result)
        )
    return table


def _standings(standings: Sequence[Standing]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.HORIZONTALS, expand=True, pad_edge=False)
    table.add_column("Notebook", ratio=1, overflow="fold")
    for title in ("Points\nso far", "Problems\npassed"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("State", no_wrap=True)
    for one in standings:
        table.add_row(Text(one.name), *one.counts, Text(one.state.capitalize(), style=STYLES.get(one.state, "")))
    return table


def _found(result: Result) -> Text:
    """The status in words, then the message, the forbidden names and what hidden tests will look at."""
    from rich.text import Text

    text = Text(result.status.capitalize(), style="")
    text.stylize(STYLES.get(result.status, "red"))
    if result.written:
        text.append(f": {result.written:g} points", style="default")
    for finding in result.forbidden:
        text.append(f"\n{finding.name} is forbidden here (line {finding.line} of your {finding.cell})")
    if result.message:
        text.append(f"\n{result.message}", style="default")
    if result.hidden_words:
        text.append(f"\nNot tested here. {result.hidden_words}", style="dim")
    return text
