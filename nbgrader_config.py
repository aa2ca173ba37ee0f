"""Settings of nbgrader.

Run its commands in this folder, or in a course folder of your own that has a `nbgrader_config.py` of one line:

    load_subconfig("/path/to/this/repository/nbgrader_config.py")

Then `nbgrader generate_assignment NAME` and `nbgrader autograde NAME` do what nbgrader's manual says. Have the
environment's programs on PATH (`. .venv/bin/activate`): nbgrader calls a bare `alembic`, and where there is none it
leaves a broken gradebook behind.

`nbgrader autograde` runs what students wrote, with your rights, on your machine: use it for notebooks that you trust.
"""

from pathlib import Path

repository = Path(__file__).resolve().parent
c = get_config()  # noqa: F821 - nbgrader gives it to this file

# The instructor's notebooks, with solutions and hidden tests: `course release` writes them from the text sources.
# All else (release/, submitted/, autograded/, feedback/, gradebook.db) keeps nbgrader's own place in the folder that
# the command is run in, so that exercises/ is written by `course release` alone, and each class has its own gradebook.
source_directory = repository / "_build" / "source"
source_directory.mkdir(parents=True, exist_ok=True)
c.CourseDirectory.source_directory = str(source_directory)

# What generate_assignment writes is made anew every time: it holds nothing that was written by hand.
c.GenerateAssignment.force = True

# Seconds for one cell: a first `import torch` from a slow disk takes up to 30, nbgrader's own limit.
c.Execute.timeout = 120
