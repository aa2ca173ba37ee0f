"""The head view: its data and its still picture in the markup, and in a browser the grid that heads are chosen in.

What follows a choice, links and rows and numbers, is that of the attention view and tested there.
"""

import functools
import json
import re

import numpy as np
import pytest
import torch
from browsing import PHONE, TOUCH, WIDE, figure_page, open_page
from test_plotting import contrast

from course_utils.attention_view import attention_view
from course_utils.head_view import head_view
from course_utils.plotting import PALETTE

SENTENCE = ["The", "dog", "likes", "an", "apple", ".", "It", "has", "a", "long", "tail"]
SOURCE = ["오늘은", "금요일", "입니다"]
TARGET = ["Today", "is", "Friday", "."]


def draw_weights(layers, heads, targets, sources, seed):
    return np.random.default_rng(seed).dirichlet(np.full(sources, 0.4), size=(layers, heads, targets))


OWN = np.tril(draw_weights(3, 2, 11, 11, 1))
OWN /= OWN.sum(axis=-1, keepdims=True)
OWN[1, 1, 0] = 0  # the first word may look at nothing
CROSS = draw_weights(2, 8, 4, 3, 2)


@functools.cache
def own():
    alt = "Three layers of two heads over a sentence."
    return head_view(SENTENCE, SENTENCE, OWN, alt, first=(1, 0), chosen=6, sides=("looked at", "looks"))


@functools.cache
def cross():
    return head_view(SOURCE, TARGET, CROSS, "Two layers of eight heads, Korean to English.", languages=("ko", "en"))


def with_means(weights):
    """All matrices in the order of the grid."""
    return np.concatenate([weights, weights.mean(axis=1, keepdims=True)], axis=1).reshape(-1, *weights.shape[2:])


# --- The markup ---


def data_of(view):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', view._repr_html_())[1])


