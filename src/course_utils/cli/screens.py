"""What an instructor types to work in a browser: `course formgrader`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course_utils.cli.app import app, grade_extra, repository_of
from course_utils.cli.teaching import Course, Db


@app.command()
def formgrader(
    course: Course = Path(),
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Or the next one that is free.")] = 8888,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it, or only print its address.")] = True,
    db: Db = "",
) -> None:
    """Open nbgrader's formgrader on a course folder: read what was handed in, grade by hand, comment."""
    with grade_extra():
        from course_utils.grading.formgrader import serve
    root, _ = repository_of()
    serve(root, course, db, port, browser)
