"""What an instructor types: `course release`, `grade`, `report`, `similar` and `feedback`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from course_utils.cli.app import FailureError, MisuseError, app, grade_extra, new_console, repository_of

FORMS = ("table", "csv", "html", "canvas", "moodle")
Overlay = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The class's own seeds and hidden tests, outside the repository.")
]


@app.command()
def release(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Assignments; all if none.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare exercises/ with the sources.")] = False,
    overlay: Overlay = None,
) -> int:
    """Make the student notebooks in exercises/ from their text sources in solutions/."""
    from course_utils import release as releasing
    from course_utils.overlay import OverlayError

    root, known = repository_of(*(names or []))
    if check:
        return _compare(root, len(known))
    failed = 0
    for name in names or known:
        try:
            made = releasing.release(root, name, overlay)
        except (releasing.ReleaseError, OverlayError) as error:
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
    overlay: Overlay = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only say whose points would change.")] = False,
) -> None:
    """Grade DIR/submitted/<student>/NAME/NAME.ipynb into nbgrader's gradebook and DIR/autograded/."""
    if sys.platform != "linux":
        raise FailureError("grading needs Linux, whose sandbox it uses: grade in a virtual machine or on a server")
    with grade_extra():
        from course_utils.grading.commands import Order, grade
    root, _ = repository_of(name)
    students = tuple(student or ())
    order = Order(root, name, course, archive, students, workers, scheduler, db, regrade, unsafe, overlay, preview)
    grade(order, new_console())


Output = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write to this file.")]


@app.command()
def report(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The assignment; the term if none.")] = None,
    course: Course = Path(),
    form: Annotated[str, typer.Option("--format", metavar="|".join(FORMS), help="How.")] = "table",
    output: Output = None,
    db: Db = "",
) -> None:
    """Print the grades of an assignment and what the class found hard, or write them for a platform to import.

    Without a NAME: the grades of the term, as a table or CSV.
    """
    if form not in FORMS:
        raise MisuseError(f"no format {form!r}: there are {', '.join(FORMS)}")
    with grade_extra():
        from course_utils.grading.results import show_report
        from course_utils.grading.totals import show_term
    if name is None:
        if form not in ("table", "csv") or output is not None:
            raise MisuseError("the term is printed as table or csv: name an assignment for another format, or a file")
        show_term(repository_of()[1], course, db, form, new_console())
        return
    root, _ = repository_of(name)
    show_report(root, name, course, db, form, output, new_console())


@app.command()
def similar(name: Name, course: Course = Path(), output: Output = None, db: Db = "") -> None:
    """List pairs of graded submissions that resemble each other; FILE is a page with both side by side."""
    root, _ = repository_of(name)
    with grade_extra():  # scikit-learn is imported on the way
        from course_utils.grading.results import show_similar

        show_similar(root, name, course, db, output, new_console())


@app.command()
def feedback(name: Name, course: Course = Path(), student: Students = None, db: Db = "") -> None:
    """Write DIR/feedback/<student>/NAME/NAME.html: the student's work, points and messages, no hidden test."""
    with grade_extra():
        from course_utils.grading.commands import give_feedback
    give_feedback(name, course, db, student or [], new_console())
