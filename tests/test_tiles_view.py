"""Flash attention's tiles: counts as the real loop makes them, and in a browser what is shown of each step."""

import functools
import itertools
import json
import re

import pytest
import torch
from browsing import PHONE, TOUCH, WIDE, figure_page, open_page
from test_plotting import contrast

from course_utils.flash import SlowMemory, flash_attention, visited_tiles
from course_utils.plotting import PALETTE
from course_utils.roofline import naive_traffic, tile_traffic
from course_utils.tiles_view import Loop, flash_tiles


@functools.cache
def square():
    return flash_tiles(10, 10, 4, (4, 3))


@functools.cache
def uneven():
    """More queries than keys under a mask: the first four queries see nothing."""
    return flash_tiles(11, 7, 3, (4, 3), value_width=2, causal=True, choices=((2, 40), (7,)), chosen=0)


SQUARE = Loop(10, 10, 4, 4, (4, 3), causal=False)
UNEVEN = Loop(11, 7, 3, 2, (4, 3), causal=True)
LOOPS = [
    SQUARE,
    UNEVEN,
    Loop(11, 7, 3, 5, (4, 3), causal=False),
    Loop(5, 9, 2, 1, (2, 4), causal=True),
    Loop(7, 7, 1, 3, (1, 7), causal=True),
    Loop(3, 3, 2, 2, (3, 1), causal=False),
]


class Watched(SlowMemory):
    """Counts numbers, not bytes, and writes down which rows are loaded or stored, and what was counted by then."""

    def __init__(self):
        super().__init__()
        self.log = []

    def load(self, tensor, rows):
        block = tensor[..., rows, :]
        self.loaded += block.numel()
        self.log.append((tensor, range(rows.start, rows.stop), self.loaded, self.stored))
        return block

    def store(self, tensor, rows, block):
        tensor[..., rows, :] = block
        self.stored += block.numel()
        self.log.append((tensor, range(rows.start, rows.stop), self.loaded, self.stored))


@functools.cache
def watched(loop):
    """Queries, keys, values, and the memory after the real loop."""
    generator = torch.Generator().manual_seed(3)
    query, key, value = (
        torch.randn(*shape, generator=generator)
        for shape in ((loop.queries, loop.width), (loop.keys, loop.width), (loop.keys, loop.value_width))
    )
    memory = Watched()
    flash_attention(query, key, value, causal=loop.causal, blocks=loop.blocks, memory=memory)
    return query, key, value, memory


# --- Counts ---


@pytest.mark.parametrize("loop", LOOPS)
def test_the_order_and_the_counts_are_those_of_the_real_loop(loop):
    query, _, value, memory = watched(loop)
    rows, moments = None, []
    for i, (tensor, block, loaded, stored) in enumerate(memory.log):
        if tensor is query:
            rows = block
            moments.append(("load", rows, range(0), loaded, stored))
        elif tensor is value:
            moments.append(("tile", rows, block, loaded, stored))
        elif i + 1 == len(memory.log) or memory.log[i + 1][0] is query:  # the log-sum-exp
            moments.append(("store", rows, range(0), loaded, stored))
    start, *ours = loop.moments()
    assert start == ("start", range(0), range(0), 0, 0, 0, 0)
    assert [(*moment[:3], moment.loaded, moment.stored) for moment in ours] == moments
    assert [moment.tiles for moment in ours] == list(itertools.accumulate(m[0] == "tile" for m in moments))


@pytest.mark.parametrize("loop", LOOPS)
def test_the_end_is_that_of_the_closed_forms(loop):
    sizes = loop.queries, loop.keys, loop.width, loop.value_width
    *_, end = loop.moments()
    moved = tile_traffic(*sizes, loop.blocks, causal=loop.causal)
    statistics = 4 * loop.queries  # float64: four bytes more than another number
    assert (4 * end.loaded, 4 * end.stored + statistics) == (moved.loaded, moved.stored)
    assert end.tiles == visited_tiles(loop.queries, loop.keys, loop.blocks, causal=loop.causal)
    plain = naive_traffic(*sizes)
    assert (4 * loop.plain()["loaded"], 4 * loop.plain()["stored"]) == (plain.loaded, plain.stored)
    # Without the matrices inputs and output would be moved once each.
    inputs = loop.queries * loop.width + loop.keys * (loop.width + loop.value_width)
    assert plain.total // 4 - loop.plain()["matrices"] == inputs + loop.queries * loop.value_width


