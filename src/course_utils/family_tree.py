"""The family tree of attention: who built on whom, from the psychologist's filter to FlashAttention.

Everything comes from `family_tree.json` beside this file, which cites a source for every entry.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from course_utils.interactive import Html, figure, themed_svg
from course_utils.plotting import PALETTE

__all__ = ["family_tree_figure", "load_tree"]

#: What a line of the tree rests on: kind → how the SVG draws it.
DASHES = {"stated": "", "ours": "5 3", "likeness": "1 3"}

# The still picture, in points: places of the lineages' names, rows and columns.
TOP, ROW, LANE, LEFT = 84, 18, 16, 12
WIDTH = 480


def load_tree() -> dict[str, Any]:
    """Return the tree as it stands in the data file.

    `lineages` maps ids to names. `entries` stand in the order of time; each has `id`, `year` (of its first public
    version), `name`, `authors`, `lineage`, `chapter` (where the course meets it, or None), `works` (keys of what it
    cites), `added` (what it brought, in a sentence or two) and `from`, a list of what it builds on: `entry` (an id),
    `source` (the key of the work that says so; None where it is our reading), `note`, and `likeness`, true where two
    are the same thing and nobody says that one led to the other. `works` maps keys of the bibliography to `label`,
    `text` and, where there is one, `url`. `chosen` is the entry that is shown first.
    """
    return json.loads(resources.files("course_utils").joinpath("family_tree.json").read_text(encoding="utf-8"))


def family_tree_figure(tree: Mapping[str, Any] | None = None) -> Html:
    """Return the figure in which a reader walks through the tree.

    Args:
        tree: another tree of the form that `load_tree` describes; the course's own if None.

    Raises:
        ValueError: an entry builds on one that does not stand before it, or names an unknown lineage or work.
    """
    tree = load_tree() if tree is None else tree
    _require_order(tree)
    first, last = tree["entries"][0], tree["entries"][-1]
    alt = (
        f"A family tree of attention with {len(tree['entries'])} works, from {first['name']} ({first['year']}) to "
        f"{last['name']} ({last['year']}), in {len(tree['lineages'])} lineages."
    )
    still = themed_svg(_still(tree), prefix="family-tree", alt=f"{alt} A list with the same content follows.")
    return figure("family-tree", _graph(tree), still + _list(tree), alt)


def _require_order(tree: Mapping[str, Any]) -> None:
    """Raise unless lineages, works and what an entry builds on are all there, the latter before it."""
    seen: set[str] = set()
    for entry in tree["entries"]:
        if entry["lineage"] not in tree["lineages"]:
            raise ValueError(f"family_tree_figure: {entry['id']}: unknown lineage {entry['lineage']!r}")
        sources = [edge["source"] for edge in entry["from"] if edge["source"] is not None]
        for key in (*entry["works"], *sources):
            if key not in tree["works"]:
                raise ValueError(f"family_tree_figure: {entry['id']}: unknown work {key!r}")
        for edge in entry["from"]:
            if edge["entry"] not in seen:
                raise ValueError(
                    f"family_tree_figure: {entry['id']}: expected to build on an earlier entry, got {edge['entry']!r}"
                )
        seen.add(entry["id"])


def _graph(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the script draws; what it says of an entry it takes from the list."""
    entries = [
        {name: entry[name] for name in ("id", "year", "name", "lineage")}
        | {"from": [{"entry": edge["entry"], "kind": _kind(edge)} for edge in entry["from"]]}
        for entry in tree["entries"]
    ]
    return {"chosen": tree["chosen"], "lineages": tree["lineages"], "entries": entries}


def _kind(edge: Mapping[str, Any]) -> str:
    """Say what a line rests on: a source that states it, our reading, or a likeness without descent."""
    if edge.get("likeness"):
        return "likeness"
    return "ours" if edge["source"] is None else "stated"


def _still(tree: Mapping[str, Any]) -> str:
    """Draw the tree: time downwards, a column for each lineage, a row for each entry."""
    entries, lineages = tree["entries"], list(tree["lineages"])
    places = {
        entry["id"]: (LEFT + LANE * lineages.index(entry["lineage"]), TOP + ROW * row)
        for row, entry in enumerate(entries)
    }
    lines = [
        _line(places[edge["entry"]], places[entry["id"]], _kind(edge)) for entry in entries for edge in entry["from"]
    ]
    names = [
        _text(0, 0, name, "muted", f'transform="translate({LEFT + LANE * i} {TOP - 12}) rotate(-60)"')
        for i, name in enumerate(tree["lineages"].values())
    ]
    rows = [_row(entry, *places[entry["id"]], LEFT + LANE * len(lineages)) for entry in entries]
    height = TOP + ROW * len(entries)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}"><g font-family="Inter, sans-serif" font-size="9.5">'
        f"{''.join(lines + names + rows)}</g></svg>"
    )


