"""Links to places: an exercise has one beside its title, as headings, figures and equations have theirs."""

from __future__ import annotations

import html

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


class LinkExercises(SphinxPostTransform):
    """Put a link to itself into the title of every exercise."""

    # After sphinx-exercise has written numbers into titles, and solutions have copied them.
    default_priority = 850
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        """Write the link as Sphinx writes that of a heading."""
        icon = self.app.config.html_permalinks_icon
        for exercise in self.document.findall(lambda node: isinstance(node, nodes.Admonition) and bool(node["ids"])):
            if "exercise" in exercise["classes"]:
                place = html.escape(exercise["ids"][0])
                link = f'<a class="headerlink" href="#{place}" title="Link to this exercise">{icon}</a>'
                exercise.next_node(nodes.title).append(nodes.raw("", link, format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the part."""
    app.add_post_transform(LinkExercises)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
