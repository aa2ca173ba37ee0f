"""What the book needs of Sphinx beyond its extensions: figures inside the page, and nothing from another host."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.fileutil import copy_asset

from course_utils import interactive

LOGGER = logging.getLogger(__name__)

# The kinds of marked boxes: class → the word that the reader sees.
BOXES = {
    "definition": "Definition",
    "worked-example": "Worked example",
    "departs": "Departs from the paper",
    "breaks": "Where it breaks",
    "claim": "Claim",
}


COUNTED = re.compile(r"id\d+")


class LabelBoxes(SphinxTransform):
    """Put the kind of a marked box before its title, as text: colour alone would not tell every reader."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """Label every marked box of the page."""
        for box in self.document.findall(nodes.admonition):
            kind = next((BOXES[name] for name in box["classes"] if name in BOXES), None)
            title = box.next_node(nodes.title)
            if kind is None or title is None:
                continue
            words = title.astext().strip()
            if words.lower() in (kind.lower(), f"{kind.lower()}s"):
                title.clear()
            elif words.startswith(f"{kind}: "):  # the first of the title's texts is changed, whatever comes after it
                text = next(title.findall(nodes.Text))
                rest = text.removeprefix(f"{kind}: ")
                title.replace(text, nodes.Text(rest[:1].upper() + rest[1:]))
            title.insert(0, nodes.inline("", kind, classes=["box-kind"]))
            title.insert(1, nodes.Text(" "))


class BreakAddresses(SphinxTransform):
    """Mark addresses among the code in tables: code there ends a line at a space, and an address has none."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """Mark every address in a table of the page."""
        for entry in self.document.findall(nodes.entry):
            for code in entry.findall(nodes.literal):
                if "://" in code.astext():
                    code["classes"].append("address")


class InlineFigures(SphinxPostTransform):
    """Put the SVG figures that cells drew into the page.

    An image file cannot see the page's colours, so that half of the readers would get dark ink on a dark page. Text in
    a figure can be found and copied as well.
    """

    # After myst-nb has chosen among a cell's outputs (4), before Sphinx collects the images to copy (10).
    default_priority = 6
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Replace every image that lies where myst-nb writes outputs."""
        outputs = (Path(self.app.outdir).parent / "jupyter_execute").resolve()
        for number, image in enumerate(list(self.document.findall(nodes.image)), 1):
            path = (Path(self.app.srcdir) / image["uri"]).resolve()
            if path.suffix == ".svg" and outputs in path.parents:
                self.inline(image, path, f"figure-{number}")

    def inline(self, image: nodes.image, path: Path, prefix: str) -> None:
        """Replace one image by its SVG; one without words for those who do not see it is warned of."""
        alt = image.get("alt", "")
        if not alt.strip():
            LOGGER.warning("a figure has no alt text: set mystnb.image.alt in its cell", location=image)
            alt = "figure"
        markup = interactive.themed_svg(path.read_text(encoding="utf-8"), prefix=prefix, alt=alt)
        image.replace_self(nodes.raw("", markup, format="html"))


class DropRepeatedIds(SphinxPostTransform):
    """Take away the ids that are given more than once: to the bodies of exercises, to citations in docstrings."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Nothing links to them; an exercise's own id, by which it is cited, stays."""
        for section in self.document.findall(nodes.section):
            section["ids"] = [name for name in section["ids"] if name not in ("exercise-content", "solution-content")]
        seen: set[str] = set()
        for node in self.document.findall(nodes.Element):
            # Docstrings are read one by one, and the citations of each are counted from 1.
            counted = {name for name in node["ids"] if COUNTED.fullmatch(name)}
            node["ids"] = [name for name in node["ids"] if name not in counted & seen]
            seen |= counted


