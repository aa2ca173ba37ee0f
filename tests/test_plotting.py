import itertools
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.textpath import TextPath

from course_utils.plotting import CATEGORIES, INK_SWITCH, PALETTE, attention_heatmap, use_style, weight_bars

CSS = Path(__file__).parents[1] / "book" / "_static" / "course.css"
QUERIES = ["le", "chat", "dort"]
KEYS = ["the", "cat", "sleeps", "고양이", "."]


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        use_style()
        yield
    plt.close("all")


@pytest.fixture
def weights():
    return np.random.default_rng(3).dirichlet(np.ones(5), size=3)


def svg(axes, path):
    axes.figure.savefig(path, format="svg", metadata={"Date": None})
    return path.read_bytes()


def css_colours(selector):
    block = re.search(re.escape(selector) + r" \{(.*?)\}", CSS.read_text(encoding="utf-8"), re.DOTALL)[1]
    return dict(re.findall(r"--c-([\w-]+): (#\w{6});", block))


def contrast(one, other):
    def luminance(colour):
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


class TestPalette:
    def test_the_page_has_the_same_colours(self):
        assert css_colours(":root") == PALETTE

    def test_the_dark_theme_has_a_colour_for_every_name(self):
        assert set(css_colours('html[data-theme="dark"]')) == set(PALETTE)

    def test_a_colour_stands_for_one_name_only(self):
        assert len(set(PALETTE.values())) == len(PALETTE)

    @pytest.mark.parametrize("theme", [":root", 'html[data-theme="dark"]'])
    def test_text_and_lines_are_readable(self, theme):
        colours = css_colours(theme)
        for name in ("ink", "muted", *CATEGORIES):
            assert contrast(colours[name], colours["paper"]) >= 4.5, name

    @pytest.mark.parametrize("theme", [":root", 'html[data-theme="dark"]'])
    def test_numbers_on_cells_are_readable(self, theme):
        colours = css_colours(theme)
        for step in range(12):
            ink = "seq-ink-low" if step < INK_SWITCH else "seq-ink-high"
            assert contrast(colours[f"seq-{step}"], colours[ink]) >= 4.5, step

    @pytest.mark.parametrize("theme", [":root", 'html[data-theme="dark"]'])
    def test_more_weight_is_always_further_from_the_page(self, theme):
        colours = css_colours(theme)
        steps = [contrast(colours[f"seq-{step}"], colours["paper"]) for step in range(12)]
        assert all(a < b for a, b in itertools.pairwise(steps))


class TestHeatmap:
    def test_every_weight_stands_in_its_row_and_column(self, weights):
        axes = attention_heatmap(weights, QUERIES, KEYS)
        drawn = {text.get_position(): text.get_text() for text in axes.texts}
        wanted = {(k + 0.5, q + 0.5): f"{weights[q, k]:.2f}" for q in range(3) for k in range(5)}
        assert drawn == wanted

    def test_every_cell_has_the_colour_of_its_weight(self, weights):
        axes = attention_heatmap(weights, QUERIES, KEYS)
        (mesh,) = axes.collections
        np.testing.assert_array_equal(mesh.get_array(), weights)
        assert mesh.get_clim() == (0, 1)

    def test_the_labels_stand_at_their_rows_and_columns(self, weights):
        axes = attention_heatmap(weights, QUERIES, KEYS)
        assert [label.get_text() for label in axes.get_yticklabels()] == QUERIES
        assert [label.get_text() for label in axes.get_xticklabels()] == KEYS
        np.testing.assert_allclose(axes.get_yticks(), [0.5, 1.5, 2.5])
        np.testing.assert_allclose(axes.get_xticks(), [0.5, 1.5, 2.5, 3.5, 4.5])

    def test_the_first_query_is_on_top_and_the_first_key_at_the_left(self, weights):
        axes = attention_heatmap(weights, QUERIES, KEYS)
        first, down, right = axes.transData.transform([(0.5, 0.5), (0.5, 1.5), (1.5, 0.5)])
        assert first[1] > down[1]
        assert first[0] < right[0]

    def test_the_ink_changes_with_the_step_of_the_map(self):
        edge = INK_SWITCH / 12
        axes = attention_heatmap([[edge - 1e-9, edge, 0, 1]], ["q"], list("abcd"))
        low, high = PALETTE["seq-ink-low"], PALETTE["seq-ink-high"]
        assert [text.get_color() for text in axes.texts] == [low, high, low, high]

    def test_small_weights_need_not_be_written(self):
        axes = attention_heatmap([[0.1, 0.099, 0.801, 0.0]], ["q"], list("abcd"), at_least=0.1)
        assert [text.get_text() for text in axes.texts] == ["0.10", "0.80"]

    def test_without_numbers_there_is_a_scale(self, weights):
        axes = attention_heatmap(weights, QUERIES, KEYS, annotate=False)
        assert not axes.texts
        assert [other.get_ylabel() for other in axes.figure.axes if other is not axes] == ["weight"]

    def test_it_draws_on_given_axes(self, weights):
        axes = plt.figure().subplots()
        assert attention_heatmap(weights, QUERIES, KEYS, ax=axes) is axes

    def test_a_tensor_on_a_graph_is_drawn_as_its_values(self, weights):
        tensor = torch.tensor(weights, dtype=torch.bfloat16, requires_grad=True)
        axes = attention_heatmap(tensor, QUERIES, KEYS)
        np.testing.assert_array_equal(axes.collections[0].get_array(), tensor.detach().double().numpy())

    def test_the_cells_are_vector_graphics(self, weights, tmp_path):
        assert b"<image" not in svg(attention_heatmap(weights, QUERIES, KEYS, annotate=False), tmp_path / "a.svg")