def test_what_is_held_is_what_the_loop_has_in_its_hands():
    held = [moment.held for moment in UNEVEN.moments()]
    # Blocks of 4, 4 and 3 queries with m, l and o; of 3, 3 and 1 keys; the first block of queries sees no key.
    q, rest = 4 * (3 + 2 + 2), 3 * (3 + 2 + 2)
    first, last = 3 * (3 + 2), 1 * (3 + 2)
    assert held == [0, q, 0, q, q + first + 12, q + first + 12, 0, rest] + [rest + first + 9] * 2 + [rest + last + 3, 0]


# --- The markup ---


def data_of(view):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', view._repr_html_())[1])


def texts(markup):
    return re.findall(r"<text[^>]*>(.*?)</text>", markup)


class TestMarkup:
    def test_the_data_come_back(self):
        assert data_of(square()) == {
            **{"queries": 10, "keys": 10, "width": 4, "value_width": 4, "blocks": [4, 3], "causal": False},
            **{"choices": [[1, 2, 4, 5], [2, 3, 5]], "chosen": 10},
            "plain": {"loaded": 320, "stored": 240, "matrices": 400},
        }
        data = data_of(uneven())
        assert (data["value_width"], data["causal"], data["chosen"]) == (2, True, 0)
        assert data["choices"] == [[2, 4], [3, 7]]

    def test_it_begins_at_the_tile_in_the_middle(self):
        moments = list(SQUARE.moments())
        assert (moments[10].act, moments[10].tiles, moments[-1].tiles) == ("tile", 7, 12)
        assert data_of(flash_tiles(1, 1, 1, (1, 1)))["chosen"] == 2
        assert data_of(flash_tiles(12, 1, 1, (12, 1), causal=True))["chosen"] == 2

    def test_the_counters_of_the_still_picture(self):
        shown = texts(square().markup)
        counters = shown[shown.index("tiles done") :]
        lines = {counters[i]: counters[i + 1 : i + 4] for i in range(0, len(counters), 4)}
        # 4 of 10 queries and all keys and values, then 4 queries and 9 keys and values; a block of O and L is stored.
        assert lines == {
            "tiles done": ["7", "12", "–"],
            "numbers loaded": [str(16 + 80 + 16 + 72), "280", "320"],
            "numbers stored": ["20", "50", "240"],
            "moved in all": ["204", "330", "560"],
            "of these, scores and weights": ["0", "0", "400"],
            "held in fast memory": ["76 now", "76 at most", "–"],
        }
        fast = shown[shown.index("m, l") + 1 : shown.index("so far") - 1]
        assert sum(map(int, fast)) == 76

    def test_the_tiles_of_the_still_picture(self):
        view = flash_tiles(10, 8, 3, (4, 3), causal=True, value_width=2, chosen=6).markup
        colours = [f"--c-seq-{step}," for step in (2, 9)]
        assert [view.count(f'fill="var({colour}') for colour in colours] == [2, 2]  # two done; one now, and in fast
        assert len(re.findall(r'<path d="M[^"]*l9-9"', view)) == 3  # skipped
        assert view.count("l9-9") == 4 * 3 + 4 * 2 + 4 * 2
        assert 'stroke-dasharray="2 2"' in view

    def test_what_it_says_of_itself(self):
        assert square().alt.startswith("Scores of 10 queries and 10 keys in tiles of 4 × 3. A small fast memory holds")
        assert square().alt.endswith("280 numbers are loaded from the large slow memory and 50 stored; the plain form "
                                     "loads 320 and stores 240.")  # fmt: skip
        assert "Shown is step 10 of 18." in square().markup
        assert "4 × 3, tiles of a causal mask skipped. A small" in uneven().alt

    def test_every_colour_follows_the_theme(self):
        for view in (square(), uneven()):
            colours = re.findall(r'(?:fill|stroke)="([^"]+)"', view.markup)
            assert {colour for colour in colours if not colour.startswith("var(--c-")} == {"none"}
            assert not set(re.findall(r'"(#\w{6})', view.markup)) & set(PALETTE.values())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"n_queries": 0}, "n_queries: expected 1 to 12, got 0"),
            ({"n_keys": 13}, "n_keys: expected 1 to 12, got 13"),
            ({"width": 2.5}, "width: expected 1 to 4, got 2.5"),
            ({"value_width": 5}, "value_width: expected 1 to 4, got 5"),
            ({"blocks": (0, 3)}, "blocks: expected 1 to 10 rows, got 0"),
            ({"blocks": (4, 10)}, "blocks: expected 1 to 9 rows, got 10"),
            ({"blocks": (4,)}, r"blocks, choices: expected a pair, for queries and keys, got \(4,\)"),
            ({"choices": ((2, 0), (3,))}, r"choices: expected 1 row or more, got \[2, 0\]"),
            ({"choices": (range(1, 7), (3,))}, r"choices: expected up to 5, got \[1, 2, 3, 4, 5, 6\]"),
            ({"chosen": 22}, "chosen: expected a step, 0 to 21, got 22"),
            ({"chosen": -1}, "chosen: expected a step, 0 to 21, got -1"),
        ],
    )
    def test_bad_input(self, change, message):
        with pytest.raises(ValueError, match=rf"^flash_tiles: {message}[^\n]*$"):
            flash_tiles(**{"n_queries": 10, "n_keys": 9, "width": 4, "blocks": (4, 2), "choices": ((), ())} | change)


