"""The dials: wave lengths, data and still picture in the markup, and in a browser what turns with the position."""

import functools
import json
import re

import numpy as np
import pytest
from browsing import PHONE, TOUCH, WIDE, figure_page, open_page
from test_plotting import contrast

from course_utils.dials import position_dials, sinusoidal_wavelengths
from course_utils.plotting import PALETTE

WAVES = sinusoidal_wavelengths(16)
BITS = [2.0, 4.0, 8.0, 16.0, 32.0]


@functools.cache
def eight():
    return position_dials(WAVES)


@functools.cache
def five():
    """Dials that turn as the bits do, but for the length: 41 positions need one lamp more."""
    return position_dials(BITS, length=41, chosen=39)


def encode(t, waves):
    angles = 2 * np.pi * t / np.array(waves)
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)  # a row for each dial


# --- The markup ---


def data_of(view):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', view._repr_html_())[1])


def texts(markup):
    return re.findall(r"<text[^>]*>(.*?)</text>", markup)


@pytest.mark.parametrize(("width", "base"), [(2, 10_000.0), (6, 100.0), (14, 10_000.0)])
def test_wave_lengths_are_those_of_the_paper(width, base):
    for t in (0, 1, 5, 83):
        for i, (sine, cosine) in enumerate(encode(t, sinusoidal_wavelengths(width, base=base))):
            angle = t / base ** (2 * i / width)
            np.testing.assert_allclose([sine, cosine], [np.sin(angle), np.cos(angle)], atol=1e-12)


@pytest.mark.parametrize(("width", "base"), [(0, 10.0), (7, 10.0), (2.5, 10.0), (4, 0.0), (4, float("inf"))])
def test_wave_lengths_of_another_width_or_base(width, base):
    with pytest.raises(ValueError, match=r"^sinusoidal_wavelengths: (width|base): expected .* got [^\n]*$"):
        sinusoidal_wavelengths(width, base=base)


class TestMarkup:
    def test_the_data_come_back(self):
        data = data_of(eight())
        np.testing.assert_allclose(data["wavelengths"], WAVES, rtol=1e-9)
        assert data["names"] == ["6.28", "19.9", "62.8", "199", "628", "1987", "6283", "19869"]
        assert (data["length"], data["chosen"], data["bits"]) == (64, 5, 8)
        assert data_of(five()) == {"wavelengths": BITS, "names": ["2", "4", "8", "16", "32"], "bits": 6} | {
            "length": 41,
            "chosen": 39,
        }

    def test_the_still_picture_has_four_positions(self):
        shown = texts(eight().markup)
        assert [text for text in shown if "=" in text] == ["t = 5", "t = 6", "t = 7", "t = 8"]
        numbers = [float(text.replace("−", "-")) for text in shown if re.fullmatch(r"−?\d\.\d\d", text)][1:]
        wanted = np.concatenate([encode(t, WAVES).ravel() for t in (5, 6, 7, 8)])
        np.testing.assert_allclose(numbers, wanted, atol=5.1e-3)
        bits = [text for text in shown if text in ("0", "1")]
        assert ["".join(bits[i : i + 8])[::-1] for i in range(0, 32, 8)] == [f"{t:08b}" for t in (5, 6, 7, 8)]

    def test_a_hand_of_the_still_picture_points_to_sine_and_cosine(self):
        hands = re.findall(r'd="M(\S+) (\S+)L(\S+) (\S+)"', eight().markup)
        ends = np.array(hands, float).reshape(4, 8, 4)
        arms = (ends[..., 2:] - ends[..., :2]) * [1, -1]  # the picture's second axis goes down
        np.testing.assert_allclose(arms / 15, [encode(t, WAVES) for t in (5, 6, 7, 8)], atol=0.01)

    def test_near_the_end_the_still_picture_has_fewer(self):
        assert [text for text in texts(five().markup) if "=" in text] == ["t = 39", "t = 40"]
        assert "Positions 39 to 40." in five().markup

    def test_what_it_says_of_itself(self):
        assert eight().alt.startswith("8 dials. The first turns once in 6.28 positions, the last in 19869. Below")
        assert position_dials([3]).alt.startswith("A dial that turns once in 3 positions. Below")
        assert position_dials([1e6, 999.6, 99.96]).alt.startswith("3 dials. The first turns once in 1.0e6 positions")

    def test_every_colour_follows_the_theme(self):
        colours = re.findall(r'(?:fill|stroke)="([^"]+)"', eight().markup)
        assert {colour for colour in colours if not colour.startswith("var(--c-")} == {"none"}
        assert not set(re.findall(r'"(#\w{6})', eight().markup)) & set(PALETTE.values())

    @pytest.mark.parametrize(
        ("waves", "change", "message"),
        [
            ([], {}, r"wavelengths: expected 1 to 8 positive numbers, got \[\]"),
            ([1.0] * 9, {}, "wavelengths: expected 1 to 8"),
            ([2, 0], {}, "wavelengths: .* got .2, 0"),
            ([2, float("nan")], {}, "wavelengths"),
            (BITS, {"length": 1}, "length: expected 2 to 256 positions, got 1"),
            (BITS, {"length": 257}, "length: .* got 257"),
            (BITS, {"length": 8.5, "chosen": 0}, "length: .* got 8.5"),
            (BITS, {"length": 5, "chosen": 5}, "chosen: expected a position, 0 to 4, got 5"),
            (BITS, {"chosen": -1}, "chosen: .* got -1"),
        ],
    )
    def test_bad_input(self, waves, change, message):
        with pytest.raises(ValueError, match=rf"^position_dials: {message}[^\n]*$"):
            position_dials(waves, **change)


