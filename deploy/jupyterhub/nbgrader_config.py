"""nbgrader's settings in an instructor's server: the repository's, and where the course folder is."""

from typing import Any

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 - nbgrader gives both to this file
load_subconfig("/srv/attention/staff/nbgrader_config.py")  # type: ignore[name-defined]  # noqa: F821

# nbgrader would take the folder that the server was started in: a home.
c.CourseDirectory.root = "/srv/attention/course"
c.Exchange.root = "/srv/attention/course"  # not used: without one that it may write, nbgrader warns on every page