def _line(start: tuple[int, int], end: tuple[int, int], kind: str) -> str:
    """Draw a line from one entry to a later one, as `FamilyTree.route` in `book/_static/course.js` does."""
    (x1, y1), (x2, y2) = start, end
    middle, half = (y1 + y2) / 2, ROW / 2
    aside = (0.55 if kind == "likeness" else 0.4) * LANE
    x = x1 + (aside if x2 > x1 else -aside)
    path = (
        f"M{x1} {y1}Q{x:g} {y1 + half:g} {x:g} {y1 + ROW}V{y2 - ROW}C{x:g} {y2 - half:g} {x2} {y2 - half:g} {x2} {y2}"
    )
    if y2 - y1 < 2 * ROW:
        path = f"M{x1} {y1}C{x1} {middle:g} {x2} {middle:g} {x2} {y2}"
    stroke = f'stroke="{PALETTE["muted"]}" stroke-width="0.8" stroke-dasharray="{DASHES[kind]}"'
    return f'<path d="{path}" fill="none" {stroke}/>'


def _row(entry: Mapping[str, Any], x: int, y: int, column: int) -> str:
    """Draw an entry: its dot, and in the columns its year, its name and its authors."""
    return (
        f'<circle cx="{x}" cy="{y}" r="3.5" fill="{PALETTE["blue"]}"/>'
        + _text(column, y + 3, str(entry["year"]), "muted")
        + _text(column + 30, y + 3, entry["name"], "ink")
        + _text(column + 164, y + 3, entry["authors"], "muted")
    )


def _text(x: int, y: int, text: str, colour: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{PALETTE[colour]}" {more}>{html.escape(text)}</text>'


def _list(tree: Mapping[str, Any]) -> str:
    """Write the tree as a list: for print, for a page without JavaScript, and as the text of the script's card."""
    names = {entry["id"]: f"{entry['name']}, {entry['year']}" for entry in tree["entries"]}
    return f"<ol>{''.join(_item(entry, tree, names) for entry in tree['entries'])}</ol>"


def _item(entry: Mapping[str, Any], tree: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Write what is known of an entry: who, what it added, its lines in both directions, and what it cites."""
    links: dict[str, list[str]] = {"Came from": [], "Led to": [], "Alike": []}
    for edge in entry["from"]:
        title = "Alike" if _kind(edge) == "likeness" else "Came from"
        links[title].append(_link(edge["entry"], names, f": {edge['note']}{_whose(edge, entry, tree['works'])}"))
    for later in tree["entries"]:
        for edge in later["from"]:
            if edge["entry"] == entry["id"]:
                links["Alike" if _kind(edge) == "likeness" else "Led to"].append(_link(later["id"], names, ""))
    lists = [f'<p class="kin">{title}</p><ul>{"".join(some)}</ul>' for title, some in links.items() if some]
    who = entry["authors"] + (f" · chapter {entry['chapter']}" if entry["chapter"] else "")
    return (
        f'<li data-entry="{html.escape(entry["id"])}"><p class="title"><b>{html.escape(names[entry["id"]])}</b></p>'
        f'<p class="quiet">{html.escape(who)}</p><p>{html.escape(entry["added"])}</p>{"".join(lists)}'
        f"{''.join(_work(tree['works'][key]) for key in entry['works'])}</li>"
    )


def _whose(edge: Mapping[str, Any], entry: Mapping[str, Any], works: Mapping[str, Any]) -> str:
    """Say whose word a line rests on, where it is not the entry's own."""
    if edge["source"] is None:
        return " [our reading]"
    return "" if edge["source"] in entry["works"] else f" [{works[edge['source']]['label']}]"


def _link(name: str, names: Mapping[str, str], words: str) -> str:
    return f'<li><span data-to="{html.escape(name)}">{html.escape(names[name])}</span>{html.escape(words)}</li>'


def _work(work: Mapping[str, Any]) -> str:
    text = html.escape(work["text"])
    if "url" in work:
        text = f'<a href="{html.escape(work["url"])}">{text}</a>'
    return f'<p class="work">{html.escape(work["label"])}. {text}</p>'