# --- In a browser, on a page of its own from the file system ---


ELEMENT, CLOCK_STANDS = "position-dials", True


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return figure_page(tmp_path_factory.mktemp("page"), eight(), five())


def check(figure, t, waves=WAVES, bits=8):
    """Everything that is shown is that of a position."""
    slider = figure.get_by_role("slider", name="Position")
    assert slider.input_value() == str(t)
    assert slider.get_attribute("aria-valuetext") == f"position {t}: binary {t:b}"
    assert figure.locator(".words").inner_text() == f"Position {t}, in binary {t:b}"
    lamps = figure.locator(".lamp")
    assert "".join(lamps.all_inner_texts())[::-1] == f"{t:0{bits}b}"
    assert lamps.evaluate_all("all => all.map((lamp) => +lamp.matches('.lit'))") == [t >> i & 1 for i in range(bits)]
    turns = figure.locator(".hand").evaluate_all("all => all.map((hand) => hand.style.transform)")
    degrees = [float(re.fullmatch(r"rotate\((.*)deg\)", turn)[1]) for turn in turns]
    np.testing.assert_allclose(degrees, 360 * t / np.array(waves), rtol=1e-4, atol=1e-3)
    angles = [float(text[:-1]) for text in figure.locator(".angle").all_inner_texts()]
    assert all(
        (abs(angle - degree) % 360 + 180) % 360 - 180 < 0.51 for angle, degree in zip(angles, degrees, strict=True)
    )
    cells = figure.locator(".numbers span")
    numbers = [float(text.replace("−", "-")) for text in cells.all_inner_texts()]
    np.testing.assert_allclose(np.reshape(numbers, (-1, 2)), encode(t, waves), atol=5.1e-3)
    shades = cells.evaluate_all("all => all.map((cell) => cell.style.background)")
    assert shades == [f"var(--c-seq-{min(11, int(6 * (number + 1)))})" for number in numbers]


def test_each_begins_at_its_position(figures):
    check(figures.first, 5)
    check(figures.nth(1), 39, BITS, 6)
    assert not figures.first.locator(".still").is_visible()
    assert figures.first.get_by_role("status").inner_text() == ""