# --- In a browser, on a page of its own from the file system ---


ELEMENT, CLOCK_STANDS = "flash-tiles", True


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return figure_page(tmp_path_factory.mktemp("page"), square(), uneven())


# Everything that a step shows, read in one go.
SHOWN = """(figure) => {
    const all = (selector, read) => [...figure.querySelectorAll(selector)].map(read);
    const visible = (part) => getComputedStyle(part).display !== 'none';
    return {
        words: figure.querySelector('.words').textContent,
        event: figure.querySelector('.event').textContent,
        sum: figure.querySelector('.sum').textContent,
        value: figure.querySelector('input[type=range]').ariaValueText,
        max: figure.querySelector('input[type=range]').max,
        counters: all('tbody tr', (row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent)),
        tiles: all('.memory:first-child .tile', (tile) => tile.className),
        full: all('.memory:first-child .matrix', (matrix) =>
            [...matrix.querySelectorAll('.block')].map((block) => +block.matches('.full'))),
        held: all('.memory:last-child .block', (block) => visible(block) ? block.textContent : null),
        sizes: all('.memory:last-child .block', (block) =>
            ['--across', '--down'].map((name) => Number(block.style.getPropertyValue(name)))),
    };
}"""


def counters(loop, now, moments):
    end, plain = moments[-1], loop.plain()
    return [
        [str(now.tiles), str(end.tiles), "–"],
        [str(now.loaded), str(end.loaded), str(plain["loaded"])],
        [str(now.stored), str(end.stored), str(plain["stored"])],
        [str(now.loaded + now.stored), str(end.loaded + end.stored), str(plain["loaded"] + plain["stored"])],
        ["0", "0", str(plain["matrices"])],
        [f"{now.held} now", f"{max(moment.held for moment in moments)} at most", "–"],
    ]


