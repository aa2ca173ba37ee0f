"""What measures a machine: `course measure` and `course bench`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from course_utils.cli.app import WIDEST, FailureError, MisuseError, app, new_console

if TYPE_CHECKING:
    from rich.console import Console


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

    console = new_console()
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
    console = new_console()
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
