"""The attention view: its data and its still picture in the markup, and in a browser what it does with them."""

import functools
import json
import re

import numpy as np
import pytest
import torch
from browsing import PHONE, TOUCH, WIDE, figure_page, open_page
from test_plotting import contrast

from course_utils.attention_view import attention_view
from course_utils.plotting import PALETTE

SOURCE = ["오늘은", "금요일", "입니다"]
TARGET = ["Today", "is", "Friday", "."]
LONG = ["Aujourd'hui", "le", "traducteur", "œuvre", "à", "côté", "d'une", "bibliothèque", "où", "il", "s'endort", "."]


def draw_weights(targets, sources, seed):
    return np.random.default_rng(seed).dirichlet(np.full(sources, 0.4), size=targets)


SETS = {name: draw_weights(4, 3, seed) for seed, name in enumerate(["additive", "dot", "location"])}
LOOK = np.tril(draw_weights(12, 12, 7), -1)
LOOK[1:] /= LOOK[1:].sum(axis=1, keepdims=True)  # the first word may look at nothing
ASIDE = {"languages": ("ko", "en"), "sides": ("input", "output"), "chooser": "Score function", "chosen": 2}


@functools.cache
def korean():
    return attention_view(SOURCE, TARGET, SETS, "Three Korean and four English words.", **ASIDE)


@functools.cache
def french():
    return attention_view(LONG, LONG, LOOK, "A French sentence that looks at itself.", languages=("fr", "fr"), chosen=7)


# --- The markup ---


def data_of(view):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', view._repr_html_())[1])


def drawn(markup):
    """The texts of the still picture: Matplotlib leaves them as comments."""
    return re.findall(r"<!-- (.*?) -->", markup)


