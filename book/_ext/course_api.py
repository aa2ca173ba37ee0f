"""The pages of the package: an overview, and what autodoc needs to know."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Modules(SphinxDirective):
    """``{modules}``: a line for each module named, the first paragraph of its docstring, with a link to its page."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Read what the modules say of themselves."""
        entries = nodes.definition_list("", classes=["modules"])
        for name in " ".join(self.content).split():
            summary = inspect.getdoc(importlib.import_module(f"course_utils.{name}")).split("\n\n")[0]
            words, _ = self.parse_inline(" ".join(summary.split()), lineno=self.lineno)
            entry = nodes.definition_list_item("", nodes.term("", "", self.link(name)))
            entry += nodes.definition("", nodes.paragraph("", "", *words))
            entries += entry
        return [entries]

    def link(self, name: str) -> pending_xref:
        """A reference to a module's place on its page."""
        attributes = {"refdomain": "py", "reftype": "mod", "reftarget": f"course_utils.{name}", "refexplicit": True}
        return pending_xref("", nodes.literal("", name), refdoc=self.env.docname, refwarn=True, **attributes)


def leave_out(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what Python writes itself: the docstrings of a named tuple's fields."""
    return True if (getattr(thing, "__doc__", None) or "").startswith("Alias for field number") else None


def keep_words(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Before napoleon: keep what is said of an attribute; it would take words before a colon for a type."""
    if what in ("attribute", "data", "property"):
        app.env.temp_data["course_words"] = list(lines)


def restore_words(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """After napoleon."""
    lines[:] = app.env.temp_data.pop("course_words", lines)


def let_go(app: Sphinx, doctree: nodes.document) -> None:
    """Make all nodes the page's own.

    What `{eval-rst}` reads belongs to a document beside the page, whose settings hold all that Sphinx knows of the
    book: six megabytes would be written, and read again at each build, with every such page.
    """
    for node in doctree.findall():
        node.document = doctree


def mock_triton(app: Sphinx, config: Any) -> None:
    """Outside Linux there is no Triton to import."""
    if importlib.util.find_spec("triton") is None:
        config.autodoc_mock_imports = [*config.autodoc_mock_imports, "triton"]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("modules", Modules)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-docstring", keep_words, priority=400)
    app.connect("autodoc-process-docstring", restore_words, priority=600)
    app.connect("doctree-read", let_go)
    app.connect("config-inited", mock_triton)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
