"""The commands, from the program itself, and the Makefile's verbs, from their comments: neither is typed twice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from course_utils import cli

Entry = tuple[str, str, str]  # how it is written, what it does, its id
_VERB = re.compile(r"^([a-z]+):.*?## (.*)", re.MULTILINE)
# What one types: as words it would get quotation marks and dashes that no shell knows.
_TYPED = re.compile(r'([A-Z]+="[^"]*"|(?<!\S)--[a-z-]+)')


class CourseCommands(SphinxDirective):
    """``{course-commands}``: a section for each command of ``course``, with what its ``--help`` says."""

    def run(self) -> list[nodes.Node]:
        """Ask the program; sphinx-click cannot, since Typer brings a copy of click of its own."""
        for path in Path(cli.__file__).parent.glob("*.py"):
            self.env.note_dependency(str(path))
        group = typer.main.get_command(cli.app)
        return [self.section(f"course {name}", command) for name, command in group.commands.items()]

    def section(self, name: str, command: Any) -> nodes.section:
        """One command: what it does, how it is called, what it takes."""
        context = typer.Context(command, info_name=name)
        usage = command.get_usage(context).removeprefix("Usage: ")
        section = nodes.section("", nodes.title("", "", nodes.literal("", name)), ids=[nodes.make_id(name)])
        section += nodes.paragraph("", "", *_words(command.help))
        section += nodes.literal_block(usage, usage, language="text")
        section += _entries(_option(name, option, context) for option in command.params)
        return section


class CourseOptions(SphinxDirective):
    """``{course-options}``: the options that ``course`` has before any command, and the one that all have."""

    def run(self) -> list[nodes.Node]:
        """Ask the program."""
        group = typer.main.get_command(cli.app)
        context = typer.Context(group, info_name="course")
        return [_entries(_option("course", option, context) for option in group.get_params(context))]


class MakeVerbs(SphinxDirective):
    """``{make-verbs}``: the Makefile's verbs with their comments."""

    def run(self) -> list[nodes.Node]:
        """Read the Makefile."""
        path = Path(self.env.srcdir).parent / "Makefile"
        self.env.note_dependency(str(path))
        verbs = _VERB.findall(path.read_text(encoding="utf-8"))
        return [_entries((f"make {verb}", f"{words[0].upper()}{words[1:]}.", f"make-{verb}") for verb, words in verbs)]


def _option(command: str, option: Any, context: Any) -> Entry:
    """An option or argument as ``--help`` writes it."""
    written, words = option.get_help_record(context)
    return written, words, nodes.make_id(f"{command} {option.name}")


def _words(said: str) -> list[nodes.Node]:
    """Words, with what one types among them as code."""
    return [nodes.literal("", part) if place % 2 else nodes.Text(part) for place, part in enumerate(_TYPED.split(said))]


def _entries(entries: Iterable[Entry]) -> nodes.definition_list:
    """A list of what can be written, each with an id of its own."""
    found = nodes.definition_list("", classes=["commands"])
    for written, words, place in entries:
        term = nodes.term("", "", nodes.literal("", written), ids=[place])
        found += nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", "", *_words(words))))
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.add_directive("course-commands", CourseCommands)
    app.add_directive("course-options", CourseOptions)
    app.add_directive("make-verbs", MakeVerbs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