def check(figure, loop, step):
    """Everything that is shown is that of a step."""
    moments = list(loop.moments())
    now, past, last = moments[step], moments[: step + 1], len(moments) - 1
    shown = figure.evaluate(SHOWN)
    assert shown["words"] == f"Step {step} of {last}"
    assert shown["max"] == str(last)
    assert shown["value"].startswith(f"step {step} of {last}: ")
    assert shown["value"].endswith(f"{now.loaded} numbers loaded, {now.stored} stored")
    assert shown["counters"] == counters(loop, now, moments)

    done = {moment[1:3] for moment in past}
    visited = {moment[1:3] for moment in moments}
    kinds = [
        "now" if tile == now[1:3] else "done" if tile in done else "" if tile in visited else "skipped"
        for tile in itertools.product(loop.rows(), loop.columns())
    ]
    assert shown["tiles"] == [f"tile {kind}" for kind in kinds]
    stored = [int(any(moment[:2] == ("store", rows) for moment in past)) for rows in loop.rows()]
    queries = [int(rows == now.rows and now.act != "store") for rows in loop.rows()]
    keys = [int(columns == now.columns) for columns in loop.columns()]
    assert shown["full"] == [queries, keys, keys, [], stored, stored]

    names = {"load": "qol", "tile": "qkvsol"}.get(now.act, "")
    rows, columns = len(now.rows), len(now.columns)
    sizes = {"q": (loop.width, rows), "k": (columns, loop.width), "v": (columns, loop.value_width)}
    sizes |= {"s": (columns, rows), "o": (loop.value_width, rows), "l": (2, rows)}
    held = dict(zip("qkvsol", zip(shown["held"], shown["sizes"], strict=True), strict=True))
    for name, (text, size) in held.items():
        if name in names:
            across, down = sizes[name]
            assert (text, size) == (str(across * down) if min(across, down) > 1 else "", [across, down])
        else:
            assert text is None
    terms = [str(across * down) for name, (across, down) in sizes.items() if name in names]
    assert shown["sum"] == f"Held: {' + '.join(terms)}{' = ' * bool(terms)}{now.held} numbers."


def choose(figure, blocks, causal):
    """Choose blocks and mask; returns whether that changed anything."""
    for i, size in enumerate(blocks):
        figure.get_by_role("group").nth(i).get_by_role("radio", name=str(size), exact=True).check()
    figure.get_by_role("checkbox", name="Causal mask").set_checked(causal)


def test_each_begins_at_its_step(figures):
    check(figures.first, SQUARE, 10)
    check(figures.nth(1), UNEVEN, 0)
    assert not figures.first.locator(".still").is_visible()
    assert figures.first.get_by_role("status").inner_text() == ""


def test_every_step_of_both(figures):
    for figure, loop in zip(figures.all(), (SQUARE, UNEVEN), strict=True):
        for step in range(len(list(loop.moments()))):
            figure.get_by_role("slider").fill(str(step))
            check(figure, loop, step)


def test_every_choice_counts_to_the_end_as_the_real_loop_does(figure):
    for *blocks, causal in itertools.product([1, 2, 4, 5], [2, 3, 5], [True, False]):
        choose(figure, blocks, causal)
        loop = Loop(10, 10, 4, 4, tuple(blocks), causal)
        check(figure, loop, 0)
        figure.get_by_role("slider").press("End")
        check(figure, loop, len(list(loop.moments())) - 1)
        (tiles, *_), (loaded, *_), (stored, *_), *_ = figure.evaluate(SHOWN)["counters"]
        memory = watched(loop)[-1]
        assert (int(loaded), int(stored), int(tiles)) == (memory.loaded, memory.stored, memory.tiles)
        assert int(tiles) == visited_tiles(10, 10, loop.blocks, causal=causal)


def test_what_is_said_of_a_step(figure):
    events = []
    for step in (0, 1, 5, 6, 17):
        figure.get_by_role("slider").fill(str(step))
        events.append(figure.locator(".event").inner_text())
    assert events == [
        "Nothing was loaded yet.",
        "Queries, block 1 of 3: 16 numbers loaded. Its m, l and o begin at −∞, 0 and 0.",
        "Keys and values, block 4 of 4: 8 numbers loaded. A tile of scores changes m, l and o.",
        "Output and log-sum-exp, block 1 of 3: 20 numbers stored. Fast memory is free again.",
        "Keys and values, block 4 of 4: 8 numbers loaded. A tile of scores changes m, l and o.",
    ]


