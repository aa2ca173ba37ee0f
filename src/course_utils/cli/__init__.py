"""The command ``course``. Every error is one line on stderr that says what to do; ``--debug`` shows the traceback.

Exit status: 0 all is well, 1 something failed, 2 the command was used wrongly, 130 interrupted. What a command needs
is imported when it runs, so that ``course --help`` does not wait for it.
"""

from course_utils import _quick  # noqa: F401, I001 - before anything that imports nbformat
from course_utils.cli import student, timing, teaching, screens, keeping  # noqa: F401 - their commands, in this order
from course_utils.cli.app import FailureError, MisuseError, app, main

__all__ = ["FailureError", "MisuseError", "app", "main"]