class TestMarkup:
    def test_the_data_come_back_with_a_mean_for_each_layer(self):
        data = data_of(own())
        assert data["source"] == {"name": "looked at", "language": "en", "words": SENTENCE}
        assert data["target"] == {"name": "looks", "language": "en", "words": SENTENCE}
        assert (data["columns"], data["set"], data["chosen"]) == (["1", "2", "mean"], 3, 6)
        columns = ("head 1", "head 2", "mean")
        assert [each["name"] for each in data["sets"]] == [f"layer {i}, {name}" for i in (1, 2, 3) for name in columns]
        np.testing.assert_allclose([each["weights"] for each in data["sets"]], with_means(OWN), atol=5.1e-4)

    def test_numbers_have_three_digits_and_six_layers_of_eight_heads_are_not_heavy(self):
        markup = head_view(SENTENCE, SENTENCE, draw_weights(6, 8, 11, 11, 3), "Many heads.").markup
        script = re.search("<script.*</script>", markup)[0]
        assert not re.search(r"\d\.\d{4}|\de-", script)
        assert len(script) < 55_000
        assert len(markup) < 100_000

    def test_layers_may_come_as_a_list_of_tensors_on_a_graph(self):
        layers = [torch.tensor(layer, requires_grad=True) for layer in CROSS]
        assert data_of(head_view(SOURCE, TARGET, layers, "A"))["sets"] == data_of(cross())["sets"]
        assert data_of(head_view(SOURCE, TARGET, torch.tensor(CROSS), "A"))["sets"] == data_of(cross())["sets"]

    def test_a_single_head_has_no_mean(self):
        data = data_of(head_view(SOURCE, TARGET, CROSS[:, :1], "Two layers.", first=(1, 0)))
        assert [each["name"] for each in data["sets"]] == ["layer 1, head 1", "layer 2, head 1"]
        assert (data["columns"], data["set"]) == (["1"], 1)

    def test_the_still_picture_has_a_row_of_heads_for_each_layer(self):
        still = own().markup.split('<div class="still">')[1]
        names = [f"Layer {layer}, {name}" for layer in (1, 2, 3) for name in ("head 1", "head 2", "mean")]
        assert re.findall(r'aria-label="(.*?)"', still) == names
        assert [row.count("<svg") for row in still.split('<div class="row-of-heads">')[1:]] == [3, 3, 3]
        for panel, weights in zip(still.split("<svg")[1:], with_means(OWN), strict=True):
            assert re.findall(r"<text.*?>(.*?)</text>", panel)[1:] == SENTENCE * 2
            steps = np.full(weights.shape, -1)
            for step, outline in re.findall(r'<path fill="var\(--c-seq-(\d+), #\w+\)" d="(.*?)"', panel):
                for x, y in re.findall(r"M(\d+) (\d+)", outline):
                    steps[int(y) // 14, int(x) // 14] = step
            np.testing.assert_array_equal(steps, np.minimum(11, np.floor(12 * weights.round(3))))

    def test_text_cannot_break_out(self):
        view = head_view(["</script>", "<b>"], ["<i>"], [[[[0.5, 0.5]]]], 'A "b" & c')
        assert data_of(view)["source"]["words"] == ["</script>", "<b>"]
        assert view.markup.count("</script>") == 1
        assert not re.search(r"<[bi]>", re.sub("<script.*</script>", "", view.markup))
        assert 'aria-label="A &quot;b&quot; &amp; c"' in view.markup

    def test_every_colour_follows_the_theme(self):
        assert not set(re.findall(r'"(#\w{6})"', own().markup)) & set(PALETTE.values())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"source": []}, "source: expected a sequence of one token or more"),
            ({"target": "cd"}, "target: expected a sequence .* got 'cd'"),
            ({"weights": []}, "weights: expected of every layer .* got no layer"),
            (
                {"weights": np.ones((1, 2, 2, 3)) / 3},
                r"weights: .* shape \(H, 3, 2\) with up to 8 heads, got \(2, 2, 3\)",
            ),
            ({"weights": np.ones((2, 3, 2)) / 2}, r"weights: .* got \(3, 2\)"),
            (
                {"weights": [np.ones((2, 3, 2)) / 2, np.ones((1, 3, 2)) / 2]},
                r"weights: .* got \(1, 3, 2\), \(2, 3, 2\)",
            ),
            ({"weights": np.ones((1, 9, 3, 2)) / 2}, r"weights: .* got \(9, 3, 2\)"),
            ({"weights": np.ones((13, 1, 3, 2)) / 2}, "weights: expected up to 12 layers, got 13"),
            ({"weights": np.full((1, 2, 3, 2), np.nan)}, r"weights: expected finite .* row \[0, 0, 0\] .* nan"),
            ({"weights": np.tile([1.5, -0.5], (1, 2, 3, 1))}, "weights: expected finite weights of 0 or more, .* -0.5"),
            (
                {"weights": np.ones((2, 2, 3, 2)) / 3},
                r"weights: .* sum to 1 or to 0, .* row \[0, 0, 0\] .* sum 0.666667",
            ),
            ({"first": (2, 0)}, r"first: expected a layer, 0 to 1, and a head, 0 to 1, got \(2, 0\)"),
            ({"first": (0, 2)}, r"first: .* got \(0, 2\)"),
            ({"chosen": 3}, "chosen: expected the place of a target token, 0 to 2, got 3"),
            ({"fallback_alt": " "}, "fallback_alt: expected what the figure shows"),
        ],
    )
    def test_bad_input(self, change, message):
        given = {
            "source": ["a", "b"],
            "target": ["c", "d", "e"],
            "weights": np.ones((2, 2, 3, 2)) / 2,
            "fallback_alt": "Words.",
        }
        with pytest.raises(ValueError, match=rf"^head_view: {message}[^\n]*$"):
            head_view(**given | change)


# --- In a browser, on a page of its own from the file system ---


ELEMENT = "attention-view"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return figure_page(
        tmp_path_factory.mktemp("page"),
        own(),
        cross(),
        attention_view(SOURCE, TARGET, CROSS[0, 0], "Korean to English."),
    )


