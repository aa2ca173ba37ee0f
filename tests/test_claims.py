import json

import pytest

from course_utils.claims import METADATA_KEY, ClaimError, claim, glue


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


def test_record_is_plain_json_and_its_box_escapes_text() -> None:
    bundle, metadata = claim(
        "c", "a < b", 0.25, within=(0, 0.5), source="Smith & Co. (1999), Table 1"
    )._repr_mimebundle_()
    record = json.loads(json.dumps(metadata[METADATA_KEY]))
    assert record["measured"] == [0.25]
    assert record["verdict"] == "reproduced"
    assert "a &lt; b" in bundle["text/html"]
    assert "Smith &amp; Co." in bundle["text/html"]
    assert "0 to 0.5" in bundle["text/html"]


def test_glue_is_what_the_books_parser_collects(monkeypatch) -> None:
    from myst_nb.ext.glue import extract_glue_data_cell
    from nbformat.v4 import new_code_cell, new_output

    outputs = []
    monkeypatch.setattr(
        "IPython.display.display",
        lambda data, raw, metadata: outputs.append(new_output("display_data", data=data, metadata=metadata)),
    )
    glue("error-in-metres", "17")
    cell = new_code_cell(outputs=outputs)
    [(key, output)] = extract_glue_data_cell(cell)
    assert key == "error-in-metres"
    assert output["data"] == {"text/plain": "17"}
    assert cell.outputs == [], "a glued value does not show where it is computed"
