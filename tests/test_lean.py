"""What makes pages light: the lines of figures are the same in fewer letters."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
from browsing import ROOT


@pytest.fixture
def lean(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    return importlib.import_module("course_lean")


def walked(steps: str) -> np.ndarray:
    """The places that relative commands lead to."""
    here = start = np.zeros(2)
    places = []
    for command, x, y in re.findall(r"([mlz])(?:(-?[\d.]+) (-?[\d.]+))?", steps):
        here = start if command == "z" else here + np.array([x, y], dtype=float)
        start = here if command == "m" else start
        places.append(here)
    return np.array(places)


def test_a_long_path_leads_to_the_same_places_in_half_the_letters(lean) -> None:
    rings = np.random.default_rng(0).uniform(0, 400, (3, 40, 2))
    lines = [" \n".join(f"{'ML'[i > 0]} {x:.6f} {y:.6f}" for i, (x, y) in enumerate(ring)) for ring in rings]
    path = " \nz\n".join(lines) + " \nz\n"
    short = lean._shorter(path)
    assert len(short) < len(path) * 0.6
    expected = np.concatenate([[*ring, ring[0]] for ring in rings])
    np.testing.assert_allclose(walked(short), expected, atol=0.0501)


def test_a_curve_keeps_its_hundredths(lean) -> None:
    assert lean._shorter("M 1.234567 2 \nC 0.5 -1.239 3.1 4 5 6") == "M 1.23 2 \nC 0.5 -1.24 3.1 4 5 6"


def test_a_long_path_in_another_hand_is_left(lean) -> None:
    path = "M1 2" + "L3.5 4" * 400
    assert lean._shorter(path) == path
