"""What keeps a course: `course backup` and `course restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course_utils.cli.app import app, grade_extra, new_console
from course_utils.cli.teaching import Course, Db


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup, a zip that is not there yet.")],
    course: Course = Path(),
    db: Db = "",
) -> None:
    """Write the gradebook, submitted/, autograded/, feedback/, logs/, course.toml and students.csv into one file."""
    with grade_extra():
        from course_utils.grading.backup import backup
    contents = backup(course, file, db)
    console = new_console()
    for line in contents.left_out:
        console.print(f"Left out: {line!r}", markup=False, style="yellow")
    console.print(f"{file}: {contents}", markup=False)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `course backup` wrote.")],
    course: Course = Path(),
    db: Db = "",
    force: Annotated[bool, typer.Option("--force", help="Where something is, which is kept aside.")] = False,
) -> None:
    """Put a course as a backup has it into DIR and the gradebook, which may be another kind of database."""
    with grade_extra():
        from course_utils.grading.restore import restore
    contents, aside = restore(file, course, db, force=force)
    console = new_console()
    console.print(f"{course}: {contents}", markup=False)
    if aside:
        console.print(f"What was there before: {aside}", markup=False)
