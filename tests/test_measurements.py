"""Records of lab 2: an honest one passes, each forged one is flagged for its own reason, hostile text does no harm."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from support import ROOT, fill, reads, reference, stub, submission

from course_utils import cli, measurements, measuring, plausibility, release
from course_utils.cli import timing
from course_utils.measurements import LAB, MEASURED, RecordError, cell_source, faults, notes, source_hash
from course_utils.roofline import CARDS, attention_flops

Record = dict[str, Any]


@cache
def built() -> release.Released:
    return release.build(ROOT, LAB)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / f"{LAB}.ipynb"
    nbformat.write(submission(built(), {}), path)
    return path


def honest() -> Record:
    return json.loads(built().handed_in["measurements.json"])


def judged(record: Record, notebook: Path) -> list[str]:
    return faults(json.dumps(record), notebook)


def entries(record: Record, name: str, length: int | None = None, width: int | None = None) -> list[Record]:
    return [
        entry
        for entry in record["entries"]
        if entry["implementation"] == name
        and length in (None, entry["shape"][0])
        and width in (None, entry["shape"][2])
    ]


def the(record: Record, name: str, length: int, width: int) -> Record:
    (found,) = entries(record, name, length, width)
    return found


# --- honest -----------------------------------------------------------------------------------------------------


def test_the_honest_record_passes(notebook: Path) -> None:
    text = built().handed_in["measurements.json"].decode()
    assert faults(text, notebook) == []
    assert notes(text) == []


def on_a_card(name: str) -> Record:
    """What a card may give: quantised clocks, launches that cost more than short calls, memory in steps of 512."""
    draw, seed, found = random.Random(5), 11, []
    for dtype, size in plausibility.BYTES.items():
        for length, _, width in plausibility.SHAPES:
            for implementation in plausibility.IMPLEMENTATIONS:
                if implementation == "sdpa_flash" and dtype == "float32":
                    continue
                flops = attention_flops(length, length, width)
                calls = length // 128 * 9 if implementation == "tiled" else 3
                middle = calls * 4e-6 + flops / (3e13 if dtype == "float32" else 3e14)
                ticks = [round(middle * draw.uniform(0.98, 1.05) / 32e-9) for _ in range(30)]
                numbers = 2 * length**2 if implementation in ("naive", "sdpa_math") else length * (width + 256)
                expected, scale = plausibility._expected(seed, length, width, dtype)
                found.append(
                    {
                        "implementation": implementation,
                        "dtype": dtype,
                        "shape": [length, 1, width],
                        "seconds": [round(tick * 32e-9, 9) for tick in ticks],
                        "peak_bytes": -(-numbers * size // 512) * 512,
                        "flops": flops,
                        "checksum": expected + 0.2 * plausibility.CHECKSUM_ERROR[dtype] * scale,
                    }
                )
    device = {"type": "cuda", "name": name, "driver": "580.1", "cores": 16, "threads": 16}
    missed = [{"implementation": "sdpa_flash", "dtype": "float32", "reason": "No available kernel"}]
    return honest() | {"device": device, "seed": seed, "entries": found, "not_run": missed, "wall_seconds": 300}


@pytest.mark.parametrize("name", ["NVIDIA H200", "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB"])
def test_an_honest_record_of_a_card_passes(name: str, notebook: Path) -> None:
    record = on_a_card(name)
    assert judged(record, notebook) == []
    assert notes(json.dumps(record)) == []


def test_an_unknown_card_is_held_against_a_generous_one_and_noted(notebook: Path) -> None:
    record = on_a_card("NVIDIA Z9000")
    assert judged(record, notebook) == []
    assert re.match(r"NVIDIA Z9000 is not among the known cards", notes(json.dumps(record))[0])
    entry = next(each for each in record["entries"] if each["shape"] == [16384, 1, 128])
    entry["seconds"] = [each / 1000 for each in entry["seconds"]]
    assert any("NVIDIA Z9000 needs at least" in fault for fault in judged(record, notebook))


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("Tesla T4", "T4"),
        ("NVIDIA L40S", None),
    ],
)
def test_a_cards_own_name_finds_what_is_known_of_it(name: str, keys: str | None) -> None:
    expected = [card for key, card in CARDS.items() if keys and key.startswith(keys)]
    assert plausibility.cards_named(name) == expected


# --- forged -----------------------------------------------------------------------------------------------------


def too_fast(record: Record) -> None:
    for entry in entries(record, "sdpa_flash"):
        entry["seconds"] = [each / 3000 for each in entry["seconds"]]


def no_room_for_the_scores(record: Record) -> None:
    for entry in entries(record, "naive"):
        entry["peak_bytes"] //= 3


def less_than_the_output(record: Record) -> None:
    for entry in entries(record, "tiled"):
        entry["peak_bytes"] //= 20


def constant(record: Record) -> None:
    entry = the(record, "tiled", 4096, 64)
    entry["seconds"] = [entry["seconds"][0]] * 10


def few_values(record: Record) -> None:
    entry = the(record, "tiled", 1024, 64)
    entry["seconds"] = (entry["seconds"][:3] * 10)[:30]


def copied(record: Record) -> None:
    the(record, "tiled", 1024, 64)["seconds"] = list(the(record, "naive", 1024, 64)["seconds"])


def half_copied(record: Record) -> None:
    ours, theirs = the(record, "tiled", 1024, 64), the(record, "naive", 1024, 64)
    ours["seconds"] = random.Random(3).sample(theirs["seconds"][:16] + ours["seconds"][:14], 30)


def scaled(record: Record) -> None:
    the(record, "tiled", 2048, 64)["seconds"] = [
        round(0.71 * each, 9) for each in the(record, "naive", 2048, 64)["seconds"]
    ]


def shifted_and_shuffled(record: Record) -> None:
    samples = [round(each + 0.0123, 9) for each in the(record, "naive", 2048, 64)["seconds"]]
    the(record, "tiled", 2048, 64)["seconds"] = random.Random(2).sample(samples, len(samples))


def a_line(record: Record) -> None:
    entry = the(record, "tiled", 1024, 128)
    start = entry["seconds"][0]
    entry["seconds"] = [start * (1 + 0.0123456 * step) for step in range(30)]


def typed(record: Record) -> None:
    for entry in entries(record, "tiled", 4096):
        entry["seconds"] = [float(f"{each:.1e}") + place / 1e3 for place, each in enumerate(entry["seconds"])]


def too_few(record: Record) -> None:
    the(record, "naive", 4096, 64)["seconds"][9:] = []


def other_output(record: Record) -> None:
    the(record, "tiled", 512, 64)["checksum"] *= 1.01


def other_seed(record: Record) -> None:
    record["seed"] += 1


def memory_that_does_not_grow(record: Record) -> None:
    for entry in entries(record, "naive"):
        entry["peak_bytes"] = 1 << 28


def tiled_memory_of_naive(record: Record) -> None:
    for entry in entries(record, "tiled"):
        entry["peak_bytes"] = the(record, "naive", *entry["shape"][::2])["peak_bytes"]


def time_that_does_not_grow(record: Record) -> None:
    for entry in entries(record, "naive"):
        grown = (entry["shape"][0] / 512) ** 2.5
        entry["seconds"] = [each / grown + 0.02 for each in entry["seconds"]]


def other_flops(record: Record) -> None:
    the(record, "naive", 4096, 128)["flops"] //= 2


def left_out(record: Record) -> None:
    record["entries"].remove(the(record, "tiled", 4096, 128))


def twice(record: Record) -> None:
    record["entries"].append(copy.deepcopy(the(record, "sdpa_flash", 512, 64)))


def slower_rivals(record: Record) -> None:
    for entry in entries(record, "naive"):
        entry["seconds"] = [each * 9 for each in entry["seconds"]]


def other_code(record: Record) -> None:
    record["source_hash"] = source_hash("absorb = finish = None")


FORGED: dict[Callable[[Record], None], str] = {
    too_fast: r"^sdpa_flash .*: .* ms, but .* needs at least .* ms$",
    no_room_for_the_scores: r"^naive .*: a peak of \d+ bytes, but the N × N scores alone takes \d+$",
    less_than_the_output: r"^tiled .*: a peak of \d+ bytes, but the output alone takes \d+$",
    constant: r"^tiled .* 4096, width 64: the samples are constant$",
    few_values: r"^tiled .* 1024, width 64: 3 different samples of 30",
    copied: r"^tiled .* 1024, width 64: (30 of its samples are also|its samples are) those of naive .* 1024, width 64",
    half_copied: r"^tiled .* 1024, width 64: 16 of its samples are also those of naive .* 1024, width 64$",
    scaled: r"^tiled .* 2048, width 64: its samples are those of naive .* 2048, width 64, scaled or shifted$",
    shifted_and_shuffled: r"^tiled .* 2048, width 64: its samples are those of naive .*, scaled or shifted$",
    a_line: r"^tiled .* 1024, width 128: the samples stand at equal distances$",
    typed: r"^tiled .* 4096, .*: the samples are rounded to three digits",
    too_few: r"^entry \d+: 9 samples, expected 10 to 1000$",
    other_output: r"^tiled .* 512, width 64: checksum .*: not attention's output$",
    other_seed: r"checksum .*: not attention's output$|^and \d+ more$",
    memory_that_does_not_grow: r"^naive .*: peak memory grows as N\^0.00, expected an exponent from 1.7 to 2.2$",
    tiled_memory_of_naive: r"^tiled .*: peak memory grows as N\^\d.\d\d, expected an exponent from 0.3 to 1.4$",
    time_that_does_not_grow: r"^naive .*: time grows as N\^-?0.\d\d, expected an exponent from 0.4 to 3.5$",
    other_flops: r"^naive .* 4096, width 128: \d+ FLOPs, the formula gives \d+$",
    left_out: r"^tiled in float32 at N = 4096, width 128: missing$",
    twice: r"^sdpa_flash .* 512, width 64: (there twice$|.* those of sdpa_flash .* 512, width 64)",
    slower_rivals: r"^the samples add up to .* s, the whole took .* s$",
    other_code: r"^it was measured with other code than now stands in cell 'tiled': save the notebook",
}


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_a_forged_record_is_flagged_for_its_own_reason(forge: Callable[[Record], None], notebook: Path) -> None:
    record = honest()
    forge(record)
    found = judged(record, notebook)
    assert found
    assert [fault for fault in found if not re.search(FORGED[forge], fault)] == []


def test_a_card_that_is_too_fast_is_flagged(notebook: Path) -> None:
    record = on_a_card("NVIDIA H200")
    entry = next(each for each in record["entries"] if each["dtype"] == "bfloat16" and each["shape"] == [16384, 1, 128])
    entry["seconds"] = [each / 5 for each in entry["seconds"]]
    (fault,) = judged(record, notebook)
    assert re.search(r"ms, but NVIDIA H200 needs at least 0.1\d\d ms$", fault)


# --- form, and hostile text -------------------------------------------------------------------------------------


def spoilt(change: Callable[[Record], Any]) -> str:
    record = honest()
    change(record)
    return json.dumps(record)


def deep(record: Record) -> None:
    nested: list[Any] = []
    for _ in range(300):
        nested = [nested]
    record["entries"][0]["shape"] = nested


SPOILT = {
    "missing": (lambda r: r.pop("seed"), "the record: the field 'seed' is missing"),
    "unknown": (lambda r: r.update(more=1), "the record: an unknown field 'more'"),
    "other lab": (lambda r: r.update(lab="lab-1\n" + 99 * "x"), "lab: expected lab-2-flash-vs-naive, got lab-1?xxx"),
    "other format": (lambda r: r.update(format=2), "the record: format: expected a number from 1 to 1, got 2"),
    "text": (lambda r: r.update(seed="7"), "the record: seed: expected a whole number, got text"),
    "a fraction": (
        lambda r: r["entries"][0].update(flops=1.5),
        "entry 0: flops: expected a whole number, got a number",
    ),
    "true": (lambda r: r["entries"][0].update(flops=True), "entry 0: flops: expected a whole number, got true/false"),
    "nothing": (lambda r: r["entries"][0].update(checksum=None), "entry 0: checksum: expected a number, got nothing"),
    "not a number": (lambda r: r.update(wall_seconds=float("nan")), "the record holds NaN"),
    "infinite": (lambda r: r.update(wall_seconds=float("inf")), "the record holds Infinity"),
    "negative": (lambda r: r["entries"][0]["seconds"].append(-1.0), "entry 0: seconds: expected a number from 1e-07"),
    "zero": (lambda r: r["entries"][0]["seconds"].append(0), "entry 0: seconds: expected a number from 1e-07"),
    "text for a sample": (
        lambda r: r["entries"][0]["seconds"].append("1"),
        "entry 0: seconds: expected a number, got text",
    ),
    "no memory": (lambda r: r["entries"][0].update(peak_bytes=0), "entry 0: peak_bytes: expected a number from 1"),
    "a huge number": (lambda r: r.update(seed=10**19), "the record: seed: expected a number from 0 to"),
    "too many digits": (lambda r: r.update(seed=10**4000), "the record holds a whole number of more than 20 digits"),
    "a list for an entry": (lambda r: r["entries"].append([]), "entry 32: expected an object with named fields"),
    "an unknown name": (
        lambda r: r["entries"][0].update(implementation="\x1b[31m"),
        "entry 0: implementation: there is no ?[31m",
    ),
    "half a letter": (lambda r: r["entries"][0].update(dtype="\ud800"), "entry 0: dtype: there is no ?"),
    "another shape": (
        lambda r: r["entries"][0].update(shape=[7, 1, 64]),
        "entry 0: shape: [7, 1, 64] is none of those",
    ),
    "nested": (deep, "entry 0: shape: "),
    "many samples": (
        lambda r: r["entries"][0].update(seconds=[1] * 2000),
        "entry 0: 2000 samples, expected 10 to 1000",
    ),
    "many entries": (lambda r: r.update(entries=[{}] * 300), "expected at most 216 entries"),
    "no entries": (lambda r: r.update(entries=[]), "naive in float32 at N = 512, width 64: missing"),
    "another device": (lambda r: r["device"].update(type="tpu"), "device: type: expected cpu or cuda, got tpu"),
    "no cores": (lambda r: r["device"].update(cores=0), "device: cores: expected a number from 1 to 4096, got 0"),
    "a long name": (lambda r: r["device"].update(name="x" * 999), "device: name: expected at most 200 letters"),
}


@pytest.mark.parametrize(("change", "said"), SPOILT.values(), ids=SPOILT)
def test_a_record_of_another_form_is_one_clear_line(change, said: str, notebook: Path) -> None:
    found = faults(spoilt(change), notebook)
    assert found[0].startswith(said)
    assert len(found) <= measurements.MOST_LINES + 1
    assert all(line.isprintable() and len(line) < 250 for line in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the record is damaged ("),
        ("{", "the record is damaged ("),
        ("[" * 200_000, "the record is nested too deeply"),
        ('{"a":' * 100_000, "the record is nested too deeply"),
        ('"' * 500_001, "the record is damaged ("),
        ("[]", "the record is a list, expected an object"),
        ("7", "the record is a int, expected an object"),
        ('{"a": 1, "a": 2}', "the record names a field twice"),
        (" " * (1 << 21), "the record is larger than 1 MiB"),
        ('{"a": ' + "9" * 5000 + "}", "the record holds a whole number of more than 20 digits"),
        ('{"wall_seconds": 1e999}', "the record: the field 'lab' is missing"),
    ],
)
def test_hostile_text_is_one_clear_line(text: str, said: str, notebook: Path) -> None:
    found = faults(text, notebook)
    assert found[0].startswith(said)
    assert all(line.isprintable() and len(line) < 250 for line in found)


def test_a_number_beyond_floating_point_is_refused(notebook: Path) -> None:
    text = json.dumps(honest() | {"wall_seconds": 12345}).replace("12345", "1e999")
    assert faults(text, notebook) == ["the record: wall_seconds: expected a number from 0.1 to 86400, got inf"]


# --- the source -------------------------------------------------------------------------------------------------


def test_the_hash_is_of_the_code_and_of_nothing_else() -> None:
    source = reference(built())[MEASURED]
    same = source.replace("    largest = scores", "    # a comment\n    largest  =  scores")
    assert same != source
    assert source_hash(same) == source_hash(source)
    assert source_hash(re.sub('""".*"""', '"""Other words."""', source)) == source_hash(source)
    assert source_hash(source.replace("amax", "amin")) != source_hash(source)
    with pytest.raises(RecordError, match=r"cell 'tiled' is not plain Python \(line 2\)"):
        source_hash("x = 1\n%time x")


def test_other_code_in_the_notebook_is_flagged_and_a_comment_is_not(tmp_path: Path) -> None:
    text, path = built().handed_in["measurements.json"].decode(), tmp_path / f"{LAB}.ipynb"
    source = reference(built())[MEASURED]
    nbformat.write(fill(submission(built(), {}), {MEASURED: f"# a comment\n{source}"}), path)
    assert faults(text, path) == []
    nbformat.write(fill(submission(built(), {}), {MEASURED: f"{source}\nx = 1"}), path)
    assert re.match("it was measured with other code", faults(text, path)[0])
    nbformat.write(fill(submission(built(), {}), {MEASURED: "def ("}), path)
    assert faults(text, path) == ["cell 'tiled' is not plain Python (line 1): no magics, no unfinished lines"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, f"there is no notebook {LAB}.ipynb here: keep its name, and save it"),
        ("", f"{LAB}.ipynb: not a notebook, or a damaged one"),
        ("[1, 2]", f"{LAB}.ipynb: not a notebook, or a damaged one"),
        (
            '{"cells": [7, {"metadata": []}]}',
            f"{LAB}.ipynb has no cell 'tiled': take it from the released notebook",
        ),
        ("[" * 100_000, f"{LAB}.ipynb: not a notebook, or a damaged one"),
        ('{"cells": []}', f"{LAB}.ipynb has no cell 'tiled': take it from the released notebook"),
        (" " * (33 << 20), f"{LAB}.ipynb: larger than 32 MiB: clear its outputs and save it"),
    ],
)
def test_a_notebook_that_does_not_tell_is_one_clear_line(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / f"{LAB}.ipynb"
    if content is not None:
        path.write_text(content)
    assert faults(built().handed_in["measurements.json"].decode(), path) == [said]


def test_of_copies_of_the_cell_the_last_one_counts(tmp_path: Path) -> None:
    nb = reads(built().student)
    first = next(cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == MEASURED)
    nb.cells.append(copy.deepcopy(first))
    nb.cells[-1].update(source="last = 1", id="another")
    path = tmp_path / "copies.ipynb"
    nbformat.write(nb, path)
    assert cell_source(path) == "last = 1"


# --- measuring --------------------------------------------------------------------------------------------------


def job(source: str) -> dict[str, Any]:
    setup = [cell.source for cell in reads(built().student).cells if cell.metadata.get("course", {}).get("setup")]
    return {"setup": setup, "source": source, "device": "cpu"}


def test_what_is_measured_is_what_the_check_expects(monkeypatch: pytest.MonkeyPatch, notebook: Path) -> None:
    monkeypatch.setattr(measuring, "_shapes", lambda device: [("float32", 512, 64)])
    monkeypatch.setattr(measuring, "SECONDS", 0.001)
    told: list[tuple[Any, ...]] = []
    made = measuring._measured(job(reference(built())[MEASURED]), lambda *step: told.append(step))
    assert told == [("the notebook's code", 0, 1), ("float32, N = 512, width 64", 0, 1)]
    assert [entry["implementation"] for entry in made["entries"]] == ["naive", "sdpa_math", "sdpa_flash", "tiled"]
    assert {missed["implementation"] for missed in made["not_run"]} == {"sdpa_efficient", "sdpa_cudnn"}
    assert [len(entry["seconds"]) for entry in made["entries"]] == [10] * 4
    head = {"format": 1, "lab": LAB, "source_hash": source_hash(reference(built())[MEASURED])}
    text = measuring.as_text({**head, **made})
    assert json.loads(text) == {**head, **made}
    found = faults(text, notebook)
    assert found
    assert all(fault.endswith("missing") or fault.startswith("and ") for fault in found)


def test_memory_is_counted_to_the_byte() -> None:
    """In the honest record: the naive form's scores and weights, and its scaled queries."""
    for width in (64, 128):
        for length in plausibility.LENGTHS:
            expected = 4 * (2 * length**2 + length * width)
            assert the(honest(), "naive", length, width)["peak_bytes"] - expected in range(64)