class TestMarkup:
    def test_the_data_come_back(self):
        data = data_of(korean())
        assert data["source"] == {"name": "input", "language": "ko", "words": SOURCE}
        assert data["target"] == {"name": "output", "language": "en", "words": TARGET}
        assert (data["chooser"], data["chosen"]) == ("Score function", 2)
        assert [each["name"] for each in data["sets"]] == list(SETS)
        for each, weights in zip(data["sets"], SETS.values(), strict=True):
            np.testing.assert_allclose(each["weights"], weights, atol=5.1e-7)

    def test_one_matrix_has_no_name_and_may_be_a_tensor_on_a_graph(self):
        tensor = torch.tensor([[0.25, 0.75]], requires_grad=True)
        (alone,) = data_of(attention_view(["a", "b"], ["c"], tensor, "Two words."))["sets"]
        assert alone == {"name": "", "weights": [[0.25, 0.75]]}

    def test_weights_of_a_paper_need_not_sum_to_one_exactly(self):
        (alone,) = data_of(attention_view(["a", "b"], ["c", "d"], [[0.99, 0], [1.004, 0]], "Two words."))["sets"]
        assert alone["weights"] == [[0.99, 0], [1, 0]]

    def test_the_still_picture_has_every_matrix_with_its_name_words_and_numbers(self):
        texts = drawn(korean().markup)
        assert [text for text in texts if text in SETS] == list(SETS)
        assert texts.count("금요일") == texts.count("input") == 3
        assert texts.count("Friday") == texts.count("output") == 2, "beside the first of each row of pictures"
        numbers = [text for text in texts if re.fullmatch(r"\d\.\d\d", text)]
        assert numbers == [f"{weight:.2f}" for weights in SETS.values() for weight in weights.flat]

    def test_of_many_matrices_the_still_picture_has_the_first(self):
        heads = {f"head {i}": draw_weights(1, 3, i) for i in range(7)}
        view = attention_view(SOURCE, ["a"], heads, "Seven heads.")
        assert len(data_of(view)["sets"]) == 7
        assert [text for text in drawn(view.markup) if "head" in text] == ["head 0 (the first of 7)"]

    @pytest.mark.parametrize(
        ("count", "width", "height"), [(1, 6.6, 5.62), (2, 6.6, 3.46), (3, 6.6, 6.92), (4, 6.6, 6.92)]
    )
    def test_without_numbers_the_still_pictures_stand_in_two_columns(self, count, width, height):
        layers = {f"layer {i}": draw_weights(12, 12, i) for i in range(count)}
        markup = attention_view(LONG, LONG, layers, "Twelve words.").markup
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', markup)
        np.testing.assert_allclose([float(size[1]) / 72, float(size[2]) / 72], [width, height], atol=0.01)
        texts = drawn(markup)
        assert [text for text in texts if "layer" in text] == list(layers)
        assert texts.count("traducteur") == count + (count + 1) // 2, "above each, and once beside each row of pictures"
        assert texts.count("weight") == 1

    def test_text_cannot_break_out(self):
        view = attention_view(["</script>", "a --> b"], ["<b>"], {"<i>": [[0.5, 0.5]]}, 'A "b" & c', chooser="<u>")
        assert data_of(view)["source"]["words"] == ["</script>", "a --> b"]
        assert view.markup.count("</script>") == 1
        assert not re.search(r"<[biu]>|a -->", view.markup.replace(json.dumps(["a --> b"])[1:-1], ""))
        assert 'aria-label="A &quot;b&quot; &amp; c"' in view.markup

    def test_it_is_the_same_every_time_and_two_on_a_page_share_no_id(self):
        assert korean() == korean.__wrapped__()
        one, other = (set(re.findall(r' id="([^"]+)"', view.markup)) for view in (korean(), french()))
        assert one
        assert not one & other

    def test_every_colour_follows_the_theme(self):
        colours = set(re.findall(r"(?:fill|stroke): (#\w{6})", korean().markup + french().markup))
        assert not colours & set(PALETTE.values())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"source": []}, "source: expected a sequence of one token or more"),
            ({"target": "cd"}, "target: expected a sequence .* got 'cd'"),
            ({"target": [1, 2, 3]}, r"target: expected a sequence .* got \[1, 2, 3\]"),
            ({"weights": np.ones((2, 3)) / 3}, r"weights: expected shape \(3, 2\), .* got \(2, 3\)"),
            ({"weights": np.ones((1, 3, 2)) / 2}, r"got \(1, 3, 2\)"),
            ({"weights": [[1, 0], [1], [1, 0]]}, "numbers in an array without gaps"),
            ({"weights": {}}, "at least one matrix"),
            ({"weights": {"a": np.ones((3, 2)) / 2, "b": np.ones((2, 2)) / 2}}, r"weights\['b'\]: expected shape"),
            ({"weights": [[1, 0], [0, np.nan], [1, 0]]}, "finite weights of 0 or more, got nan in row 1, column 1"),
            ({"weights": [[1, 0], [1, 0], [1.5, -0.5]]}, "got -0.5 in row 2, column 1"),
            ({"weights": [[1, 0], [0.5, 0.45], [0, 0]]}, "sum to 1 or to 0, got 0.95 in row 1"),
            ({"weights": [[1, 0], [0, 0], [0.75, 0.75]]}, "got 1.5 in row 2"),
            ({"chosen": 3}, "place of a target token, 0 to 2, got 3"),
            ({"chosen": -1}, "got -1"),
            ({"fallback_alt": " "}, "alt is empty"),
        ],
    )
    def test_bad_input(self, change, message):
        given = {
            "source": ["a", "b"],
            "target": ["c", "d", "e"],
            "weights": np.ones((3, 2)) / 2,
            "fallback_alt": "Words.",
        }
        with pytest.raises(ValueError, match=message):
            attention_view(**given | change)


# --- In a browser, on a page of its own from the file system ---


ELEMENT = "attention-view"
ROOMY = {"viewport": {"width": 1500, "height": 900}}  # for twelve long words in a row


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return figure_page(tmp_path_factory.mktemp("page"), korean(), french())


def check(figure, name, chosen, sets=SETS, target=TARGET):
    """Everything that is shown is that of the chosen set and word."""
    weights = sets[name]
    assert figure.locator(".target input:checked").get_attribute("value") == str(chosen)
    shown = [float(text) for text in figure.locator(".source .number").all_inner_texts()]
    np.testing.assert_allclose(shown, weights[chosen], atol=5.1e-3)
    cells = figure.locator("tbody td").all_text_contents()
    np.testing.assert_allclose(np.array(cells, float).reshape(weights.shape), weights, atol=5.1e-3)
    assert figure.locator("tbody tr.chosen th").all_inner_texts() == [target[chosen]]
    # The chosen word's links lie above the others.
    links = figure.locator(".links g")
    assert links.last.get_attribute("class") == "chosen"
    assert figure.locator(".links g.chosen").count() == 1
    paths = links.last.locator("path").evaluate_all("all => all.map((p) => [p.style.strokeWidth, p.style.opacity])")
    np.testing.assert_allclose([float(width[:-2]) for width, _ in paths], 12 * weights[chosen], atol=1e-3)
    opacity = np.where(weights[chosen] > 0, 0.3 + 0.7 * weights[chosen], 0)
    np.testing.assert_allclose([float(each) for _, each in paths], opacity, atol=1e-3)


