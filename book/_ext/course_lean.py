"""What a page asks of its reader's machine: scripts that it uses, small pictures, sounds only when they are played."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# What the first lines of a page are set in; these fonts are asked for at once.
FONTS = ["source-serif-4-latin-wght-normal", "inter-latin-wght-normal"]
CODE_FONT = "jetbrains-mono-latin-wght-normal"
# What scripts that stand in the page itself, or in the search page, need before them.
AT_ONCE = [f"_static/{name}.js" for name in ("documentation_options", "doctools", "sphinx_highlight")]


# What the style sheet and the script say to those who change them is a fifth of what a reader would be sent.
COMMENTS = {"course.css": re.compile(r"/\*.*?\*/\n?", re.DOTALL), "course.js": re.compile(r"^ *//.*\n", re.MULTILINE)}

PICTURE = re.compile(r"data:image/png;base64,([^\"]+)")
SOUND = re.compile(r"data:audio/wav;base64,([^\"]+)")
# Matplotlib writes a path to a millionth of a point; a hundredth is finer than any screen or printer.
PATH = re.compile(r'(?<= d=")[^"]+')
LINES = re.compile(r"(?:[ML] -?[\d.]+ -?[\d.]+\s*|z\s*)+")
POINT = re.compile(r"([MLz])(?: (\S+) (\S+))?")
NUMBER = re.compile(r"-?\d+\.\d{3,}")
QUALITY = 75  # of 100: beside the original no difference is seen


class LightenOutputs(SphinxPostTransform):
    """Write the pictures within figures as WebP, their lines no finer than seen, and sounds beside the page."""

    default_priority = 7  # after course_book has put the figures into the page
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Go through what stands in the page as HTML."""
        for raw in self.document.findall(nodes.raw):
            text = PICTURE.sub(lambda found: _webp(base64.b64decode(found[1])) or found[0], raw.astext())
            text = PATH.sub(lambda path: _shorter(path[0]), text)
            text = SOUND.sub(lambda found: self.store(found[1]), text)
            if text != raw.astext():
                raw.replace_self(nodes.raw("", text, format=raw["format"]))

    def store(self, sound: str) -> str:
        """Write a sound into the book, and return its address.

        Beside it lies a script that says the same: what mixes sounds may read no other file from the file system.
        """
        content = base64.b64decode(sound)
        name = hashlib.sha256(content).hexdigest()[:16]
        folder = Path(self.app.outdir) / "_static" / "sounds"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.wav").write_bytes(content)
        (folder / f"{name}.js").write_text(f'(window.courseSounds ??= {{}})["{name}"] = "{sound}";\n', encoding="utf-8")
        return "../" * self.env.docname.count("/") + f"_static/sounds/{name}.wav"


def _shorter(path: str) -> str:
    """The same path in fewer letters; a long one of straight lines, as contours are, by steps of tenths of a point."""
    if len(path) < 500 or not LINES.fullmatch(path):
        return NUMBER.sub(lambda number: f"{float(number[0]):.2f}", path)
    steps, start, here = "", (0, 0), (0, 0)
    for command, *numbers in POINT.findall(path):
        if command == "z":  # back to where the last M was
            steps, here = steps + "z", start
            continue
        x, y = (round(10 * float(number)) for number in numbers)
        steps += f"{command.lower()}{(x - here[0]) / 10:g} {(y - here[1]) / 10:g}"
        here = (x, y)
        start = here if command == "M" else start
    return steps


def _webp(png: bytes) -> str | None:
    """The same picture, where it gets smaller by it; few pixels, as of a heat map, stay what they are."""
    with Image.open(io.BytesIO(png)) as picture:
        if picture.width * picture.height < 10_000:
            return None
        file = io.BytesIO()
        picture.save(file, "webp", quality=QUALITY, method=6)
    if file.tell() >= len(png):
        return None
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def lighten(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Leave MathJax out where there is no formula, and let the other scripts wait until the page was read."""
    # Sphinx counts the formulas of all pages below the first one as its own.
    equations = app.env.get_domain("math").data["has_equations"].get(page, False)
    context["script_files"] = [each for each in context["script_files"] if equations or not _is_mathjax(each)]
    # Few pages have cards or tabs of sphinx-design, which jupyter-book loads on all.
    if 'class="sd-' not in context.get("body", ""):
        for files in ("css_files", "script_files"):
            context[files] = [each for each in context[files] if "design" not in str(each.filename)]
    for script in context["script_files"]:
        if script.filename and script.filename not in AT_ONCE:
            script.attributes.setdefault("defer", "defer")
    code = doctree is not None and doctree.next_node(nodes.literal_block) is not None
    context["course_fonts"] = [*FONTS, CODE_FONT] if code else FONTS


def _is_mathjax(script: Any) -> bool:
    return "mathjax/" in str(script.filename) or script.attributes.get("body", "").startswith("window.MathJax")


def drop_comments(app: Sphinx, error: Exception | None) -> None:
    """Take the comments out of the copies that pages load."""
    for name, comment in COMMENTS.items():
        path = Path(app.outdir, "_static", name)
        if path.exists():
            path.write_text(comment.sub("", path.read_text(encoding="utf-8")), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts; scripts are sorted out after everything that adds some."""
    app.add_post_transform(LightenOutputs)
    app.connect("html-page-context", lighten, priority=900)
    app.connect("build-finished", drop_comments)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