def test_the_line_of_the_mask_is_the_mask(figures):
    """Where the line runs down between two keys, the query of that row sees the keys before it."""
    assert figures.first.locator(".matrix path").count() == 0
    line = figures.nth(1).locator(".matrix path").get_attribute("d")
    assert line == "M0 0V1H0V2H0V3H0V4H1V5H2V6H3V7H4V8H5V9H6V10H7V11"


def test_the_keyboard_goes_through_the_steps(figure):
    keyboard = figure.page.keyboard
    keyboard.press("Tab")  # the way back
    keyboard.press("Tab")
    for key, step in [("ArrowRight", 11), ("ArrowLeft", 10), ("End", 18), ("ArrowRight", 18), ("Home", 0)]:
        keyboard.press(key)
        check(figure, SQUARE, step)
    assert figure.get_by_role("status").inner_text() == ""  # the slider says its value by itself
    keyboard.press("Tab")
    keyboard.press("Enter")
    check(figure, SQUARE, 0)
    keyboard.press("Tab")
    keyboard.press("Space")
    check(figure, SQUARE, 1)
    status = figure.get_by_role("status")
    assert status.inner_text() == "step 1 of 18: queries loaded; 16 numbers loaded, 0 stored"
    keyboard.press("Tab")
    assert figure.page.evaluate("document.activeElement.textContent") == "▶ Play"
    keyboard.press("Tab")
    keyboard.press("ArrowRight")
    check(figure, Loop(10, 10, 4, 4, (5, 3), causal=False), 0)
    assert status.inner_text() == "8 tiles; at the end 200 numbers loaded, 50 stored"
    keyboard.press("Tab")
    keyboard.press("ArrowLeft")
    check(figure, Loop(10, 10, 4, 4, (5, 2), causal=False), 0)
    keyboard.press("Tab")
    keyboard.press("Space")
    check(figure, Loop(10, 10, 4, 4, (5, 2), causal=True), 0)
    figure.get_by_role("button", name="Reset").press("Enter")
    check(figure, SQUARE, 10)


def test_where_the_focus_is_can_be_seen(figure):
    for _ in range(8):
        figure.page.keyboard.press("Tab")
        style = "getComputedStyle(document.activeElement)"
        assert figure.page.evaluate(f"[{style}.outlineStyle, {style}.outlineWidth]") == ["solid", "2px"]
    assert figure.page.evaluate("document.activeElement.type") == "checkbox"


def test_it_plays_to_the_end_and_stops(figures):
    figure, clock = figures.nth(1), figures.page.clock
    last = len(list(UNEVEN.moments())) - 1
    figure.get_by_role("slider").fill(str(last - 3))
    figure.get_by_role("button", name="Play").click()
    clock.run_for(2100)
    check(figure, UNEVEN, last - 1)
    assert figure.get_by_role("status").inner_text() == ""  # silent while it plays
    clock.run_for(5000)
    check(figure, UNEVEN, last)
    assert figure.get_by_role("status").inner_text().startswith(f"step {last} of {last}: output stored; ")
    # From the end it begins anew, and whoever moves the step or changes the blocks takes over.
    figure.get_by_role("button", name="Play").click()
    clock.run_for(1100)
    check(figure, UNEVEN, 1)
    choose(figure, (2, 3), causal=True)
    assert figure.locator(".play").inner_text() == "▶ Play"
    clock.run_for(5000)
    check(figure, Loop(11, 7, 3, 2, (2, 3), causal=True), 0)


def test_it_stops_when_it_leaves_the_page(figure):
    figure.get_by_role("button", name="Play").click()
    left = figure.evaluate_handle("figure => (figure.remove(), figure)")
    figure.page.clock.run_for(5000)
    assert left.evaluate("figure => figure.querySelector('input').value") == "10"


