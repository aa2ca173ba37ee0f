import json
import re

import numpy as np
import pytest

from course_utils.interactive import Html, soft_dictionary_figure, themed_svg
from course_utils.plotting import PALETTE

SVG = """<?xml version="1.0"?>
<svg width="144pt" height="72pt" viewBox="0 0 144 72" xmlns="http://www.w3.org/2000/svg">
 <metadata><x>2026</x></metadata>
 <defs><style type="text/css">*{stroke-linejoin: round}</style></defs>
 <defs><path id="m1" style="stroke: #1d2433"/></defs>
 <g clip-path="url(#c1)"><use xlink:href="#m1" style="fill: #123456"/></g>
 <clipPath id="c1"></clipPath>
</svg>"""
FIGURE = {
    "keys": [[1, 0], [0, 2], [-1, -1]],
    "labels": ["a", "b", "c"],
    "values": [1, 5, 3],
    "query": [0.5, 0.5],
    "fallback_alt": "Keys.",
}


class TestThemedSvg:
    @pytest.fixture
    def themed(self):
        return themed_svg(SVG, prefix="fig", alt='A "map"')

    def test_palette_colours_become_variables_and_others_stay(self, themed):
        assert "stroke: var(--c-ink, #1d2433)" in themed
        assert "fill: #123456" in themed

    def test_ids_and_their_uses_get_the_prefix(self, themed):
        assert re.findall(r' id="([^"]+)"', themed) == ["fig-m1", "fig-c1"]
        assert 'xlink:href="#fig-m1"' in themed
        assert "url(#fig-c1)" in themed

    def test_it_has_a_name_and_scales_up_to_its_natural_width(self, themed):
        assert themed.startswith("<svg ")
        assert 'role="img" aria-label="A &quot;map&quot;"' in themed
        assert (
            'viewBox="0 0 144 72" style="--own-width:192px;width:100%;max-width:192px;stroke-linejoin:round"' in themed
        )
        assert "pt" not in re.search("<svg[^>]*>", themed)[0].replace("http", "")

    def test_what_would_reach_beyond_the_figure_is_gone(self, themed):
        assert "2026" not in themed
        assert "<style" not in themed

    def test_bad_input(self):
        with pytest.raises(ValueError, match="alt is empty"):
            themed_svg(SVG, prefix="fig", alt=" ")
        with pytest.raises(ValueError, match="expected an SVG with a viewBox"):
            themed_svg("<p>", prefix="fig", alt="A map")


class TestSoftDictionary:
    def test_the_data_come_back_from_the_markup(self):
        figure = soft_dictionary_figure(**FIGURE | {"labels": ["a", "</script>", "고양이"]})
        text = re.search(r'<script type="application/json">(.*?)</script>', figure._repr_html_())[1]
        data = json.loads(text)
        assert data["labels"] == ["a", "</script>", "고양이"]
        np.testing.assert_array_equal(data["keys"], FIGURE["keys"])
        assert data["values"] == [1, 5, 3]
        assert data["query"] == [0.5, 0.5]

    def test_the_still_picture_shows_the_weights_and_the_answer(self):
        scores = np.array([0.5, 1.0, -1.0])
        weights = np.exp(scores) / np.exp(scores).sum()
        markup = soft_dictionary_figure(**FIGURE).markup
        # Matplotlib leaves the text of what it draws as a comment.
        for text in ["a: 1", "b: 5", "c: 3", f"weights; answer {weights @ [1, 5, 3]:.2f}"]:
            assert f"<!-- {text} -->" in markup
        for weight in weights:
            assert f"<!-- {weight:.2f} -->" in markup

    def test_it_is_the_same_every_time(self):
        assert soft_dictionary_figure(**FIGURE) == soft_dictionary_figure(**FIGURE)

    def test_every_colour_follows_the_theme(self):
        markup = soft_dictionary_figure(**FIGURE).markup
        drawn = set(re.findall(r"(?:fill|stroke): (#\w{6})", markup))
        assert not drawn & set(PALETTE.values())

    def test_in_words_it_is_its_description(self):
        assert repr(Html("<p>", "A paragraph.")) == "A paragraph."

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"keys": [[1, 2, 3]] * 3}, r"expected shapes \(K, 2\).* for K = 3 labels, got \(3, 3\)"),
            ({"labels": ["a"]}, r"for K = 1 labels, got \(3, 2\)"),
            ({"labels": [], "keys": np.ones((0, 2)), "values": []}, "K = 0"),
            ({"values": [1, 2, np.nan]}, "finite"),
            ({"query": [1, 2, 3]}, r"and \(3,\)"),
            ({"fallback_alt": ""}, "alt is empty"),
        ],
    )
    def test_bad_input(self, change, message):
        with pytest.raises(ValueError, match=message):
            soft_dictionary_figure(**FIGURE | change)
