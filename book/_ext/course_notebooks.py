"""A page as a notebook: code cells from its source, its text as the page shows it, in Markdown that every viewer knows.

The text is written from what Sphinx resolved, not from the source: works are cited by name, equations and figures have
their numbers, and the measured numbers are those of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import nbformat
from docutils import nodes
from myst_nb.core.read import create_nb_reader
from nbformat import NotebookNode
from sphinx.environment import BuildEnvironment

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
# Cells that a page does not show are closed in the notebook, and there to be opened.
CLOSED = {"hide-input", "remove-input"}
NOT_WRITTEN = ("comment", "target", "index", "substitution_definition", "system_message", "pending", "image")


def notebook(env: BuildEnvironment, page: str, document: nodes.document, opening: str) -> NotebookNode:
    """The notebook of a page: no outputs, and the same bytes whenever the page is the same.

    Args:
        env: of the build; it knows the numbers of figures.
        page: its name.
        document: the page with all references resolved.
        opening: Markdown for a first cell, which the page has not.
    """
    nb = nbformat.v4.new_notebook(metadata={"kernelspec": KERNELSPEC, "language_info": {"name": "python"}})
    source = _source_cells(env, page)
    found = [("text", opening), *_parts(document, Markdown(env, page))]
    nb.cells = list(_cells(_with_unseen(found, source), source))
    for place, cell in enumerate(nb.cells, 1):
        cell["id"] = f"cell-{place:03}"
    nbformat.validate(nb)
    return nb


def _source_cells(env: BuildEnvironment, page: str) -> dict[int, NotebookNode]:
    """The code cells of a page by their place among all its cells, by which a document names them."""
    path = env.doc2path(page)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    reader = create_nb_reader(path, env.myst_config, env.mystnb_config, text)
    cells = enumerate(reader.read(text).cells) if reader else ()
    return {place: cell for place, cell in cells if cell.cell_type == "code"}


def _parts(node: nodes.Element, writer: Markdown, level: int = 0) -> Iterator[tuple[str, Any]]:
    """A page as a row of ``("text", Markdown)``, ``("code", place)`` and ``("heading", Markdown)``."""
    for child in node.children:
        if isinstance(child, nodes.section):
            yield from _parts(child, writer, level + 1)
        elif isinstance(child, nodes.title):
            yield "heading", f"{'#' * level} {writer.inline(child)}"
        elif isinstance(child, nodes.Element) and child.get("nb_element") == "cell_code":
            yield "code", child["cell_index"]
            yield from (("text", writer.caption(figure)) for figure in child.findall(nodes.figure))
        else:
            yield "text", writer.block(child)


def _with_unseen(parts: Iterable[tuple[str, Any]], source: dict[int, NotebookNode]) -> Iterator[tuple[str, Any]]:
    """The same row, with the cells of which a page shows neither code nor output before the next that it shows."""
    waiting = sorted(source)
    for kind, what in parts:
        while kind == "code" and waiting[0] < what:
            yield "code", waiting.pop(0)
        if kind == "code":
            waiting.remove(what)
        yield kind, what
    yield from (("code", place) for place in waiting)


def _cells(parts: Iterable[tuple[str, Any]], source: dict[int, NotebookNode]) -> Iterator[NotebookNode]:
    """Cells: text that follows text shares one, up to the next heading."""
    for code, row in groupby(parts, lambda part: part[0] == "code"):
        if code:
            yield from (_code(source[place]) for _, place in row)
            continue
        texts: list[str] = []
        for kind, text in row:
            if kind == "heading" and texts:
                yield nbformat.v4.new_markdown_cell("\n\n".join(texts))
                texts = []
            texts += [text] if text else []
        if texts:
            yield nbformat.v4.new_markdown_cell("\n\n".join(texts))


def _code(cell: NotebookNode) -> NotebookNode:
    tags = cell.metadata.get("tags", [])
    metadata: dict[str, Any] = {"tags": tags} if tags else {}
    if CLOSED.intersection(tags):
        metadata["jupyter"] = {"source_hidden": True}
    return nbformat.v4.new_code_cell(cell.source, metadata=metadata)


class Markdown:
    """Writes nodes of a document as Markdown; a method for each kind of node that is not just the sum of its parts.

    Args:
        env: of the build.
        page: the page that the nodes are of.
    """

    def __init__(self, env: BuildEnvironment, page: str) -> None:
        self.env, self.page = env, page
        self.base = env.config.html_baseurl

    def block(self, node: nodes.Node) -> str:
        """One block, without an empty line at its end."""
        if isinstance(node, nodes.Admonition) or node.tagname == "quick_check":
            return self.box(node)
        if method := getattr(self, f"block_{node.tagname}", None):
            return method(node)
        if isinstance(node, nodes.TextElement | nodes.Text | nodes.Inline):
            return _not_a_mark(self.inline(node))
        return self.blocks(node.children)

    def blocks(self, children: Iterable[nodes.Node]) -> str:
        """Blocks, with an empty line between them."""
        return "\n\n".join(filter(None, map(self.block, children)))

    def inline(self, node: nodes.Node) -> str:
        """The words of a node."""
        return "".join(map(self.word, node.children)) if isinstance(node, nodes.Element) else self.word(node)

    def word(self, node: nodes.Node) -> str:
        """One piece of a line."""
        if isinstance(node, nodes.Text):
            return _escape(node.astext())
        method = getattr(self, f"word_{node.tagname}", None)
        return method(node) if method else self.inline(node)

    # --- pieces of a line ---

    def word_emphasis(self, node: nodes.Element) -> str:
        """Slanted."""
        return f"*{self.inline(node)}*"

    def word_strong(self, node: nodes.Element) -> str:
        """Bold."""
        return f"**{self.inline(node)}**"

    def word_literal(self, node: nodes.Element) -> str:
        """Code, between more backticks than it holds."""
        text = node.astext()
        ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
        return f"{ticks} {text} {ticks}" if "`" in text else f"`{text}`"

    def word_math(self, node: nodes.Element) -> str:
        """A formula in the line."""
        return f"${node.astext().strip()}$"

    def word_raw(self, node: nodes.Element) -> str:
        """HTML, which Markdown may hold; a notebook has no use for a page's link to its own place."""
        text = node.astext()
        return text if "html" in node["format"].split() and 'class="headerlink"' not in text else ""

    def word_reference(self, node: nodes.Element) -> str:
        """A link to another site as it is; one into the book where the book's address is known, else its words."""
        words, target = self.inline(node), node.get("refuri", "")
        if node.get("internal") or not target:
            target = target or f"#{node.get('refid', '')}"
            page = self.env.app.builder.get_target_uri(self.page) if target.startswith("#") else ""
            target = f"{self.base.rstrip('/')}/{page}{target}" if self.base else ""
        return f"[{words}]({target})" if target else words

    # --- blocks ---

    def block_raw(self, node: nodes.Element) -> str:
        """HTML."""
        return self.word_raw(node)

    def block_math_block(self, node: nodes.Element) -> str:
        """A formula with its number."""
        text = node.astext().strip()
        config = self.env.config
        number = self.number(node) if config.numfig and config.math_numfig else node.get("number")
        number = rf" \tag{{{number}}}" if number else ""
        if node.get("nowrap"):
            return text
        if r"\\" in text and r"\begin" not in text:
            text = rf"\begin{{split}}{text}\end{{split}}"
        return f"$$\n{text}{number}\n$$"

    def block_literal_block(self, node: nodes.Element) -> str:
        """Code, between more backticks than it holds."""
        text = node.astext().rstrip("\n")
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        language = node.get("language", "").replace("ipython3", "python").replace("default", "")
        return f"{fence}{language}\n{text}\n{fence}"

    def block_block_quote(self, node: nodes.Element) -> str:
        """A quotation."""
        return _quote(self.blocks(node.children))

    def block_bullet_list(self, node: nodes.Element) -> str:
        """A list."""
        return self.list(("- " for _ in node), node)

    def block_enumerated_list(self, node: nodes.Element) -> str:
        """A list with numbers."""
        return self.list((f"{number}. " for number, _ in enumerate(node, node.get("start", 1))), node)

    def list(self, marks: Iterable[str], node: nodes.Element) -> str:
        """Items, each after its mark, with empty lines where one has several blocks."""
        items = [self.blocks(item.children) for item in node]
        joint = "\n\n" if any("\n\n" in item for item in items) else "\n"
        return joint.join(mark + _indent(item, len(mark)) for mark, item in zip(marks, items, strict=False))

    def block_definition_list_item(self, node: nodes.Element) -> str:
        """A word and what it means."""
        words = [child for child in node if isinstance(child, nodes.term)]
        meaning = self.blocks(child for child in node if not isinstance(child, nodes.term))
        return "- " + _indent(f"**{', '.join(map(self.inline, words))}**: {meaning}", 2)

    def block_table(self, node: nodes.Element) -> str:
        """A table; what spans several columns stands in the first."""
        titles = [f"**{self.inline(title)}**" for title in node if isinstance(title, nodes.title)]
        rows = [[self.entry(entry) for entry in row] for row in node.findall(nodes.row)]
        sides = ["---:" if "text-right" in entry.get("classes", []) else "---" for entry in node.next_node(nodes.row)]
        lines = [f"| {' | '.join(row)} |" for row in [rows[0], sides, *rows[1:]]]
        return "\n\n".join([*titles, "\n".join(lines)])

    def entry(self, node: nodes.Element) -> str:
        """One cell of a table."""
        text = " ".join(self.inline(child) for child in node).replace("\n", " ")
        return re.sub(r"(?<!\\)\|", r"\\|", text)

    def box(self, node: nodes.Element) -> str:
        """A marked box: a quotation under a bold title; what the page folds, folded."""
        if node.tagname == "quick_check":
            return _quote(f"**Quick check**\n\n{self.blocks(node.children)}")
        titles = [self.inline(child) for child in node if isinstance(child, nodes.title)]
        title = "".join([self.numbered("exercise", node), *titles]).strip().rstrip(":") or node.tagname.capitalize()
        body = self.blocks(child for child in node if not isinstance(child, nodes.title))
        if "dropdown" in node["classes"]:
            return _folded(title, body)
        return _quote(f"**{title}**\n\n{body}")

    def word_inline(self, node: nodes.Element) -> str:
        """Words; the kind of a box is set off from its title."""
        return self.inline(node) + (":" if "box-kind" in node["classes"] else "")

    def block_quick_check_option(self, node: nodes.Element) -> str:
        """An option that opens."""
        words, *reason = node.children
        return _folded(self.inline(words), self.blocks(reason))

    def caption(self, figure: nodes.figure) -> str:
        """What the page says below a figure, with its number."""
        caption = figure.next_node(nodes.caption)
        named = self.numbered("figure", figure)
        return " ".join(filter(None, [named and f"**{named}.**", self.inline(caption)])) if caption else ""

    def numbered(self, kind: str, node: nodes.Element) -> str:
        """``Figure 3``: by what the page names a node; nothing for one without a number of that kind."""
        number = self.number(node, kind)
        return self.env.config.numfig_format[kind] % number if number else ""

    def number(self, node: nodes.Element, kind: str = "displaymath") -> str:
        """The number of a figure, an exercise or an equation, as the page prints it."""
        known = self.env.toc_fignumbers.get(self.page, {}).get(kind, {})
        found = next((known[name] for name in node["ids"] if name in known), ())
        return ".".join(map(str, found))


def _skip(self: Markdown, node: nodes.Node) -> str:
    return ""


for _name in NOT_WRITTEN:
    setattr(Markdown, f"block_{_name}", _skip)
    setattr(Markdown, f"word_{_name}", _skip)


def _escape(text: str) -> str:
    """Words as they are, where Markdown or a formula's sign would take them for something else."""
    return re.sub(r"[\\`*<$]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", text)


def _not_a_mark(text: str) -> str:
    """A paragraph that begins like a list, a heading or a quotation, and is none."""
    return re.sub(r"^(\d+)(?=[.)] )|^(?=[-+#>] )", r"\1\\", text)


def _indent(text: str, width: int) -> str:
    return re.sub(r"\n(?!\n)", "\n" + " " * width, text)


def _quote(text: str) -> str:
    return re.sub("^", "> ", text, flags=re.MULTILINE).replace("> \n", ">\n")


def _folded(title: str, body: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"
