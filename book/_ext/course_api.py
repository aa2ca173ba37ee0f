"""The pages of the package: an overview, and what autodoc needs to know."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

from docutils import nodes
from pybtex.database import Person, parse_file
from sphinx.addnodes import desc, pending_xref
from sphinx.application import Sphinx
from sphinx.ext.autodoc import DataDocumenter
from sphinx.util.docutils import SphinxDirective

SHORT = 80  # letters of a value that an entry shows
LINE = 66  # letters of code that stand side by side on a page
# What reStructuredText would take for the number of a list's entry, where an argument's description begins.
_NUMBER = re.compile(r"^(\s*:[^:\n]+:\s+)(?=\(?\w+[.)](\s|$))", re.MULTILINE)


class Modules(SphinxDirective):
    """``modules``: a line for each module named, the first paragraph of its docstring, with a link to its page."""

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


class ShortDataDocumenter(DataDocumenter):
    """Constants with their values, where these are short and plain."""

    def should_suppress_value_header(self) -> bool:
        """Whether the value is left out."""
        plain = isinstance(self.object, int | float | str | tuple) and len(repr(self.object)) <= SHORT
        return not plain or super().should_suppress_value_header()


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


def cite(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """After napoleon: make roles of citations, which docstrings write for a terminal: "Dao (2023)"."""
    book = Path(app.srcdir, *app.config.bibtex_bibfiles)
    app.env.note_dependency(str(book))
    pattern, keys = works(book)
    text = pattern.sub(lambda match: f":cite:t:`{keys[' '.join(match[0].split())]}`", "\n".join(lines))
    lines[:] = text.split("\n")


@functools.cache
def works(book: Path) -> tuple[re.Pattern[str], dict[str, str]]:
    """How docstrings cite: a pattern, and the key of each work by its authors and year.

    Where "and others" of a year have written two works, it is the first in the file; all authors tell the other.
    """
    keys: dict[str, str] = {}
    for key, entry in parse_file(book).entries.items():
        names = [_surname(person) for person in entry.persons["author"]]
        forms = [" & ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)]
        forms += [f"{names[0]} et al."] if len(names) > 2 else []
        for form in forms:
            keys.setdefault(f"{form} ({entry.fields['year']})", key)
    longest_first = sorted(keys, key=len, reverse=True)
    return re.compile("|".join(r"\s+".join(map(re.escape, form.split())) for form in longest_first)), keys


def _surname(person: Person) -> str:
    return " ".join(str(name) for name in [*person.rich_prelast_names, *person.rich_last_names])


def escape_numbers(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """After napoleon: "length: Q." says what the length is called, and begins no list."""
    lines[:] = _NUMBER.sub(r"\1\\", "\n".join(lines)).split("\n")


def drop_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, result: str | None
) -> tuple[str | None, str | None] | None:
    """Show no arguments of a class that has none of its own to be made with: a base class, or a protocol."""
    return (None, None) if what == "class" and (signature or "").startswith("(*args") else None


def show_imports(app: Sphinx, doctree: nodes.document) -> None:
    """Begin the section of each module by the import of all that it describes."""
    for section in doctree.findall(nodes.section):
        entries = [node[0] for node in section.children if isinstance(node, desc)]
        if entries and (module := entries[0].get("module")):
            code = import_of(module, [entry["fullname"] for entry in entries])
            section.insert(1, nodes.literal_block(code, code, language="python"))
            lift_place(section, f"module-{module}")


def lift_place(section: nodes.section, place: str) -> None:
    """Let links to a module lead to its heading: with a page of the same name, they led to the text below it."""
    for node in section.children:
        if place in node["ids"]:
            node["ids"].remove(place)
            section["ids"].insert(0, place)


def import_of(module: str, names: list[str]) -> str:
    """The statement, as many names to a line as fit."""
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= LINE:
        return line
    listed = textwrap.fill(", ".join(names) + ",", LINE, initial_indent="    ", subsequent_indent="    ")
    return f"from {module} import (\n{listed}\n)"


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
    app.add_autodocumenter(ShortDataDocumenter, override=True)
    app.add_directive("modules", Modules)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-docstring", keep_words, priority=400)
    app.connect("autodoc-process-docstring", restore_words, priority=600)
    app.connect("autodoc-process-docstring", cite, priority=700)
    app.connect("autodoc-process-docstring", escape_numbers, priority=700)
    app.connect("autodoc-process-signature", drop_signature)
    app.connect("doctree-read", show_imports, priority=400)  # before course_code looks for the names in code
    app.connect("doctree-read", let_go)
    app.connect("config-inited", mock_triton)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