def test_the_keyboard_moves_the_position(figure):
    keyboard = figure.page.keyboard
    keyboard.press("Tab")  # the way back
    keyboard.press("Tab")
    for key, t in [("ArrowRight", 6), ("ArrowUp", 7), ("ArrowLeft", 6), ("End", 63), ("ArrowRight", 63), ("Home", 0)]:
        keyboard.press(key)
        check(figure, t)
    keyboard.press("Tab")
    keyboard.press("Enter")
    check(figure, 0)
    keyboard.press("Tab")
    keyboard.press("Space")
    check(figure, 1)
    assert figure.get_by_role("status").inner_text() == "position 1: binary 1"
    keyboard.press("Tab")
    keyboard.press("Enter")
    assert figure.page.evaluate("document.activeElement.textContent") == "■ Stop"


def test_a_dial_turns_as_its_bit_does(figures):
    figure = figures.nth(1)
    for t in (40, 31, 0, 21):
        figure.get_by_role("slider").fill(str(t))
        check(figure, t, BITS, 6)
        angles = [int(text[:-1]) for text in figure.locator(".angle").all_inner_texts()]
        assert [angle >= 180 for angle in angles] == [
            lamp == "1" for lamp in figure.locator(".lamp").all_inner_texts()[:5]
        ]


def test_it_plays_to_the_end_and_stops(figures):
    figure, clock = figures.nth(1), figures.page.clock
    figure.get_by_role("slider").fill("37")
    figure.get_by_role("button", name="Play").click()
    clock.run_for(1300)
    check(figure, 39, BITS, 6)
    assert figure.get_by_role("status").inner_text() == ""  # silent while it plays
    clock.run_for(5000)
    check(figure, 40, BITS, 6)
    assert figure.get_by_role("status").inner_text() == "position 40: binary 101000"
    # From the end it begins anew, and whoever moves the position takes over.
    figure.get_by_role("button", name="Play").click()
    clock.run_for(700)
    check(figure, 1, BITS, 6)
    figure.get_by_role("slider").press("ArrowRight")
    assert figure.locator(".play").inner_text() == "▶ Play"
    clock.run_for(5000)
    check(figure, 2, BITS, 6)
    figure.get_by_role("button", name="Play").click()
    figure.get_by_role("button", name="Stop").click()
    clock.run_for(5000)
    check(figure, 2, BITS, 6)
    figure.get_by_role("button", name="Play").click()
    figure.get_by_role("button", name="Reset").click()
    clock.run_for(5000)
    check(figure, 39, BITS, 6)


def test_it_stops_when_it_leaves_the_page(figure):
    figure.get_by_role("button", name="Play").click()
    left = figure.evaluate_handle("figure => (figure.remove(), figure)")
    figure.page.clock.run_for(5000)
    assert left.evaluate("figure => figure.querySelector('input').value") == "5"


def test_what_it_is_to_those_who_hear_it(figure):
    assert figure.get_attribute("role") == "group"
    assert figure.get_attribute("aria-label") == eight().alt
    assert figure.get_by_role("slider", name="Position").count() == 1
    for name in ("One position back", "One position on", "Play"):
        assert figure.get_by_role("button", name=name).count() == 1
    lists = figure.get_by_role("list")
    assert [each.get_by_role("listitem").count() for each in lists.all()] == [8, 8, 8]
    assert all(lists.evaluate_all("all => all.map((list) => list.ariaLabel)"))
    assert figure.get_by_role("listitem").first.inner_text().split() == ["6.28", "286°"]


@pytest.mark.parametrize("figures", [TOUCH], indirect=True)
def test_a_finger_on_a_phone(figures):
    figure = figures.first
    figure.get_by_label("One position on").tap()
    check(figure, 6)
    slider = figure.get_by_role("slider").bounding_box()
    figure.page.touchscreen.tap(slider["x"] + slider["width"] / 2, slider["y"] + slider["height"] / 2)
    t = int(figure.get_by_role("slider").input_value())
    assert 30 <= t <= 33
    check(figure, t)
    boxes = [part.bounding_box() for part in figure.locator("button, input").all()]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 36


