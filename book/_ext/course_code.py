"""Code that leads on: names of the package link to their entry, and what was included from it to its lines."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

PACKAGE = Path(importlib.util.find_spec("course_utils").origin).parent
LANGUAGES = ("python", "ipython3")
_NAME = r'<span class="n">(\w+)</span>'
# A name with its attributes, which is neither an attribute itself nor the name of an argument; or a module's name.
_CHAIN = re.compile(
    rf'(?<!<span class="o">\.</span>){_NAME}(?:<span class="o">\.</span>{_NAME})*(?!<span class="o">=</span>)'
    r'|<span class="nn">[\w.]+</span>'
)
_TEXT = re.compile(r"<[^>]+>")


def note_names(app: Sphinx, doctree: nodes.document) -> None:
    """Note at each piece of code what the names in it stand for: a page's cells share theirs."""
    known: dict[str, str] = {}
    for block in doctree.findall(nodes.literal_block):
        if block.get("language") not in LANGUAGES:
            continue
        if PACKAGE in (path := Path(block.get("source") or "")).parents:
            block["course_file"] = str(path)
            block["course_names"] = names_of_file(path)
        elif (tree := _parsed(block.astext())) is not None:
            known = {name: target for name, target in known.items() if name not in _bound(tree)} | imported(tree)
            block["course_names"] = known


def imported(tree: ast.AST) -> dict[str, str]:
    """What a source calls the package's modules and what they hold."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "course_utils":
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {
                alias.asname or "course_utils": alias.name if alias.asname else "course_utils"
                for alias in node.names
                if alias.name.split(".")[0] == "course_utils"
            }
    return found


@functools.cache
def names_of_file(path: Path) -> dict[str, str]:
    """The same for a module of the package, which also knows what it defines itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return imported(tree) | {name: f"{_module(path)}.{name}" for name in own}


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def _parsed(source: str) -> ast.AST | None:
    try:
        return ast.parse(source)
    except SyntaxError:  # an extract, or a command of the notebook's
        return None


def _bound(tree: ast.AST) -> set[str]:
    """The names to which a source gives a meaning of its own."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return names | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def visit_literal_block(self: HTML5Translator, node: nodes.literal_block) -> None:
    """Write code as ever, then put the links in: highlighting has marked what is a name."""
    try:
        HTML5Translator.visit_literal_block(self, node)
    finally:  # it ends by saying that it needs no departure
        if node.get("course_names"):
            link = functools.partial(_linked, self.builder, node["course_names"])
            self.body[-1] = _CHAIN.sub(link, self.body[-1])


def _linked(builder: Any, known: dict[str, str], match: re.Match[str]) -> str:
    """A name with its link, if it or a part from its beginning is the package's."""
    parts, spans = _TEXT.sub("", match[0]).split("."), match[0].split('<span class="o">.</span>')
    if match[0].startswith('<span class="nn">'):
        spans, parts, known = [match[0]], [".".join(parts)], {".".join(parts): ".".join(parts)}
    if parts[0] not in known:
        return match[0]
    for end in range(len(parts), 0, -1):
        entry = builder.env.domains["py"].objects.get(".".join([known[parts[0]], *parts[1:end]]))
        if entry is not None:
            address = builder.get_relative_uri(builder.current_docname, entry.docname) + f"#{entry.node_id}"
            inside, outside = (('<span class="o">.</span>').join(some) for some in (spans[:end], spans[end:]))
            rest = f'<span class="o">.</span>{outside}' if outside else ""
            return f'<a class="course-name" href="{address}">{inside}</a>{rest}'
    return match[0]


def name_sources(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Say below an extract from the package where it stands, with a link to its lines."""
    for block in list(doctree.findall(nodes.literal_block)):
        if "course_file" in block:
            path = Path(block["course_file"])
            module, place = _module(path), _place(path, block.astext())
            _, _, shown, _ = getattr(app.env, "_viewcode_modules", {}).get(module) or (None, None, {}, None)
            address = app.builder.get_relative_uri(page, f"_modules/{module.replace('.', '/')}")
            address += f"#{place}" if place in shown else ""
            words = nodes.literal("", f"{module}.{place}" if place else module)
            line = nodes.paragraph(
                "", "From ", nodes.reference("", "", words, refuri=address, internal=True), classes=["code-source"]
            )
            block.parent.insert(block.parent.index(block) + 1, line)


def _place(path: Path, extract: str) -> str:
    """The function or method in which an extract stands, by its first lines."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    wanted = [line.strip() for line in extract.rstrip().splitlines()]
    start = next(i for i in range(len(lines)) if lines[i : i + len(wanted)] == wanted) + 1
    around = [
        name
        for name, node in _definitions(ast.parse(path.read_text(encoding="utf-8")))
        if node.lineno <= start <= (node.end_lineno or 0)
    ]
    return around[-1] if around else ""


def _definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All functions and classes with their qualified names, the outer before the inner."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name, node
            yield from _definitions(node, f"{prefix}{node.name}.")


def pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """All of them, when entries moved: pages that were not read again still link to the old places."""
    places = {name: (entry.docname, entry.node_id) for name, entry in env.domains["py"].objects.items()}
    if getattr(env, "course_places", None) == places:
        return []
    env.course_places = places
    return sorted(env.found_docs)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.add_node(nodes.literal_block, override=True, html=(visit_literal_block, None))
    app.connect("doctree-read", note_names)
    app.connect("doctree-resolved", name_sources)
    app.connect("env-updated", pages_to_write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
