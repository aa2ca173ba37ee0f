"""nbgrader's formgrader for a course folder: an extension of Jupyter's server, and the server that has it.

It is nbgrader's own but for two things. The page on which a submission is read is made as feedback is
(`notebook_pages`), since in nbgrader's a script in a student's Markdown would run with the rights of the instructor who
opens it. And the other pages hold names out of their addresses as text: in nbgrader's, a link in a student's answer to
an address with a script in it would run that.
"""

from __future__ import annotations

import html
import os
import re
import sys
from pathlib import Path
from typing import Any

import nbgrader.apps  # noqa: F401 - first: nbgrader's packages import each other in a circle
from bs4 import BeautifulSoup, Tag
from jinja2 import Environment, FileSystemLoader
from jupyter_server.serverapp import ServerApp
from nbformat import NotebookNode
from nbgrader.server_extensions.formgrader.formgrader import FormgradeExtension

from course_utils import release
from course_utils.grading.gradebook import Book
from course_utils.grading.notebook_pages import Page

THEIRS = "nbgrader.server_extensions.formgrader"
# nbgrader's script waits until MathJax has set the page before it lets an instructor type.
READY = """MathJax = {Hub: {Startup: {signal: {Interest: (tell) => addEventListener("load", () => tell("End"))}}}}"""
NAMES = ("student", "first_name", "last_name", "notebook_path")
IN_SCRIPT = re.compile(r'"\{\{ (\w+) \}\}"(?=;)')  # var student_id = "{{ student_id }}";


class SubmissionPage(Page):
    """The page on which a submission is read and given points."""

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[str, dict[str, Any]]:
        """Convert with names of students and folders as text: nbgrader's template puts them in as they are."""
        harmless = {name: html.escape(resources[name]) for name in NAMES if resources.get(name)}
        return super().from_notebook_node(nb, {**resources, **harmless}, **kw)

    def finish(self, soup: BeautifulSoup) -> Tag:
        """Say in MathJax's place that the page is ready: its formulas are."""
        for script in soup.select('script[src*="://"], script[type="text/x-mathjax-config"]'):
            script.decompose()
        script = soup.new_tag("script")
        script.string = READY
        return script


class _Templates(FileSystemLoader):
    """nbgrader's templates, in which names that go into a script are written as JSON."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        source, file, unchanged = super().get_source(environment, template)
        return IN_SCRIPT.sub(r"{{ \1 | tojson }}", source), file, unchanged


class Formgrader(FormgradeExtension):
    """nbgrader's formgrader with our page."""

    def init_tornado_settings(self, webapp: Any) -> None:
        """Put our page in the place of nbgrader's, and have the others escape what they are given."""
        super().init_tornado_settings(webapp)
        webapp.settings["nbgrader_exporter"] = SubmissionPage(config=self.config)
        templates = webapp.settings["nbgrader_jinja2_env"]
        templates.autoescape, templates.loader = True, _Templates(templates.loader.searchpath)


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """What Jupyter's server calls; as nbgrader's own function of this name."""
    formgrader = Formgrader(parent=server)
    formgrader.root_dir, formgrader.log = server.root_dir, server.log
    formgrader.initialize([])
    formgrader.init_tornado_settings(server.web_app)
    formgrader.init_handlers(server.web_app)


def serve(root: Path, course: Path, db: str, port: int, browser: bool) -> None:
    """Open JupyterLab's server on a course folder, with the formgrader as its first page, until it is stopped.

    Args:
        root: the repository, whose ``nbgrader_config.py`` holds unless the course folder's own says otherwise.
        course: nbgrader's course folder, which becomes the server's root.
        db: the gradebook's URL; ``gradebook.db`` in the course folder if empty.
        port: where it listens, on this machine alone; the next free one if it is taken.
        browser: whether to open one.

    Raises:
        GradebookError, ReleaseError, TermError, OverlayError: one line each.
    """
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

    with Book(course, db) as book:  # what is wrong with it is said now, and nbgrader finds it complete
        url, private = book.url, book.term.overlay
    for name in release.assignments(root):  # nbgrader lists what it has the sources of
        release.write_instructor_version(root, release.build(root, name, private))
    _put_first("JUPYTER_CONFIG_PATH", root.absolute())
    _put_first("PATH", Path(sys.executable).parent)
    os.chdir(course)
    LabApp.launch_instance([f"--{name}={value}" for name, value in _settings(url, port, browser).items()])


def _put_first(variable: str, folder: Path) -> None:
    """Have this folder looked into before all others."""
    os.environ[variable] = os.pathsep.join([str(folder), *filter(None, [os.environ.get(variable)])])


def _settings(url: str, port: int, browser: bool) -> dict[str, object]:
    """What Jupyter is told where a course folder is the working directory."""
    return {
        "ServerApp.root_dir": os.getcwd(),
        "ServerApp.port": port,
        "ServerApp.open_browser": browser,
        "ServerApp.allow_root": os.geteuid() == 0,  # Jupyter refuses it; in a container there is often nobody else
        "ServerApp.jpserver_extensions": {THEIRS: False, __name__: True},
        "LabApp.default_url": "/formgrader",
        "CourseDirectory.db_url": url,
        "Exchange.root": os.getcwd(),  # not used: without one that it may write, nbgrader warns on every page
    }
