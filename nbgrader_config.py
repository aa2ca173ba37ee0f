"""Settings of nbgrader.

Run its commands in this folder, or in a course folder of your own that has a `nbgrader_config.py` of one line:

    load_subconfig("/path/to/this/repository/nbgrader_config.py")

Then `nbgrader generate_assignment NAME` and `nbgrader autograde NAME` do what nbgrader's manual says. Have the
environment's programs on PATH (`. .venv/bin/activate`): nbgrader calls a bare `alembic`, and where there is none it
leaves a broken gradebook behind.

`nbgrader autograde` grades in the sandbox, as `course grade` does; `course grade` is many times faster.
"""

from pathlib import Path

import nbgrader.apps  # noqa: F401 - first: nbgrader's packages import each other in a circle
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, SaveAutoGrades

from course_utils.grading.adapter import TrustedExecute
from course_utils.grading.feedback import FeedbackPage
from course_utils.grading.lateness import TermLateness

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

# In place of nbgrader's own executor, which would run what students wrote with your rights.
c.Autograde.autograde_preprocessors = [TrustedExecute, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
c.TrustedExecute.repository = str(repository)

# Late submissions lose what course.toml says, if the course folder has one.
c.AssignLatePenalties.plugin_class = TermLateness

# What students wrote is shown in your browser, and feedback in theirs: nothing in it is run there. (In the formgrader
# that holds where `course formgrader` opened it; nbgrader's own page shows Markdown as it is.)
c.HTMLExporter.sanitize_html = True
c.GenerateFeedback.exporter_class = FeedbackPage
