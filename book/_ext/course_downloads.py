"""What readers take home: each chapter as a notebook, the package as a wheel, and the buttons that lead to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from course_notebooks import notebook
from docutils import nodes
from sphinx.application import Sphinx

from course_utils.bundle import PACKAGE_FILES, build_wheel
from course_utils.needs import wheel_name
from course_utils.notebooks import package_version

FOLDER = "_static/downloads"
CHAPTER = re.compile(r"\d\d\w?-[\w-]+")
EXTRAS = {"08b-triton": "[triton]"}  # what a chapter needs beyond the package's own dependencies
DOWNLOADS = {".md": "Source (Markdown)", ".ipynb": "Source (notebook)", ".pdf": "Print, or save as PDF"}


def notebook_of(page: str) -> str | None:
    """Where the notebook of a page lies in the book, if it has one: an assignment's is its source."""
    if CHAPTER.fullmatch(page):
        return f"{FOLDER}/chapter-{page}.ipynb"
    return f"_sources/{page}.ipynb" if page.startswith("exercises/") else None


# --- notebooks --------------------------------------------------------------------------------------------------


def write_notebook(app: Sphinx, document: nodes.document, page: str) -> None:
    """Write the notebook of a chapter that was read or whose references changed."""
    if app.builder.name != "html" or not CHAPTER.fullmatch(page):
        return
    path = Path(app.outdir, str(notebook_of(page)))
    path.parent.mkdir(parents=True, exist_ok=True)
    nb = notebook(app.env, page, document, opening(app, page))
    path.write_text(nbformat.writes(nb) + "\n", encoding="utf-8")


def opening(app: Sphinx, page: str) -> str:
    """What a chapter's notebook says first: of what course it is, and what it needs."""
    base = app.config.html_baseurl.rstrip("/")
    wheel = f"{base}/{FOLDER}/{wheel_name(package_version())}" if base else wheel_name(package_version())
    if extra := EXTRAS.get(page, ""):
        wheel = f'"attention-course{extra} @ {wheel}"' if base else f'"{wheel}{extra}"'
    return (
        f"> A chapter of **{app.config.html_title}**, version {package_version()}. It needs the course's package: "
        f"`pip install {wheel}`; the book's page *Running it yourself* offers that file and says how."
    )


# --- the wheel --------------------------------------------------------------------------------------------------


def renew_wheel(app: Sphinx, error: Exception | None) -> None:
    """Build the wheel unless it is newer than all that it is made of."""
    if error is not None or app.builder.name != "html":
        return
    root = Path(app.confdir).parent
    wheel = Path(app.outdir, FOLDER, wheel_name(package_version()))
    parts = [*(root / file for file in PACKAGE_FILES), *(root / "src" / "course_utils").rglob("*")]
    parts += (root / "book" / "data").glob("*")
    newest = max(part.stat().st_mtime for part in parts if "__pycache__" not in part.parts)
    if not wheel.is_file() or wheel.stat().st_mtime < newest:
        wheel.parent.mkdir(parents=True, exist_ok=True)
        build_wheel(root, wheel.parent)


# --- buttons ----------------------------------------------------------------------------------------------------


def offer(app: Sphinx, page: str, template: str, context: dict[str, Any], document: nodes.document | None) -> None:
    """Tell the template of the button where the page's notebook lies."""
    context["notebook"] = notebook_of(page)


def launch(app: Sphinx, page: str, template: str, context: dict[str, Any], document: nodes.document | None) -> None:
    """Let launch buttons open the page's notebook, and have none where there is none."""
    target, groups = notebook_of(page), context.get("header_buttons", [])
    for group in groups:
        if group.get("label") == "launch-buttons" and target:
            group["buttons"] = [aimed(button, page, target) for button in group["buttons"]]
    context["header_buttons"] = [group for group in groups if target or group.get("label") != "launch-buttons"]


def label(app: Sphinx, page: str, template: str, context: dict[str, Any], document: nodes.document | None) -> None:
    """Say what each entry of the menu of downloads is: the theme names only the ends of files, and prints for a PDF."""
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            group["buttons"] = [{**button, "text": DOWNLOADS[button["text"]]} for button in group["buttons"]]


def aimed(button: dict[str, str], page: str, target: str) -> dict[str, str]:
    """A launch button that opens the generated notebook: the theme names the source, which a service cannot run."""
    return {**button, "url": re.sub(rf"{re.escape(page)}\.(md|ipynb)", target, button["url"])}


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.connect("doctree-resolved", write_notebook, priority=900)  # after all that put something into a page
    app.connect("html-page-context", offer, priority=400)  # before the theme leaves out templates that give nothing
    app.connect("html-page-context", launch, priority=600)  # after the theme made its buttons
    app.connect("html-page-context", label, priority=600)
    app.connect("build-finished", renew_wheel)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
