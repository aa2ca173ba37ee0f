"""A list of all exercises inside the chapters, each a link: ``{exercise-list}``."""

from __future__ import annotations

from typing import Any

from course_chapters import numbered
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx_exercise.nodes import exercise_subtitle

LISTED = "exercise-list"  # in the metadata of the page


class exercise_list(nodes.General, nodes.Element):  # noqa: N801 - as docutils names its nodes
    """Stands where the list will be."""


class ExerciseList(SphinxDirective):
    """``{exercise-list}``: the exercises of each chapter, in their order."""

    def run(self) -> list[nodes.Node]:
        """Leave a place: which exercises there are is known once all pages are read."""
        self.env.metadata[self.env.docname][LISTED] = True
        return [exercise_list()]


def pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """The page is written whenever another was read: it may have an exercise more."""
    return [page for page, known in env.metadata.items() if LISTED in known]


def fill(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put the list in its place: chapters, and below each its exercises."""
    for place in list(doctree.findall(exercise_list)):
        chapters = nodes.bullet_list(classes=["exercises"])
        for chapter, numbers in sorted(app.env.toc_fignumbers.items()):
            if found := numbers.get("exercise"):
                entry = nodes.list_item("", nodes.paragraph("", numbered(app.env, chapter)))
                entry += nodes.bullet_list("", *(_link(app, page, chapter, each, found[each]) for each in found))
                chapters += entry
        place.replace_self(chapters)


def _link(app: Sphinx, page: str, chapter: str, label: str, number: tuple[str, ...]) -> nodes.list_item:
    exercise = app.env.sphinx_exercise_registry[label]["node"]
    title = next(exercise.findall(exercise_subtitle)).astext()
    address = f"{app.builder.get_relative_uri(page, chapter)}#{label}"
    link = nodes.reference("", f"{'.'.join(number)} {title}", refuri=address, internal=True)
    return nodes.list_item("", nodes.paragraph("", "", link))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.add_node(exercise_list)
    app.add_directive("exercise-list", ExerciseList)
    app.connect("env-updated", pages_to_write)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