# Places of all parts but the hands; and every text that is cut off or leaves its place.
PLACES = """(figure) => [...figure.querySelectorAll('.live :is(ol, li, svg, p, button, input, .lamp)')].map((part) => {
    const { x, y, width, height } = part.getBoundingClientRect();
    return [x + scrollX, y + scrollY, width, height].map((each) => Math.round(each)).join(' ');
})"""
CUT = """(figure) => [...figure.querySelectorAll('.live :is(li, li span, button, p)')]
    .filter((part) => part.scrollWidth > part.clientWidth + 1).map((part) => part.textContent)"""


@pytest.mark.parametrize("figures", [{"viewport": WIDE}, TOUCH], indirect=True, ids=["wide", "phone"])
def test_it_keeps_inside_the_window_and_nothing_moves_with_the_position(figures):
    for figure, last in zip(figures.all(), (63, 40), strict=True):
        before = figure.evaluate(PLACES)
        for t in (0, 13, last):
            figure.get_by_role("slider").fill(str(t))
            assert figure.evaluate(PLACES) == before
            assert figure.evaluate(CUT) == []
    assert figures.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert figures.page.locator(".output").evaluate("output => output.scrollWidth - output.clientWidth") <= 0


def test_dials_lamps_and_numbers_stand_in_columns(figure):
    middles = [
        figure.locator(selector).evaluate_all(
            "all => all.map((part) => { const box = part.getBoundingClientRect(); return box.x + box.width / 2; })"
        )
        for selector in (".dials svg", ".lamp", ".numbers li")
    ]
    np.testing.assert_allclose(middles[1:], [middles[0]] * 2, atol=0.6)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_text_is_readable(browser, address, theme, size):
    page, troubles = open_page(browser, theme, viewport=size)
    page.goto(address)
    pairs = page.evaluate(
        """() => [...document.querySelectorAll('position-dials .live *')]
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

    assert len(pairs) > 80
    assert [pair for pair in pairs if contrast(code(pair[0]), code(pair[1])) < 4.5] == []
    assert min(pair[3] for pair in pairs) >= 11
    assert not troubles
    page.context.close()


def test_hands_move_to_a_neighbour_and_jump_elsewhere(figure):
    duration = "figure => getComputedStyle(figure.querySelector('.hand')).transitionDuration"
    figure.get_by_label("One position on").click()
    assert figure.evaluate(duration) == "0.2s"
    figure.get_by_role("slider").fill("40")
    assert figure.evaluate(duration) == "0s"


@pytest.mark.parametrize("figures", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_moves_by_itself_for_readers_who_want_no_motion(figure):
    assert not figure.locator(".play").is_visible()
    figure.get_by_label("One position on").click()
    check(figure, 6)
    assert figure.evaluate("figure => getComputedStyle(figure.querySelector('.hand')).transitionDuration") == "0s"


def test_it_stops_when_its_reader_wants_no_motion_any_more(figure):
    figure.get_by_role("button", name="Play").click()
    figure.page.clock.run_for(700)
    figure.page.emulate_media(reduced_motion="reduce")
    figure.locator(".play", has_text="▶ Play").wait_for(state="attached", timeout=5000)
    figure.page.clock.run_for(5000)
    check(figure, 6)


def test_print_has_the_still_picture(figure):
    figure.page.emulate_media(media="print")
    assert figure.locator(".still svg").is_visible()
    assert not figure.locator(".live").is_visible()


@pytest.mark.parametrize("figures", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_there_is_the_still_picture(figures):
    assert [svg.is_visible() for svg in figures.locator(".still svg").all()] == [True, True]