class TestBars:
    def test_lengths_values_and_labels_agree(self):
        values = [0.5, 0.25, 0.125, 0.125]
        axes = weight_bars(values, ["a", "b", "c", "고양이"])
        assert [bar.get_width() for bar in axes.patches] == values
        assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c", "고양이"]
        middles = [bar.get_y() + bar.get_height() / 2 for bar in axes.patches]
        np.testing.assert_allclose(middles, axes.get_yticks())
        texts = {text.xy: text.get_text() for text in axes.texts}
        assert texts == {(value, row): f"{value:.2f}" for row, value in enumerate(values)}

    def test_the_first_is_on_top(self):
        axes = weight_bars([0.75, 0.25], ["a", "b"])
        first, second = axes.transData.transform([(0, 0), (0, 1)])
        assert first[1] > second[1]

    def test_all_zeros_can_be_drawn(self, tmp_path):
        assert svg(weight_bars([0.0, 0.0], ["a", "b"]), tmp_path / "a.svg")


class TestStyle:
    def test_the_same_data_gives_the_same_bytes(self, weights, tmp_path):
        one = svg(attention_heatmap(weights, QUERIES, KEYS), tmp_path / "1.svg")
        other = svg(attention_heatmap(weights, QUERIES, KEYS), tmp_path / "2.svg")
        assert one == other

    def test_only_colours_of_the_palette_are_drawn(self, weights, tmp_path):
        text = svg(attention_heatmap(weights, QUERIES, KEYS, annotate=False), tmp_path / "1.svg").decode()
        text += svg(weight_bars(weights[0], KEYS), tmp_path / "2.svg").decode()
        assert set(re.findall(r"(?:fill|stroke): (#\w{6})", text)) <= set(PALETTE.values())

    def test_korean_is_drawn_without_a_missing_glyph(self, tmp_path):
        # A missing glyph is a warning, and here every warning is an error.
        axes = weight_bars([1.0], ["가힣 ㄱㅎ ㅏㅣ 뷁쑥"])
        assert svg(axes, tmp_path / "a.svg")

    def test_korean_syllables_have_shapes_of_their_own(self):
        font = mpl.font_manager.FontProperties(family="Course Hangul")
        assert "CourseHangul" in mpl.font_manager.findfont(font)
        shapes = [TextPath((0, 0), syllable, prop=font).vertices for syllable in "가나"]
        assert all(len(shape) > 8 for shape in shapes)
        assert shapes[0].shape != shapes[1].shape or not np.allclose(*shapes)

    def test_it_works_without_ipython_and_without_torch(self):
        code = (
            "import sys; from course_utils.plotting import use_style; use_style();"
            "print(sorted({'torch', 'IPython'} & set(sys.modules)))"
        )
        assert run(code) == "[]"

    def test_in_ipython_figures_are_svg_without_a_date(self):
        code = (
            "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance();"
            "from course_utils.plotting import use_style, weight_bars; use_style();"
            "figure = weight_bars([0.25, 0.75], ['a', 'b']).figure;"
            "data, _ = shell.display_formatter.format(figure);"
            "print('image/svg+xml' in data, 'image/png' in data, 'dc:date' in data['image/svg+xml'])"
        )
        assert run(code) == "True False False"


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestBadInput:
    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (np.ones((3, 4)) / 4, r"weights has shape \(3, 4\), but there are 3 queries and 5 keys"),
            (np.ones((5, 3)) / 3, r"weights has shape \(5, 3\), but there are 3 queries and 5 keys"),
            (np.ones(5) / 5, r"weights has shape \(5,\), but"),
            (np.full((3, 5), -0.5), r"between 0 and 1, but weights\[0, 0\] is -0.5"),
            (np.full((3, 5), 1.5), r"between 0 and 1, but weights\[0, 0\] is 1.5"),
            (np.full((3, 5), np.nan), r"between 0 and 1, but weights\[0, 0\] is nan"),
            ([[0.5], [0.25, 0.25]], "must be numbers in an array without gaps"),
            ([["a"] * 5] * 3, "must be numbers in an array without gaps"),
        ],
    )
    def test_a_heatmap_says_what_came(self, weights, message):
        with pytest.raises(ValueError, match=r"^attention_heatmap: .*" + message):
            attention_heatmap(weights, QUERIES, KEYS)

    def test_a_heatmap_of_nothing(self):
        with pytest.raises(ValueError, match=r"at least one weight, got shape \(0, 0\)"):
            attention_heatmap(np.ones((0, 0)), [], [])

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([0.5, 0.5], r"weights has shape \(2,\), but there are 3 labels"),
            (np.ones((3, 1)) / 3, r"weights has shape \(3, 1\), but there are 3 labels"),
            ([0.5, np.inf, 0.5], r"weights\[1\] is inf"),
        ],
    )
    def test_bars_say_what_came(self, weights, message):
        with pytest.raises(ValueError, match=r"^weight_bars: .*" + message):
            weight_bars(weights, ["a", "b", "c"])