MOVING = """(figure) => [...figure.querySelectorAll('.block')].filter((block) => block.getAnimations().length)
    .map((block) => `${block.closest('.memory').querySelector('span').textContent}`
        + ` ${block.parentElement.className.at(-1)}`)"""


def test_blocks_fly_one_step_ahead_and_nowhere_else(figure):
    for step, moving in ((7, ["small q"]), (8, ["small k", "small v"]), (12, ["large o", "large l"])):
        figure.get_by_role("slider").fill("0")
        figure.get_by_role("slider").fill(str(step - 1))
        assert figure.evaluate(MOVING) == []
        # Asked in the same breath: a flight is short.
        step_on = """figure.querySelector('[aria-label="One step on"]').click()"""
        assert figure.evaluate(f"(figure) => {step_on} ?? ({MOVING})(figure)") == moving
        figure.evaluate("""(figure) => Promise.all(figure.getAnimations({ subtree: true }).map((each) => each.finished))
            .then(() => null)""")
        figure.get_by_label("One step back").click()
        assert figure.evaluate(MOVING) == []


def test_a_block_begins_its_flight_where_it_was(figure):
    figure.get_by_role("slider").fill("8")
    begins, was = figure.evaluate(
        """(figure) => figure.querySelector('[aria-label="One step on"]').click() ?? ['small', 'large'].map((which) => {
            const memory = [...figure.querySelectorAll('.memory')].find((each) => each.innerText.includes(which));
            const block = memory.querySelector('.k .block.full');
            for (const flight of block.getAnimations()) { flight.pause(); flight.currentTime = 0; }
            const { x, y, width, height } = block.getBoundingClientRect();
            return [x, y, width, height];
        })"""
    )
    assert begins == pytest.approx(was, abs=0.6)


def test_what_it_is_to_those_who_hear_it(figure):
    assert figure.get_attribute("role") == "group"
    assert figure.get_attribute("aria-label") == square().alt
    assert figure.get_by_role("slider", name="Step").count() == 1
    for name in ("One step back", "One step on", "Play"):
        assert figure.get_by_role("button", name=name).count() == 1
    for what, count in (("queries", 4), ("keys", 3)):
        group = figure.get_by_role("group", name=f"Rows in a block of {what}")
        assert group.get_by_role("radio").count() == count
    assert figure.get_by_role("columnheader").all_inner_texts() == ["so far", "at the end", "plain form"]
    assert figure.get_by_role("rowheader").count() == 6
    assert figure.locator("[aria-live]").count() == 1


@pytest.mark.parametrize("figures", [TOUCH], indirect=True)
def test_a_finger_on_a_phone(figures):
    figure = figures.first
    figure.get_by_label("One step on").tap()
    check(figure, SQUARE, 11)
    figure.get_by_text("5", exact=True).first.tap()
    check(figure, Loop(10, 10, 4, 4, (5, 3), causal=False), 0)
    figure.get_by_role("slider").scroll_into_view_if_needed()
    slider = figure.get_by_role("slider").bounding_box()
    figure.page.touchscreen.tap(slider["x"] + slider["width"] / 2, slider["y"] + slider["height"] / 2)
    check(figure, Loop(10, 10, 4, 4, (5, 3), causal=False), 6)
    boxes = [part.bounding_box() for part in figure.locator("button, input[type=range], .settings label").all()]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 36


@pytest.mark.parametrize("figures", [TOUCH], indirect=True)
def test_controls_pictures_and_counters_stand_on_one_screen_of_a_phone(figure):
    top = figure.locator(".controls").bounding_box()["y"]
    table = figure.locator("table").bounding_box()
    assert table["y"] + table["height"] - top <= PHONE["height"]


# Places of all parts but the blocks; and every text that is cut off or leaves its place.
PLACES = """(figure) => [...figure.querySelectorAll(
    '.live :is(.memory, .matrix, .name, p, td, th, button, input, label)')].map((part) => {
        const { x, y, width, height } = part.getBoundingClientRect();
        // Numbers stand at the right edge of their columns, which are as wide as they need.
        const box = part.matches('td, th, .words') ? [y + scrollY, height] : [x + scrollX, y + scrollY, width, height];
        return box.map((each) => Math.round(each)).join(' ');
    })"""