OUTSIDE = """
import numpy as np
def absorb(state, queries, keys, values):
    return [*(state or []), (queries.numpy(), keys.numpy(), values.numpy())]
def finish(state):
    queries, keys, values = state[0][0], *(np.concatenate([each[i] for each in state]) for i in (1, 2))
    scores = np.einsum("qhd,khd->hqk", queries, keys) / 8
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return torch.from_numpy(np.einsum("hqk,khd->qhd", weights / weights.sum(-1, keepdims=True), values))
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("STUB", "cell 'tiled' (problem 1) is not written yet in the saved notebook"),
        ("x = 1", "cell 'tiled' defines no 'absorb': absorb and finish stand in it"),
        ("import nowhere", "cell 'tiled' stopped with ModuleNotFoundError: No module named 'nowhere'"),
        ("def absorb(*a): 1 / 0\ndef finish(s): pass", "cell 'tiled' stopped with ZeroDivisionError: division by zero"),
        ("def absorb(s, q, k, v): return q\ndef finish(s): return s", "the attention of cell 'tiled' is not right yet"),
        ("def absorb(*a): pass\ndef finish(s): raise SystemExit", "cell 'tiled' stopped with SystemExit"),
        (OUTSIDE, "cell 'tiled' computes outside of torch (in NumPy?): its memory cannot be measured"),
    ],
)
def test_code_that_cannot_be_measured_is_one_line(source: str, said: str) -> None:
    if source == "STUB":
        source = stub(built())[MEASURED]
    with pytest.raises(measuring.MeasureError, match=re.escape(said)) as raised:
        measuring._measured(job(source), lambda *step: None)
    assert "\n" not in str(raised.value)


def test_a_device_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(measuring.MeasureError, match="torch sees no GPU here: measure with --device cpu"):
        measuring._measured(job("") | {"device": "cuda"}, lambda *step: None)


def test_the_command_writes_the_record_and_says_what_the_grader_would(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {name: value for name, value in honest().items() if name not in ("format", "lab", "source_hash")}
    monkeypatch.setattr(measuring, "_run", lambda job, folder, told: told("all", 1, 1) or measured)
    path = tmp_path / "kept.json"
    assert timing.measure(notebook, path, "cpu") == 0
    assert json.loads(path.read_text()) == honest()
    assert f"kept.json: 8 shapes on {honest()['device']['name']}" in capsys.readouterr().out
    measured["wall_seconds"] = 1.0
    with pytest.raises(cli.FailureError, match=r"kept.json: the grader would object: the samples add up to .* s, the"):
        timing.measure(notebook, path, "cpu")


def test_a_record_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "measurements.json"
    measuring._write(path, "whole")
    assert path.read_text() == "whole"
    monkeypatch.setattr(measuring.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(measuring.MeasureError, match="cannot be written: No space left"):
        measuring._write(path, "half")
    assert [item.name for item in tmp_path.iterdir()] == ["measurements.json"]
    assert path.read_text() == "whole"
