"""What a student's cells put out, made safe to keep and to show.

It comes from the student's process and is shown to the instructor, in a browser: text and PNG images pass, anything
that a browser would run does not, and what is too much is cut with a note. Nothing of it bears on a score.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

MOST_TEXT = 20_000  # characters of one stream, value or traceback of one cell
MOST_IMAGE = 1 << 20  # characters of the images of one cell
MOST_SIDE = 4_000  # pixels: a small file can unpack into a huge image
MOST_SHOWN = 20  # displays of one cell
MOST_OUTPUT = 8 << 20  # characters of all outputs of a notebook
_PNG = b"\x89PNG\r\n\x1a\n"


def clean(reply: dict[str, Any]) -> list[NotebookNode]:
    """The outputs of a cell for a notebook, from the reply of the student's process, of which nothing is believed.

    Args:
        reply: ``stdout`` and ``stderr`` as text, ``shown`` as a list of ``{data: {type: text}, result: bool}``,
            ``stopped`` as name, text and traceback of an exception, or None.

    Returns:
        Streams, displays and the error, in this order.
    """
    streams = [(name, _text(reply.get(name))) for name in ("stdout", "stderr")]
    outputs = [new_output("stream", name=name, text=text) for name, text in streams if text]
    shown = reply.get("shown")
    shown = shown if isinstance(shown, list) else []
    outputs += [_display(each) for each in shown[:MOST_SHOWN]]
    if len(shown) > MOST_SHOWN:
        outputs.append(_note("more displays were left out"))
    stopped = reply.get("stopped")
    if isinstance(stopped, list) and len(stopped) == 3:
        name, words, trace = map(_text, stopped)
        outputs.append(new_output("error", ename=name, evalue=words, traceback=trace.split("\n")))
    return outputs


class Kept:
    """The outputs of a notebook's cells by their place, as long as there is room for them."""

    def __init__(self) -> None:
        self.outputs: dict[int, list[NotebookNode]] = {}
        self.sizes: dict[int, int] = {}

    def keep(self, place: int, outputs: list[NotebookNode]) -> None:
        """Keep what a cell put out, in the place of what it put out before."""
        self.sizes[place] = len(str(outputs))
        if sum(self.sizes.values()) > MOST_OUTPUT:
            outputs = [_note("outputs were cut: the notebook has too many in all")]
            self.sizes[place] = 0
        self.outputs[place] = outputs


def printable(text: str) -> str:
    """The text without escape sequences and lone surrogates: part of it may be the student's."""
    unknown = "\N{REPLACEMENT CHARACTER}"
    return "".join(letter if letter.isprintable() or letter in "\n\t" else unknown for letter in text)


def _text(value: Any) -> str:
    """A text as a notebook may hold it, cut; carriage returns overwrite the line, as they do on a screen."""
    if not isinstance(value, str):
        return ""
    note = "\n[more was cut]\n" if len(value) > MOST_TEXT + 100 else ""  # the other side's own note may come on top
    lines = value[: MOST_TEXT + 100].replace("\r\n", "\n").split("\n")
    return printable("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)) + note


def _display(each: Any) -> NotebookNode:
    data = each.get("data") if isinstance(each, dict) else None
    data = data if isinstance(data, dict) else {}
    image, text = _image(data.get("image/png")), _text(data.get("text/plain"))
    if not image and not text:
        return _note("a display of a kind that is not kept")
    kept = {"text/plain": text, **({"image/png": image} if image else {})}
    if each.get("result") is True:
        return new_output("execute_result", data=kept, execution_count=None)
    return new_output("display_data", data=kept)


def _image(value: Any) -> str:
    """A PNG image in base64 as it came, or nothing where it is none or too large."""
    if not isinstance(value, str) or len(value) > MOST_IMAGE:
        return ""
    try:
        content = base64.b64decode(value.replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return ""
    if not content.startswith(_PNG) or len(content) < 24:
        return ""
    return base64.b64encode(content).decode() if max(struct.unpack(">II", content[16:24])) <= MOST_SIDE else ""


def _note(words: str) -> NotebookNode:
    return new_output("display_data", data={"text/plain": f"[{words}]"})