def in_words(name, chosen):
    """What is said of a choice among a few words."""
    heard = sorted(zip(SETS[name][chosen].round(2), SOURCE, strict=True), reverse=True)
    return f"{TARGET[chosen]}: {', '.join(f'{word} {weight:.2f}' for weight, word in heard if weight)} ({name})"


def test_it_begins_with_the_chosen_word_and_the_first_set(figure):
    check(figure, "additive", 2)
    assert not figure.locator(".still").is_visible()
    assert figure.get_by_role("status").inner_text() == ""
    assert figure.locator(".source li .word").all_inner_texts() == SOURCE


def test_shades_are_those_of_the_still_picture(figure):
    steps = np.minimum(11, np.floor(12 * SETS["additive"])).astype(int)
    styles = figure.locator("tbody td").evaluate_all(
        "all => all.map((cell) => [cell.style.background, cell.style.color])"
    )
    for (background, ink), step in zip(styles, steps.flat, strict=True):
        assert background == f"var(--c-seq-{step})"
        assert ink == f"var(--c-seq-ink-{'low' if step < 7 else 'high'})"


def test_the_keyboard_chooses_set_and_word(figure):
    keyboard = figure.page.keyboard
    keyboard.press("Tab")  # the way back
    keyboard.press("Tab")
    for key, name in [("ArrowRight", "dot"), ("ArrowDown", "location"), ("ArrowLeft", "dot")]:
        keyboard.press(key)
        check(figure, name, 2)
        assert figure.get_by_role("status").inner_text() == in_words(name, 2)
    # The words are one stop of the Tab key, at the chosen one; the next stops are the other figure's.
    keyboard.press("Tab")
    focused = "[document.activeElement.value, document.activeElement.closest('[role]').ariaLabel]"
    assert figure.page.evaluate(focused) == ["2", "output"]
    for key, chosen in [("ArrowRight", 3), ("ArrowRight", 0), ("ArrowUp", 3), ("ArrowLeft", 2)]:
        keyboard.press(key)
        check(figure, "dot", chosen)
        assert figure.get_by_role("status").inner_text() == in_words("dot", chosen)
    keyboard.press("Tab")
    keyboard.press("Tab")
    assert figure.page.evaluate(focused) == ["7", "target"]
    figure.get_by_role("button", name="Reset").press("Enter")
    check(figure, "additive", 2)
    assert figure.get_by_role("status").inner_text() == in_words("additive", 2)


def test_the_mouse_chooses_a_word_in_the_sentence_or_a_row_of_the_table(figure):
    figure.locator(".target label", has_text="Today").click()
    check(figure, "additive", 0)
    figure.locator("tbody tr", has_text="Friday").locator("td").first.click()
    check(figure, "additive", 2)
    figure.get_by_label("location").click()
    check(figure, "location", 2)


def test_what_it_is_to_those_who_hear_it(figures):
    figure = figures.first
    assert figure.get_attribute("role") == "group"
    assert figure.get_by_role("group", name="Score function").get_by_role("radio").count() == 3
    assert figure.get_by_role("radiogroup", name="output").get_by_role("radio").count() == 4
    assert figure.get_by_role("list", name="input").get_attribute("lang") == "ko"
    assert figure.get_by_role("table", name="All weights. Rows: output. Columns: input.").count() == 1
    assert set(figure.get_by_role("rowheader").all_inner_texts()) == set(TARGET)
    # Of many words the five largest are named; a row of zeros is a sentence too; with one set there is no chooser.
    other = figures.nth(1)
    assert other.locator("fieldset").count() == 0
    other.locator(".target label").nth(11).click()
    said = other.get_by_role("status").inner_text()
    largest = sorted(LOOK[11].round(2), reverse=True)
    assert re.findall(r"\d\.\d\d", said) == [f"{weight:.2f}" for weight in largest[:5]]
    assert said.endswith(f", less on {sum(weight > 0 for weight in largest) - 5} more")
    other.locator(".target label").first.click()
    assert other.get_by_role("status").inner_text() == "Aujourd'hui: no weight"
    check(other, "", 0, {"": LOOK}, LONG)


@pytest.mark.parametrize("figures", [TOUCH], indirect=True)
def test_a_finger_on_a_phone(figures):
    figure = figures.first
    figure.locator(".target label", has_text="Today").tap()
    check(figure, "additive", 0)
    figure.get_by_label("dot").tap()
    check(figure, "dot", 0)
    other = figures.nth(1)
    other.locator(".target label", has_text="endort").tap()
    check(other, "", 10, {"": LOOK}, LONG)
    boxes = [label.bounding_box() for label in other.locator(".target label").all()]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 24


