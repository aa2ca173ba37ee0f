"""The program itself: its errors, its exit status, and what several commands need."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from course_utils._errors import CourseError

if TYPE_CHECKING:
    from rich.console import Console

WIDEST = 100  # columns: longer lines of prose are hard to read
INTERRUPTED = 130

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


def _root() -> Path:
    """The repository: the nearest folder upwards that has the sources, else the one this package runs from."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[3]):
        if (folder / "solutions").is_dir() and (folder / "exercises").is_dir():
            return folder
    raise MisuseError("not inside the course's repository: go to the folder that holds solutions/ and exercises/")


def repository_of(*names: str) -> tuple[Path, list[str]]:
    """The repository that has these assignments, and all that it has."""
    from course_utils.release import assignments

    root = _root()
    known = assignments(root)
    for name in names:
        if name not in known:
            raise MisuseError(f"no assignment {name!r} in solutions/; there are: {', '.join(known) or 'none yet'}")
    return root, known


def new_console() -> Console:
    """Where a command prints: nothing is highlighted, and no line is broken."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


@contextlib.contextmanager
def grade_extra() -> Iterator[None]:
    """Which package of the extra ``grade`` is missing is said in one line."""
    try:
        yield
    except ImportError as error:
        raise FailureError(f"grading needs {error.name}, which is not installed: pip install -e '.[grade]'") from error
