import html
import json
import math
import re

import pytest

from course_utils.claims import ClaimError, claim, glue, recorded
from course_utils.records import Record


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        ([2.0, 3.0], "reproduced"),
        ([2.5, 9.0], "partly reproduced"),
        ([1.9, 3.1], "not reproduced"),
        (2.0, "reproduced"),
    ],
)
def test_verdict_counts_the_runs_inside_the_interval(measured, verdict: str) -> None:
    assert claim("c", "…", measured, within=(2, 3), source="Smith (1999)").verdict == verdict
    assert claim("c", "…", measured, within=(2, 3)).verdict == verdict.replace("reproduced", "as predicted")


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (-3.0, "−3"),
        (63_082_496.0, "63,082,496"),
        (1e-7, "10⁻⁷"),
        (-2.5e-16, "−2.5 · 10⁻¹⁶"),
        (0.123456, "0.1235"),
        (math.nan, "nan"),
    ],
)
def test_a_number_is_written_as_in_a_book(measured: float, words: str) -> None:
    assert claim("c", "…", measured, within=(-math.inf, math.inf)).spread == words


def test_nan_never_counts_as_agreement() -> None:
    assert claim("c", "…", float("nan"), within=(0, 1)).verdict == "not as predicted"


def test_a_theorem_that_fails_stops_the_page() -> None:
    assert claim("t", "…", 1.0, within=(1, 1), kind="theorem").verdict == "holds"
    with pytest.raises(ClaimError, match=r"claim t does not hold: measured \(1.0, 1.1\), expected within \(1, 1\)"):
        claim("t", "…", [1.0, 1.1], within=(1, 1), kind="theorem")


@pytest.mark.parametrize(
    ("measured", "within", "message"), [([], (0, 1), "nothing was measured"), (1, (2, 1), "not an interval")]
)
def test_input_that_cannot_work_is_refused_by_name(measured, within, message: str) -> None:
    with pytest.raises(ValueError, match=f"claim bad: .*{message}"):
        claim("bad", "…", measured, within=within)


def test_the_record_travels_in_the_markup_and_text_is_escaped() -> None:
    made = claim("c", "a < b", 0.25, within=(0, 0.5), source="Smith & Co. (1999), Table 1", reported='"0.3"')
    markup = made._repr_html_()
    record = json.loads(html.unescape(re.search(r'data-claim="([^"]*)"', markup)[1]))
    assert (record["measured"], record["reported"], record["verdict"]) == ([0.25], '"0.3"', "reproduced")
    assert "a &lt; b" in markup
    assert "Smith &amp; Co." in markup
    assert "<dd>0 to 0.5</dd>" in markup


@pytest.mark.parametrize(
    ("within", "words"), [((2, 2), "2"), ((-math.inf, 0.1), "at most 0.1"), ((3, math.inf), "at least 3")]
)
def test_the_interval_reads_as_one_would_say_it(within: tuple[float, float], words: str) -> None:
    assert claim("c", "…", 2.0, within=within).interval == words


def record() -> Record:
    expected = {"rises": (0.5, 1.0), "climbs": (0.5, 1.0), "falls": (-1.0, 0.0)}
    runs = [
        {"claims": {"rises": 0.7, "climbs": 0.9, "falls": 0.3}},
        {"claims": {"rises": 0.8, "climbs": 0.4, "falls": 0.2}},
    ]
    return Record("up_and_down", {}, expected, [3, 8], runs, 1.0, {}, "")


def test_a_recorded_claim_has_the_interval_and_all_runs_of_its_record() -> None:
    one = recorded(record(), "rises", "It rises", follows="so")
    assert (one.name, one.statement, one.within) == ("up-and-down-rises", "It rises (2 seeds).", (0.5, 1.0))
    assert (one.measured, one.verdict, one.follows) == ((0.7, 0.8), "as predicted", "so")
    both = recorded(record(), "rises climbs", "They rise", source="Smith (1999)")
    assert (both.measured, both.statement) == ((0.7, 0.8, 0.9, 0.4), "They rise (2 networks, 2 seeds each).")
    assert both.verdict == "partly reproduced"


def test_recorded_claims_that_do_not_share_an_interval_are_refused() -> None:
    with pytest.raises(ValueError, match="names: expected claims that share an interval"):
        recorded(record(), "rises falls", "Up and down")


@pytest.mark.parametrize(("measured", "concludes"), [([2.5], True), ([2.5, 4.0], False), ([4.0], False)])
def test_what_would_follow_is_printed_only_where_all_runs_agree(measured: list[float], concludes: bool) -> None:
    shown = claim("c", "…", measured, within=(2, 3), follows="therefore")._repr_html_()
    assert ("<dt>Then</dt><dd>therefore</dd>" in shown) == concludes


def test_glue_is_what_the_books_parser_collects(monkeypatch) -> None:
    from myst_nb.ext.glue import extract_glue_data_cell
    from nbformat.v4 import new_code_cell, new_output

    outputs = []
    monkeypatch.setattr(
        "IPython.display.display",
        lambda data, raw, metadata: outputs.append(new_output("display_data", data=data, metadata=metadata)),
    )
    glue("error-in-metres", "17,000")
    cell = new_code_cell(outputs=outputs)
    [(key, output)] = extract_glue_data_cell(cell)
    assert key == "error-in-metres"
    assert output["data"] == {"text/plain": "'17,000'"}
    assert cell.outputs == [], "a glued value does not show where it is computed"