CUT = """(figure) => [...figure.querySelectorAll('.live :is(td, th, button, p, .block)')]
    .filter((part) => part.scrollWidth > part.clientWidth + 1).map((part) => part.textContent)"""


@pytest.mark.parametrize("figures", [{"viewport": WIDE}, TOUCH], indirect=True, ids=["wide", "phone"])
def test_it_keeps_inside_the_window_and_nothing_moves_with_the_step(figures):
    for figure, loop in zip(figures.all(), (SQUARE, UNEVEN), strict=True):
        before = figure.evaluate(PLACES)
        for step in range(len(list(loop.moments()))):
            figure.get_by_role("slider").fill(str(step))
            assert figure.evaluate(PLACES) == before
            assert figure.evaluate(CUT) == []
    assert figures.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert figures.page.locator(".output").evaluate("output => output.scrollWidth - output.clientWidth") <= 0


@pytest.mark.parametrize("figures", [{"viewport": {"width": 300, "height": 700}}], indirect=True)
def test_a_very_narrow_window_needs_no_scrolling_to_the_side(figures):
    assert figures.page.locator(".output").evaluate("output => output.scrollWidth - output.clientWidth") <= 0


@pytest.mark.parametrize("figures", [{"viewport": WIDE}, TOUCH], indirect=True, ids=["wide", "phone"])
def test_a_block_has_one_size_in_both_memories(figures):
    figure = figures.first
    for name in "qkv":
        slow = figure.locator(f".memory:first-child .{name} .full").bounding_box()
        fast = figure.locator(f".memory:last-child .{name} .full").bounding_box()
        assert [fast[side] for side in ("width", "height")] == pytest.approx([slow["width"], slow["height"]], abs=0.1)
    columns = [figure.locator(f".memory:first-child .{name}").bounding_box() for name in "kvs"]
    assert {(round(box["x"]), round(box["width"])) for box in columns} == {
        (round(columns[0]["x"]), round(columns[0]["width"]))
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_text_is_readable(browser, address, theme, size):
    page, troubles = open_page(browser, theme, viewport=size)
    page.goto(address)
    pairs = page.evaluate(
        """() => [...document.querySelectorAll('flash-tiles .live *')]
            .filter((part) => part.checkVisibility() && [...part.childNodes].some((node) => node.nodeType === 3))
            .map((part) => {
                let ground = part;
                while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
                return [getComputedStyle(part).color, getComputedStyle(ground).backgroundColor, part.textContent,
                    parseFloat(getComputedStyle(part).fontSize)];
            })"""
    )

    def code(colour):
        return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour))

    assert len(pairs) > 100
    assert [pair for pair in pairs if contrast(code(pair[0]), code(pair[1])) < 4.5] == []
    assert min(pair[3] for pair in pairs) >= 11
    assert not troubles
    page.context.close()


@pytest.mark.parametrize("figures", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_moves_by_itself_for_readers_who_want_no_motion(figure):
    assert not figure.locator(".play").is_visible()
    figure.get_by_label("One step on").click()
    check(figure, SQUARE, 11)
    assert figure.evaluate(MOVING) == []


def test_it_stops_when_its_reader_wants_no_motion_any_more(figure):
    figure.get_by_role("button", name="Play").click()
    figure.page.clock.run_for(1100)
    figure.page.emulate_media(reduced_motion="reduce")
    figure.locator(".play", has_text="▶ Play").wait_for(state="attached", timeout=5000)
    figure.page.clock.run_for(5000)
    check(figure, SQUARE, 11)


def test_print_has_the_still_picture(figure):
    figure.page.emulate_media(media="print")
    assert figure.locator(".still svg").is_visible()
    assert not figure.locator(".live").is_visible()


@pytest.mark.parametrize("figures", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_there_is_the_still_picture(figures):
    assert [svg.is_visible() for svg in figures.locator(".still svg").all()] == [True, True]