def check(figure, layer, column, chosen, weights=OWN):
    """Layer and head, counted from 1 and the mean last, are chosen, named, and shown."""
    columns = weights.shape[1] + 1
    place = (layer - 1) * columns + column - 1
    name = f"layer {layer}, " + (f"head {column}" if column < columns else "mean")
    assert figure.locator(".heads input:checked").get_attribute("value") == str(place)
    assert figure.locator("legend").inner_text() == f"Layer and head: {name}"
    assert figure.locator(".target input:checked").get_attribute("value") == str(chosen)
    matrix = with_means(weights)[place]
    shown = [float(text) for text in figure.locator(".source .number").all_inner_texts()]
    np.testing.assert_allclose(shown, matrix[chosen], atol=5.6e-3)
    cells = np.array(figure.locator("tbody td").all_text_contents(), float)
    np.testing.assert_allclose(cells.reshape(matrix.shape), matrix, atol=5.6e-3)
    return name


def test_each_begins_at_its_head(figures):
    check(figures.first, 2, 1, 6)
    check(figures.nth(1), 1, 1, 0, CROSS)
    assert not figures.first.locator(".still").is_visible()
    # An attention view has no grid, and a head view no list of names.
    assert [figure.locator(".heads").count() for figure in figures.all()] == [1, 1, 0]
    assert figures.locator(".choices").count() == 0


def test_a_small_heat_map_shows_its_matrix(figure):
    pictures = figure.locator(".heads svg").evaluate_all(
        """all => all.map((svg) => [...svg.children].map((path) => [path.style.fill, path.getAttribute('d')]))"""
    )
    for picture, matrix in zip(pictures, with_means(OWN), strict=True):
        steps = np.full(matrix.shape, -1)
        for fill, outline in picture:
            for x, y in re.findall(r"M(\d+) (\d+)", outline):
                steps[int(y), int(x)] = re.fullmatch(r"var\(--c-seq-(\d+)\)", fill)[1]
        np.testing.assert_array_equal(steps, np.minimum(11, np.floor(12 * matrix.round(3))))


def test_the_keyboard_walks_in_the_grid(figure):
    keyboard = figure.page.keyboard
    keyboard.press("Tab")  # the way back
    keyboard.press("Tab")
    moves = [("ArrowDown", 3, 1), ("ArrowRight", 3, 2), ("ArrowRight", 3, 3), ("ArrowRight", 1, 1), ("ArrowUp", 3, 1)]
    for key, layer, column in [*moves, ("ArrowDown", 1, 1), ("ArrowLeft", 3, 3), ("ArrowUp", 2, 3)]:
        keyboard.press(key)
        name = check(figure, layer, column, 6)
        said = figure.get_by_role("status").inner_text()
        assert said.startswith("It: ")
        assert said.endswith(f"({name})")
        assert figure.page.evaluate("document.activeElement.ariaLabel") == name
    # The words are the next stop, and the other figure the one after.
    keyboard.press("Tab")
    keyboard.press("ArrowRight")
    check(figure, 2, 3, 7)
    keyboard.press("Tab")
    keyboard.press("Tab")
    assert figure.page.evaluate("document.activeElement.ariaLabel") == "layer 1, head 1"
    figure.get_by_role("button", name="Reset").press("Enter")
    check(figure, 2, 1, 6)


def test_the_mouse_chooses_a_head_a_word_and_a_row(figure):
    figure.locator(".heads label").nth(4).click()
    check(figure, 2, 2, 6)
    figure.locator(".target label").first.click()
    check(figure, 2, 2, 0)
    assert figure.get_by_role("status").inner_text() == "The: no weight (layer 2, head 2)"
    figure.locator("tbody tr").nth(4).locator("td").first.click()
    check(figure, 2, 2, 4)


def test_what_it_is_to_those_who_hear_it(figures):
    figure = figures.nth(1)
    grid = figure.get_by_role("group", name="Layer and head: layer 1, head 1")
    assert grid.get_by_role("radio").count() == 18
    for name in ("layer 1, head 8", "layer 1, mean", "layer 2, head 3"):
        assert grid.get_by_role("radio", name=name, exact=True).count() == 1
    edges = figure.locator(".edge")
    assert edges.all_inner_texts() == ["head", *"12345678", "mean", "layer 1", "layer 2"]
    assert set(edges.evaluate_all("all => all.map((edge) => edge.ariaHidden)")) == {"true"}
    assert figure.get_by_role("radiogroup", name="target").get_by_role("radio").count() == 4


