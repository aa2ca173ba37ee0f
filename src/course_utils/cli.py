"""The command ``course``. Every error is one line on stderr that says what to do; ``--debug`` shows the traceback.

Exit status: 0 all is well, 1 something failed, 2 the command was used wrongly, 130 interrupted. What a command needs
is imported when it runs, so that ``course --help`` does not wait for it.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from course_utils import _quick  # noqa: F401 - before anything that imports nbformat
from course_utils._errors import CourseError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from course_utils.selfcheck import Report, Result

WIDEST = 100  # columns: longer lines of prose are hard to read
INTERRUPTED = 130
STYLES = {"passes": "green", "not written yet": "yellow"}

app = typer.Typer(
    help="The exercises of *Attention: From the Cocktail Party to FlashAttention*.",
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class MisuseError(Exception):
    """The command line asks for something that does not exist."""


class FailureError(CourseError):
    """What was asked for was tried and failed."""


def main() -> None:
    """Entry point of the console command: run it, and turn every error into one line and an exit status."""
    try:
        status = app(args=[word for word in sys.argv[1:] if word != "--debug"], standalone_mode=False) or 0
        if status == INTERRUPTED:  # Typer turns Ctrl-C into an exit without a word
            raise KeyboardInterrupt
        sys.exit(status)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted; nothing was left half-written", INTERRUPTED)
    except MisuseError as error:
        _fail(str(error), 2)
    except CourseError as error:
        _fail(str(error), 1)
    except Exception as error:
        usage = getattr(error, "format_message", None)  # the errors of Typer's own parser
        if usage is not None:
            _fail(f"{usage().strip()} See `course --help`.", 2)
        words = " ".join(f"{type(error).__name__}: {error}".split())
        _fail(f"unexpected error: {words} (`course --debug ...` shows where)", 1)


def _fail(line: str, status: int) -> None:
    if "--debug" in sys.argv:
        traceback.print_exc()
    print(f"course: {line}", file=sys.stderr)
    sys.exit(status)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    if version:
        from course_utils.notebooks import package_version

        print(f"course {package_version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


# --- course release ---------------------------------------------------------------------------------------------


@app.command()
def release(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Assignments; all if none.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare exercises/ with the sources.")] = False,
) -> int:
    """Make the student notebooks in exercises/ from their text sources in solutions/."""
    from course_utils import release as releasing

    root, known = _root_of(*(names or []))
    if check:
        return _compare(root, len(known))
    failed = 0
    for name in names or known:
        try:
            made = releasing.release(root, name)
        except releasing.ReleaseError as error:
            print(f"course: {error}", file=sys.stderr)
            failed = 1
        else:
            print(f"exercises/{name}/{name}.ipynb: {len(made.problems)} problems, reference 100, stub 0")
    return failed


def _compare(root: Path, count: int) -> int:
    from course_utils.release import up_to_date

    faults = up_to_date(root)
    for fault in faults:
        print(f"course: {fault}", file=sys.stderr)
    if not faults:
        print(f"exercises/ is up to date ({count} assignment{'' if count == 1 else 's'})")
    return 1 if faults else 0


def _root() -> Path:
    """The repository: the nearest folder upwards that has the sources, else the one this package runs from."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / "solutions").is_dir() and (folder / "exercises").is_dir():
            return folder
    raise MisuseError("not inside the course's repository: go to the folder that holds solutions/ and exercises/")


def _root_of(*names: str) -> tuple[Path, list[str]]:
    """The repository that has these assignments, and all that it has."""
    from course_utils.release import assignments

    root = _root()
    known = assignments(root)
    for name in names:
        if name not in known:
            raise MisuseError(f"no assignment {name!r} in solutions/; there are: {', '.join(known) or 'none yet'}")
    return root, known


# --- course check -----------------------------------------------------------------------------------------------


