"""The family tree: its data, its markup, and the figure in a real browser."""

import copy
import html
import json
import re

import pytest
from browsing import PHONE, ROOT, TOUCH, WIDE, figure_page

from course_utils.family_tree import family_tree_figure, load_tree

BIBLIOGRAPHY = ROOT / "book" / "references.bib"
TREE = load_tree()
ENTRIES = {entry["id"]: entry for entry in TREE["entries"]}
EDGES = [(entry, edge) for entry in TREE["entries"] for edge in entry["from"]]


def reach(name, way):
    """All ids that lines of descent lead to, found in another way than the script's: round by round."""
    found, last = set(), {name}
    while last:
        steps = [(e["entry"], entry["id"]) for entry, e in EDGES if not e.get("likeness")]
        ends = {a for a, b in steps if b in last} if way == "from" else {b for a, b in steps if a in last}
        last = ends - found
        found |= ends
    return found


# --- The data ---


def bibliography():
    """Key → fields, of all entries of the bibliography."""
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    found = {}
    for key, body in re.findall(r"^@\w+\{([^,]+),\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        found[key] = dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?$", body, re.MULTILINE))
    return found


def letters(text):
    return re.sub(r"\W|_", "", text).lower()


@pytest.mark.parametrize("key", TREE["works"])
def test_every_work_is_the_one_of_the_bibliography(key):
    fields = bibliography()[key]
    work = TREE["works"][key]
    assert letters(fields["title"]) in letters(work["text"])
    assert (
        letters(work["label"].split()[0]) in letters(re.sub(r'\\.|[{}"]', "", fields["author"]))
        or "von" in work["label"]
    )
    links = [fields["url"]] if "url" in fields else [f"https://doi.org/{fields['doi']}"] if "doi" in fields else []
    assert not links or work["url"] == links[0]


def test_every_work_is_used_and_every_entry_cites_one():
    used = [key for entry in ENTRIES.values() for key in entry["works"]] + [
        e["source"] for _, e in EDGES if e["source"]
    ]
    assert set(used) == set(TREE["works"])
    assert all(entry["works"] for entry in ENTRIES.values())


def test_time_goes_forward():
    years = [entry["year"] for entry in ENTRIES.values()]
    assert years == sorted(years)
    order = list(ENTRIES)
    for entry, edge in EDGES:
        assert order.index(edge["entry"]) < order.index(entry["id"])


def test_ids_names_and_lines_stand_once():
    assert len(ENTRIES) == len(TREE["entries"])
    assert len({entry["name"] for entry in ENTRIES.values()}) == len(ENTRIES)
    assert len({(entry["id"], edge["entry"]) for entry, edge in EDGES}) == len(EDGES)


def test_what_the_chapter_says_of_it():
    assert "transformer" not in reach("cocktail", "to")
    assert "captions" in reach("cocktail", "to")
    assert {"sigma-pi", "lstm", "encoder-decoder", "rnnsearch"} <= reach("transformer", "from")
    assert reach("backward", "to") == set()


# --- The markup ---


def tiny():
    return copy.deepcopy(
        {
            "chosen": "b",
            "lineages": {"x": "X < Y", "y": 'Y "and" Z'},
            "entries": [
                {"id": "a", "year": 1, "name": "A & </script>", "authors": "Aa", "lineage": "x", "chapter": None}
                | {"works": ["w1"], "added": "</script><b>", "from": []},
                {"id": "b", "year": 2, "name": "B", "authors": "Bb", "lineage": "y", "chapter": "07"}
                | {"works": ["w2"], "added": "More.", "from": [{"entry": "a", "source": None, "note": "1 < 2"}]},
            ],
            "works": {
                "w1": {"label": "W 1", "text": "One.", "url": "https://x/?a&b"},
                "w2": {"label": "W 2", "text": "Two."},
            },
        }
    )


def test_markup_is_escaped():
    markup = family_tree_figure(tiny()).markup
    inner = re.search(r'<script type="application/json">(.*?)</script>', markup)[1]
    assert json.loads(inner)["lineages"]["x"] == "X < Y"
    rest = markup.replace(inner, "")
    for text in ["A & </script>, 1", "</script><b>", "1 < 2", "X < Y", "https://x/?a&b"]:
        assert html.escape(text) in rest
        assert text not in rest


def test_the_still_picture_and_the_list_have_every_entry():
    markup = family_tree_figure().markup
    picture, listed = re.search(r"(<svg.*</svg>)(<ol>.*</ol>)", markup, re.DOTALL).groups()
    assert picture.count("<circle") == len(ENTRIES)
    assert picture.count("<path") == len(EDGES)
    for entry in ENTRIES.values():
        for part in (str(entry["year"]), entry["name"], entry["authors"]):
            assert html.escape(part) in picture
            assert html.escape(part) in listed
        assert html.escape(entry["added"]) in listed
    assert listed.count("[our reading]") == sum(edge["source"] is None for _, edge in EDGES)


def test_colours_follow_the_theme():
    assert not re.findall(r'"#\w+"', family_tree_figure().markup)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree["entries"].reverse(), "b: expected to build on an earlier entry, got 'a'"),
        (lambda tree: tree["lineages"].pop("x"), "a: unknown lineage 'x'"),
        (lambda tree: tree["works"].pop("w2"), "b: unknown work 'w2'"),
        (lambda tree: tree["entries"][1]["from"][0].update(source="w3"), "b: unknown work 'w3'"),
    ],
)
def test_bad_input(change, message):
    tree = tiny()
    change(tree)
    with pytest.raises(ValueError, match=message):
        family_tree_figure(tree)