@pytest.mark.parametrize("figures", [TOUCH], indirect=True)
def test_a_finger_on_a_phone(figures):
    figure = figures.nth(1)
    figure.locator(".heads label").nth(16).tap()
    check(figure, 2, 8, 0, CROSS)
    figure.locator(".target label", has_text="Friday").tap()
    check(figure, 2, 8, 2, CROSS)
    boxes = [label.bounding_box() for each in figures.all()[:2] for label in each.locator(".heads label").all()]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 24


@pytest.mark.parametrize("figures", [{"viewport": WIDE}, TOUCH], indirect=True, ids=["wide", "phone"])
def test_it_keeps_inside_the_window_and_nothing_moves_with_the_head(figures):
    page = figures.page
    places = """(figure) => [...figure.querySelectorAll('.live :is(legend, label, .edge, li, th, td)')].map((part) => {
        const { x, y, width, height } = part.getBoundingClientRect();
        return [x + scrollX, y + scrollY, width, height].map((each) => Math.round(each)).join(' ');
    })"""
    cut = """(figure) => [...figure.querySelectorAll('.edge, legend')]
        .filter((part) => part.scrollWidth > part.clientWidth + 1).map((part) => part.textContent)"""
    for figure in figures.all()[:2]:
        before = figure.evaluate(places)[1:]
        for label in figure.locator(".heads label").all():
            label.click()
            assert figure.evaluate(places)[1:] == before
            assert figure.evaluate(cut) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.locator(".output").evaluate("output => output.scrollWidth - output.clientWidth") <= 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_names_and_the_chosen_frame_are_readable(browser, address, theme, size):
    page, troubles = open_page(browser, theme, viewport=size)
    page.goto(address)
    parts = page.locator(".edge, legend").evaluate_all(
        "all => all.map((part) => [getComputedStyle(part).color, parseFloat(getComputedStyle(part).fontSize)])"
    )
    frame = page.locator(".heads :checked + .token").first.evaluate("part => getComputedStyle(part).borderTopColor")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")

    def code(colour):
        return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour))

    assert len(parts) == 21
    assert [part for part in parts if contrast(code(part[0]), code(paper)) < 4.5 or part[1] < 11] == []
    assert contrast(code(frame), code(paper)) >= 3
    assert not troubles
    page.context.close()


# Of a still picture: whether it shows, the least opacity of its parts, and parts that have a line about them.
STILL = """(svg) => [
    svg.checkVisibility(),
    Math.min(...[...svg.querySelectorAll('*')].map((part) => Number(getComputedStyle(part).opacity))),
    [...svg.querySelectorAll('[fill^="var"]')].filter((part) => getComputedStyle(part).stroke !== 'none').length,
    [...svg.querySelectorAll('[fill^="var"]')].filter((part) => getComputedStyle(part).fill === 'none').length,
]"""


def check_still(figures):
    """What styles links and their groups must not reach the pictures."""
    stills = [svg.evaluate(STILL) for svg in figures.locator(".still svg").all()]
    assert stills == [[True, 1, 0, 0]] * (9 + 18 + 1)


def test_print_has_the_still_picture(figures):
    figures.page.emulate_media(media="print")
    check_still(figures)
    assert not figures.first.locator(".live").is_visible()


@pytest.mark.parametrize("figures", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_there_is_the_still_picture(figures):
    check_still(figures)


@pytest.mark.parametrize("figures", [{"viewport": PHONE, "java_script_enabled": False}], indirect=True)
def test_the_still_picture_fits_a_phone_at_its_own_size(figures):
    page = figures.page
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    for svg in figures.first.locator(".still svg").all():
        box = svg.bounding_box()
        assert box["width"] == pytest.approx(float(svg.get_attribute("viewBox").split()[2]) * 96 / 72, abs=1.5)