@app.command()
def check(
    notebook: Annotated[Path, typer.Argument(help="Your notebook, exercises/NAME/NAME.ipynb.")],
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that one cell may take.")] = 120,
) -> int:
    """Run a notebook from top to bottom in a clean kernel and say of each problem what is right."""
    from rich.console import Console

    from course_utils import selfcheck

    console = Console(highlight=False)
    console.width = min(console.width, WIDEST)
    with console.status(f"Running {notebook} from top to bottom") if console.is_terminal else console:
        try:
            report = selfcheck.check(notebook, timeout)
        except selfcheck.UnreadableError as error:
            raise MisuseError(str(error)) from error
    _show(console, report)
    return 0 if report.passed else 1


def _show(console: Console, report: Report) -> None:
    """Print the table, then what is not in it: warnings and the summary."""
    console.print(_table(report))
    for warning in report.warnings:
        console.print(f"Note: {warning}", markup=False, style="yellow")
    earned = sum(result.earned for result in report.results)
    available = sum(result.available for result in report.results)
    hidden = sum(result.hidden for result in report.results)
    right = sum(result.status == "passes" for result in report.results)
    console.print(
        f"{right} of {len(report.results)} problems pass their visible tests: {earned:g} of {available:g} points so "
        f"far. {hidden:g} more are decided by the grader's hidden tests.",
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
        points = f"{result.earned:g} of {result.available:g}"
        table.add_row(Text(f"{number}. {result.title}"), points, f"{result.hidden:g}", _found(result))
    return table


def _found(result: Result) -> Text:
    """The status in words, then the message, the forbidden names and, once it passes, what is still looked at."""
    from rich.text import Text

    text = Text(result.status.capitalize(), style="")
    text.stylize(STYLES.get(result.status, "red"))
    for finding in result.forbidden:
        text.append(f"\n{finding.name} is forbidden here (line {finding.line} of your {finding.cell})")
    if result.message:
        text.append(f"\n{result.message}", style="default")
    if result.status == "passes" and result.hidden_words:
        text.append(f"\nNot tested yet. {result.hidden_words}", style="dim")
    return text


# --- course measure ---------------------------------------------------------------------------------------------


@app.command()
def measure(
    notebook: Annotated[Path, typer.Argument(help="Your notebook of lab 2, saved.")],
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Beside the notebook if none.")] = None,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Where to measure.")] = "cpu",
) -> int:
    """Measure the tiled attention of lab 2 and its rivals, and write measurements.json to hand in."""
    if device not in ("cpu", "cuda"):
        raise MisuseError(f"no device {device!r}: there are cpu and cuda")
    from course_utils import measurements, measuring, selfcheck

    console = _console()
    try:
        with _bar(console) as told:
            path, record = measuring.measure(notebook, output, device, told)
    except selfcheck.UnreadableError as error:
        raise MisuseError(str(error)) from error
    text = path.read_text(encoding="utf-8")
    found = measurements.faults(text, notebook)
    for note in measurements.notes(text):
        console.print(f"Note: {note}", markup=False)
    shapes = len({(entry["dtype"], *entry["shape"]) for entry in record["entries"]})
    name, seconds = record["device"]["name"], record["wall_seconds"]
    console.print(f"{path}: {shapes} shapes on {name} in {seconds:.0f} s. Hand it in with the notebook.", markup=False)
    if found:
        raise FailureError(f"{path}: the grader would object: {found[0]}; does it say the same if you measure again?")
    return 0