# All places of a figure's parts; and, of every word or number, whether it is cut off or leaves its place.
PLACES = """(figure) => [...figure.querySelectorAll('.live *:not(.spoken, .spoken *)')].map((part) => {
    const { x, y, width, height } = part.getBoundingClientRect();
    const place = [x + scrollX, y + scrollY, width, height].map((each) => Math.round(each));
    return part.matches('path, g') ? '' : place.join(' ');
})"""
CUT = """(figure) => [...figure.querySelectorAll('li, label, .token, th, td')]
    .filter((part) => part.scrollWidth > part.clientWidth + 1).map((part) => part.textContent)"""


@pytest.mark.parametrize("figures", [{"viewport": WIDE}, TOUCH], indirect=True, ids=["wide", "phone"])
def test_it_keeps_inside_the_window_and_nothing_moves_with_the_choice(figures):
    page = figures.page
    for figure in figures.all():
        before = figure.evaluate(PLACES)
        assert figure.evaluate(CUT) == []
        for label in figure.locator("label").all():
            label.click()
            assert figure.evaluate(PLACES) == before
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert page.locator(".output").evaluate("output => output.scrollWidth - output.clientWidth") <= 0


@pytest.mark.parametrize(
    ("figures", "layouts"),
    [(ROOMY, [False, False]), (TOUCH, [False, True])],
    indirect=["figures"],
    ids=["wide", "phone"],
)
def test_links_join_their_words_in_rows_and_in_columns(figures, layouts):
    """A link ends at the middle of its words' near edges, for both layouts."""
    for figure, columns in zip(figures.all(), layouts, strict=True):
        assert figure.evaluate("f => f.querySelector('.pair').classList.contains('columns')") == columns
        words = {}
        for side in ("source li", "target label"):
            box = [each.bounding_box() for each in figure.locator(f".{side}").all()]
            words[side] = np.array([[b["x"] + b["width"] / 2, b["y"] + b["height"] / 2] for b in box])
        ends = figure.locator(".links g").evaluate_all(
            """all => all.map((group) => [...group.children].map((path) => {
                const matrix = path.getScreenCTM();
                return [0, path.getTotalLength()].map((length) => path.getPointAtLength(length).matrixTransform(matrix))
                    .map(({ x, y }) => [x, y]);
            }))"""
        )
        axis = 1 if columns else 0
        order = [int(value) for value in np.argsort([g[0][0][axis] for g in ends])]
        for place, t in enumerate(order):
            for s, (start, end) in enumerate(ends[t]):
                assert start[axis] == pytest.approx(words["target label"][place][axis], abs=1)
                assert end[axis] == pytest.approx(words["source li"][s][axis], abs=1)


@pytest.mark.parametrize("figures", [ROOMY], indirect=True)
def test_a_figure_made_narrow_turns_rows_into_columns_and_back(figures):
    figure = figures.nth(1)
    for width, layout in [("", "pair"), ("374px", "pair columns"), ("", "pair")]:
        figure.evaluate("(figure, width) => (figure.style.width = width)", width)
        wanted = "layout => document.querySelectorAll('.pair')[1].className === layout"
        figures.page.wait_for_function(wanted, arg=layout, timeout=5000)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_text_is_readable(browser, address, theme, size):
    page, troubles = open_page(browser, theme, viewport=size)
    page.goto(address)
    pairs = page.evaluate(
        """() => [...document.querySelectorAll('attention-view .live *')]
            .filter((part) => part.checkVisibility() && [...part.childNodes].some((node) => node.nodeType === 3))
            .map((part) => {
                let ground = part;
                while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
                return [getComputedStyle(part).color, getComputedStyle(ground).backgroundColor, part.textContent];
            })"""
    )

    def code(colour):
        return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour))

    assert len(pairs) > 200
    assert [pair for pair in pairs if contrast(code(pair[0]), code(pair[1])) < 4.5] == []
    assert not troubles
    page.context.close()


def test_links_do_not_move_for_readers_who_want_no_motion(browser, address):
    durations = []
    for motion in ("no-preference", "reduce"):
        page, _ = open_page(browser, reduced_motion=motion)
        page.goto(address)
        path = page.locator("attention-view path").first
        durations.append(path.evaluate("path => getComputedStyle(path).transitionDuration"))
        page.context.close()
    assert durations == ["0.12s", "0s"]


def test_print_has_the_still_picture(figure):
    figure.page.emulate_media(media="print")
    assert figure.locator(".still svg").is_visible()
    assert not figure.locator(".live").is_visible()


@pytest.mark.parametrize("figures", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_there_is_the_still_picture(figures):
    assert all(svg.is_visible() for svg in figures.locator(".still svg").all())
    assert figures.locator(".still svg").count() == 2