def drop_thebe(app: Sphinx) -> None:
    """Undo what sphinx-thebe set up: jupyter-book always loads it, and its scripts name another host."""
    for listeners in app.events.listeners.values():
        listeners[:] = [entry for entry in listeners if entry.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files[:] = [entry for entry in app.registry.css_files if entry[0] != "sphinx-thebe.css"]


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy from the Python package the 6 of MathJax's 24 MB that pages may ask for.

    The package's own extension would copy all. They land in the output, not in `book/_static`: jupyter-book adds every
    script there to every page.
    """
    if error is not None or app.builder.format != "html":
        return
    # The package's name has hyphens: it cannot be imported by a statement.
    package = importlib.util.find_spec("sphinx-mathjax-offline")
    if package is None or package.origin is None:
        raise ExtensionError("MathJax is not installed: pip install sphinx-mathjax-offline")
    source = Path(package.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    if target.exists():
        return
    for folder in ("output/chtml/fonts", "input/tex/extensions", "a11y"):
        copy_asset(source / folder, target / folder)
    for file in ("tex-chtml.js", "sre/mathmaps/base.json", "sre/mathmaps/en.json"):
        copy_asset(source / file, (target / file).parent)


def reread_after_restyling(app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Rebuild every page when the style, a script, this file or the drawing of figures changed.

    Sphinx looks at the pages only, and would leave an old style sheet in the book.
    """
    drawing = Path(interactive.__file__)
    files = [Path(__file__), drawing, drawing.with_name("plotting.py"), *(Path(app.srcdir) / "_static").rglob("*.*")]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()
    if getattr(env, "course_style", None) == digest:
        return []
    env.course_style = digest
    return sorted(env.found_docs)


# What the theme and its extensions write, and what it says to a screen reader, mended: a list whose entries are no
# list items, a role that is no more, a name that hides the visible one.
MENDED = {
    ' role="list" class="citation-list"': ' class="citation-list"',
    ' role="doc-biblioentry"': "",
    '<summary aria-label="Toggle hidden content">': "<summary>",
}


# Of a long signature, a line for each parameter: Sphinx writes a list of definitions of nothing.
LINES = re.compile(r"<dl>\n(<dd>.*?)</dl>", re.DOTALL)


def mend_roles(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Write a page's markup as assistive technology understands it."""
    for old, new in MENDED.items():
        context["body"] = context.get("body", "").replace(old, new)
    context["body"] = LINES.sub(_lines, context.get("body", ""))


def _lines(found: re.Match[str]) -> str:
    lines = found[1].replace("<dd>", "<span>").replace("</dd>", "</span>")
    return f'<span class="sig-lines">{lines}</span>'


def name_switches(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give the theme's switches in the list of pages, which have only a sign on them, a name."""
    make = context.get("generate_toctree_html")
    if make is None:
        return

    def named(*args: Any, **options: Any) -> Any:
        tree = make(*args, **options)
        for summary in tree.select("summary") if hasattr(tree, "select") else ():
            summary["aria-label"] = f"Pages below {summary.find_previous('a').get_text(strip=True)}"
        return tree

    context["generate_toctree_html"] = named


def leave_without_outputs(app: Sphinx, config: Any) -> None:
    """Do not run the page on the kernel where there is no Triton: outside Linux."""
    if importlib.util.find_spec("triton") is None:
        config.nb_execution_excludepatterns = [*config.nb_execution_excludepatterns, "08b-triton.md"]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    # On a fresh machine Matplotlib builds its list of fonts and says so on stderr: here, not in a chapter's cell.
    importlib.import_module("matplotlib.font_manager")
    app.add_transform(LabelBoxes)
    app.add_transform(BreakAddresses)
    app.add_post_transform(InlineFigures)
    app.add_post_transform(DropRepeatedIds)
    # Local extensions are set up after jupyter-book's own.
    # This one numbers sections when all pages are read, and does not say that they may be read side by side.
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
    drop_thebe(app)
    app.connect("config-inited", leave_without_outputs)
    app.connect("env-get-outdated", reread_after_restyling)
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", name_switches, priority=900)  # after the theme's own
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