# --- The figure in a browser ---


ELEMENT = "family-tree"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return figure_page(tmp_path_factory.mktemp("page"), family_tree_figure())


def check(figure, chosen):
    """The chosen work is marked, described and spoken of, and its kin are those found in Python."""
    entry = ENTRIES[chosen]
    pressed = figure.locator(".chart button[aria-pressed=true]")
    assert pressed.inner_text() == f"{entry['year']} {entry['name']}"
    assert figure.locator(".chart button[tabindex='0']").count() == 1
    assert figure.locator(".about .title").inner_text() == f"{entry['name']}, {entry['year']}"
    assert entry["added"] in figure.locator(".about").inner_text()
    for side, way in [("before", "from"), ("after", "to")]:
        shown = figure.locator(f".chart li.{side}:not([hidden]) .name").all_inner_texts()
        assert set(shown) <= {ENTRIES[name]["name"] for name in reach(chosen, way)}
        if not figure.locator("select").input_value():
            assert len(shown) == len(reach(chosen, way))
            assert figure.locator(f".chart circle.{side}").count() == len(shown)


def test_it_begins_at_the_transformer(figure):
    check(figure, "transformer")
    assert figure.locator(".chart li:not([hidden])").count() == len(ENTRIES)
    assert figure.locator(".chart path").count() == len(EDGES)
    assert not figure.locator(".still").is_visible()


def test_the_keyboard_walks_in_time_and_along_the_lines(figure):
    keyboard = figure.page.keyboard
    figure.locator("select").focus()
    keyboard.press("Tab")
    order = list(ENTRIES)
    for key, chosen in [
        ("ArrowUp", order[order.index("transformer") - 1]),
        ("ArrowDown", "transformer"),
        ("ArrowLeft", "rnnsearch"),
        ("ArrowLeft", "encoder-decoder"),
        ("ArrowRight", "rnnsearch"),
        ("ArrowRight", "ntm"),
        ("End", "flash"),
        ("ArrowDown", "flash"),
        ("ArrowRight", "flash"),
        ("Home", "cocktail"),
        ("ArrowUp", "cocktail"),
        ("ArrowLeft", "cocktail"),
    ]:
        keyboard.press(key)
        check(figure, chosen)
        assert figure.page.evaluate("document.activeElement.innerText").endswith(ENTRIES[chosen]["name"])
    assert figure.get_by_role("status").inner_text().startswith("Cocktail party, 1953. ")
    # From the tree Tab leads to what the card names.
    keyboard.press("Tab")
    keyboard.press("Enter")
    check(figure, "filter")
    figure.get_by_role("button", name="Reset").press("Enter")
    check(figure, "transformer")


def test_a_lineage_alone_and_back(figure):
    choice = figure.locator("select")
    choice.select_option("fast")
    mine = {entry["id"] for entry in ENTRIES.values() if entry["lineage"] == "fast"}
    near = {entry["id"] for entry, edge in EDGES if edge["entry"] in mine}
    near |= {edge["entry"] for entry, edge in EDGES if entry["id"] in mine}
    shown = figure.locator(".chart li:not([hidden]) .name").all_inner_texts()
    assert shown == [entry["name"] for entry in ENTRIES.values() if entry["id"] in mine | near]
    assert figure.locator(".chart circle").count() == len(shown)
    # The Transformer is not among them: the first of the lineage is chosen in its place.
    check(figure, "correlation")
    # A work outside the lineage lifts the filter.
    figure.locator(".chart button", has_text="Linear attention").click()
    figure.locator(".about button", has_text="Transformer").click()
    check(figure, "transformer")
    assert choice.input_value() == ""


def test_likeness_is_not_descent(figure):
    figure.locator(".chart button", has_text="Kernel regression").click()
    check(figure, "kernel")
    assert figure.locator(".about .kin").all_inner_texts() == ["Alike"]
    assert figure.locator(".chart li.beside .name").all_inner_texts() == ["Transformer"]
    assert figure.locator(".chart path.beside.likeness").count() == 1


@pytest.mark.parametrize("figures", [TOUCH], indirect=True)
def test_a_finger_on_a_phone(figure):
    page = figure.page
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    names = figure.locator(".chart button").evaluate_all(
        "all => all.filter((b) => b.scrollWidth > b.clientWidth).length"
    )
    assert names == 0, "a name is cut off"
    figure.locator(".chart button", has_text="LSTM").first.tap()
    check(figure, "lstm")
    # The card is in sight although it stands after the tree.
    box = figure.locator(".about").bounding_box()
    assert box["y"] < PHONE["height"] <= box["y"] + box["height"] + 1


@pytest.mark.parametrize("figures", [{"viewport": WIDE}], indirect=True)
def test_rows_stand_beside_their_dots(figure):
    rows = figure.locator(".chart button").evaluate_all(
        "all => all.map((b) => b.getBoundingClientRect()).map((r) => r.y + r.height / 2)"
    )
    dots = figure.locator(".chart circle").evaluate_all(
        "all => all.map((c) => c.getBoundingClientRect()).map((r) => r.y + r.height / 2)"
    )
    assert rows == pytest.approx(dots, abs=1)


def test_print_has_the_still_picture_and_the_list(figure):
    figure.page.emulate_media(media="print")
    assert figure.locator(".still svg").is_visible()
    assert figure.locator(".still ol").is_visible()
    assert not figure.locator(".live").is_visible()


@pytest.mark.parametrize("figures", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_there_are_the_still_picture_and_the_list(figure):
    assert figure.locator(".still svg").is_visible()
    assert figure.locator(".still ol > li").count() == len(ENTRIES)