@contextlib.contextmanager
def _bar(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for what is measured: to be called with what is done next, how many steps are done, and of how many."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("Measuring {task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("")
        yield lambda what, done, of: progress.update(task, description=what, completed=done, total=of)


# --- course bench -----------------------------------------------------------------------------------------------


@app.command()
def bench(
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Where; a GPU if there is one.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="A few small shapes, in seconds.")] = False,
    lengths: Annotated[str, typer.Option(metavar="N,N,...", help="Sequence lengths, in the place of the set's.")] = "",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the record, as JSON.")] = None,
) -> int:
    """Time attention on this machine: naive, torch's backends, tiled, Triton and FlexAttention, side by side."""
    if device not in ("", "cpu", "cuda"):
        raise MisuseError(f"no device {device!r}: there are cpu and cuda")
    numbers = _whole_numbers(lengths)
    from course_utils import bench as benching
    from course_utils import bench_table, measuring

    if output is not None:
        try:
            measuring.require_writable(output)
        except measuring.MeasureError as error:
            raise MisuseError(str(error)) from error
    console = _console()
    console.width = min(console.width, WIDEST)
    chosen = benching.settings(device or benching.device_at_hand(), quick=quick, lengths=numbers)
    with _bar(console) as told:
        record = benching.measure(chosen, told)
    bench_table.show(record, console)
    if output is not None:
        measuring.keep(output, record)
        console.print(f"{output}: the record", markup=False)
    if wrong := bench_table.wrong(record):
        raise FailureError(f"wrong results, and so not timed: {', '.join(wrong)}; the last table says where")
    return 0


def _whole_numbers(text: str) -> tuple[int, ...]:
    words = text.split(",") if text else []
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise MisuseError(f"--lengths: expected whole numbers from 1, with commas between, got {text!r}")
    return tuple(sorted({int(word) for word in words}))


# --- course grade, report, feedback -----------------------------------------------------------------------------

Name = Annotated[str, typer.Argument(metavar="NAME", help="The assignment.")]
Course = Annotated[Path, typer.Option("--course", metavar="DIR", help="nbgrader's course folder.")]
Db = Annotated[str, typer.Option("--db", metavar="URL", help="The gradebook; DIR/gradebook.db if not given.")]
Students = Annotated[list[str] | None, typer.Option("--student", metavar="ID", help="Only this one; may be repeated.")]


@app.command()
def grade(
    name: Name,
    course: Course = Path(),
    archive: Annotated[Path | None, typer.Option(metavar="ZIP", help="A learning platform's export.")] = None,
    student: Students = None,
    workers: Annotated[int, typer.Option(min=0, metavar="N", help="Graded at once; 0 is one a core.")] = 0,
    scheduler: Annotated[str | None, typer.Option(metavar="URL", help="A Dask scheduler, tcp://...")] = None,
    db: Db = "",
    regrade: Annotated[bool, typer.Option("--regrade", help="Also what has not changed.")] = False,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Without a sandbox: only for code that you trust.")] = False,
) -> None:
    """Grade DIR/submitted/<student>/NAME/NAME.ipynb into nbgrader's gradebook and DIR/autograded/."""
    if sys.platform != "linux":
        raise FailureError("grading needs Linux, whose sandbox it uses: grade in a virtual machine or on a server")
    with _grade_extra():
        from course_utils.grading.commands import Order, grade
    root, _ = _root_of(name)
    order = Order(root, name, course, archive, tuple(student or ()), workers, scheduler, db, regrade, unsafe)
    grade(order, _console())


@app.command()
def report(
    name: Name,
    course: Course = Path(),
    form: Annotated[str, typer.Option("--format", metavar="table|csv", help="How.")] = "table",
    db: Db = "",
) -> None:
    """Print the grades of an assignment, and what the class found hard."""
    if form not in ("table", "csv"):
        raise MisuseError(f"no format {form!r}: there are table and csv")
    with _grade_extra():
        from course_utils.grading.commands import show_report
    root, _ = _root_of(name)
    show_report(root, name, course, db, form, _console())


@app.command()
def feedback(name: Name, course: Course = Path(), student: Students = None, db: Db = "") -> None:
    """Write DIR/feedback/<student>/NAME/NAME.html: the student's work, points and messages, no hidden test."""
    with _grade_extra():
        from course_utils.grading.commands import give_feedback
    give_feedback(name, course, db, student or [], _console())


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _grade_extra() -> Iterator[None]:
    """Which package of the extra ``grade`` is missing is said in one line."""
    try:
        yield
    except ImportError as error:
        raise FailureError(f"grading needs {error.name}, which is not installed: pip install -e '.[grade]'") from error
