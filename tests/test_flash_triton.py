"""The Triton kernels without a GPU: interpreted against float64, their traffic counted, and compiled for two cards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from interpreted_cases import CHECKS, LENGTHS, TILINGS, WIDTHS, Case, cases

from course_utils.flash import visited_tiles
from course_utils.roofline import kernel_traffic

# There are no wheels of Triton for other systems. On Linux its absence fails these tests.
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: the Triton kernels, which need Linux")
CASES = list(cases())
SCRIPT = Path(__file__).with_name("interpreted_cases.py")


def interpreter(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRITON_")}
    return {**kept, "OMP_NUM_THREADS": "1", **variables}


@pytest.fixture(scope="module")
def told() -> dict[Any, dict[str, Any]]:
    """What the interpreter's process printed, by case and by the name of a check; a crash of it fails every test."""
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT],
        env=interpreter(TRITON_INTERPRET="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    runs = {Case(**{**each["case"], "tiling": tuple(each["case"]["tiling"])}): each for each in found if "case" in each}
    assert set(runs) == set(CASES)
    return {**runs, **{each["check"]: each["found"] for each in found if "check" in each}}


# --- In the interpreter -------------------------------------------------------------------------------------------


def test_the_cases_are_those_of_the_chapters_tests() -> None:
    for n_queries, n_keys, causal in product(LENGTHS, LENGTHS, (False, True)):
        alike = [each for each in CASES if (each.n_queries, each.n_keys, each.causal) == (n_queries, n_keys, causal)]
        assert {each.width for each in alike if each.dtype == "float32" and each.factor == 60} >= set(WIDTHS)
        assert any(each.backward for each in alike)
    assert {each.tiling for each in CASES if each.backward} >= set(TILINGS)


@pytest.mark.parametrize("n_keys", [*LENGTHS, None])
@pytest.mark.parametrize("n_queries", [*LENGTHS, None])
def test_as_exact_as_the_naive_form(told: dict[Any, Any], n_queries: int | None, n_keys: int | None) -> None:
    """At most twice the error of the naive form in the same type, and 1e-5, against float64.

    Of 60 times the logits only output and log-sum-exp are asked this. Lengths of None are those not in the chapter's.
    """
    for case in CASES:
        lengths = [each if each in LENGTHS else None for each in (case.n_queries, case.n_keys)]
        if lengths == [n_queries, n_keys]:
            for name, errors in told[case]["errors"].items():
                some = errors if case.factor == 1 or name in ("output", "logsumexp") else errors[:1]
                assert all(found <= 2 * naive + 1e-5 for found, naive in some), (name, errors, case)


def test_results_have_the_types_of_the_inputs_and_the_log_sum_exp_is_float32(told: dict[Any, Any]) -> None:
    for case in CASES:
        named = dict(zip(told[case]["errors"], told[case]["types"], strict=True))
        assert named.pop("logsumexp") == "torch.float32"
        assert set(named.values()) == {f"torch.{case.dtype}"}


def test_the_traffic_is_that_of_the_model_to_the_byte(told: dict[Any, Any]) -> None:
    for case in CASES:
        sizes = (case.n_queries, case.n_keys, case.width, case.value_width, case.tiling)
        element_size = getattr(torch, case.dtype).itemsize
        for part in ("forward", "backward") if case.backward else ("forward",):
            model = kernel_traffic(
                *sizes, causal=case.causal, backward=part == "backward", element_size=element_size, heads=2
            )
            of_logsumexp = 2 * 4 * case.n_queries if part == "backward" and case.by_logsumexp else 0
            assert told[case][part][:2] == [model.loaded + of_logsumexp, model.stored], (part, case)


def test_two_products_a_tile_forward_and_seven_backward(told: dict[Any, Any]) -> None:
    """Of whole tiles and padded widths; four for the gradients of keys and values, three for those of queries."""
    for case in CASES:
        tiles = 2 * visited_tiles(case.n_queries, case.n_keys, case.tiling, causal=case.causal)
        pairs = tiles * case.tiling[0] * case.tiling[1]
        width, value_width = (1 << (each - 1).bit_length() for each in (case.width, case.value_width))
        assert told[case]["forward"][2] == 2 * pairs * (width + value_width)
        if case.backward:
            of_keys, of_queries = 2 * width + 2 * value_width, 2 * width + value_width
            assert told[case]["backward"][2] == 2 * pairs * (of_keys + of_queries)


def test_a_query_that_sees_nothing_has_zeros_and_passes_nothing_back(told: dict[Any, Any]) -> None:
    assert len(told["queries_that_see_nothing"]) == 6
    assert all(told["queries_that_see_nothing"].values())


def test_without_keys_queries_or_batch_entries_there_is_nothing_to_see(told: dict[Any, Any]) -> None:
    assert told["nothing_to_compute"] == {
        "no keys": [0, True],
        "no keys back": [0, [0, 16]],
        "no queries": [[2, 0, 24], [2, 0], 0, 0],
        "no batch": [[3, 0, 5, 24], [3, 0, 5], [3, 0, 5, 16], [3, 0, 7, 16], [3, 0, 7, 24]],
    }


def test_heads_strides_and_a_second_call(told: dict[Any, Any]) -> None:
    assert len(told["heads_and_strides"]) == 6
    assert all(told["heads_and_strides"].values())


def test_what_else_is_seen_in_the_interpreter(told: dict[Any, Any]) -> None:
    assert set(CHECKS) <= set(told)
    assert told["a_later_key_changes_nothing_before_it"]
    assert told["some_gradients_only"]
    assert told["large_scores"] < 2e-5, "1284 in base 2 is rounded to 6e-5, and half of that is wrong at most"
    assert "once_differentiable" in told["of_first_order_only"]
    assert told["kept_for_the_backward"][0] == told["kept_for_the_backward"][1]


# --- What cannot work ---------------------------------------------------------------------------------------------


def test_what_cannot_work_is_refused(told: dict[Any, Any]) -> None:
    assert told["refused"] == [
        "ValueError: flash_attention: key width 2 differs from query width 16",
        "ValueError: flash_attention: 6 values for 7 keys",
        "ValueError: flash_attention: key: expected batch dimensions () as the query, got (4,)",
        "ValueError: flash_attention: key: expected torch.float32 on cpu as the query, got torch.float16 on cpu",
        "ValueError: flash_attention: query: expected float16, bfloat16 or float32, got torch.float64",
        "ValueError: flash_attention: query: expected floating-point numbers, got torch.int64",
        "ValueError: flash_attention: query: expected a width from 16 to 128, got 15",
        "ValueError: flash_attention: value: expected a width from 16 to 128, got 129",
        "ValueError: flash_attention: query: Triton's interpreter computes wrongly with bfloat16; use float32 in it",
        "ValueError: flash_attention: tiling.queries: expected a power of two of at least 16, got 48",
        "ValueError: flash_attention: tiling.keys: expected a power of two of at least 16, got 8",
    ]


def test_a_processor_is_refused_where_nothing_interprets() -> None:
    code = "import torch; from course_utils.flash_triton import *; x = torch.ones(4, 16); flash_attention(x, x, x)"
    done = subprocess.run([sys.executable, "-c", code], env=interpreter(), capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ValueError: flash_attention: query: expected a tensor on a GPU, got one on cpu; without a GPU set "
        "TRITON_INTERPRET=1 before Triton is imported"
    )


# --- Compiled for a card that is not there ------------------------------------------------------------------------

# Bytes of a thread that do not fit in its 255 registers, at most; everywhere else none.
SPILLED = {("_forward", "sm_80", 128): 40}
LIMIT = {"sm_80": 163 << 10, "sm_90": 227 << 10}
UNIT = {"sm_80": "mma.sync", "sm_90": "wgmma.mma_async"}
TYPES = (torch.float16, torch.bfloat16, torch.float32)
COMPILED = [  # each type, width and mask, and each width with each mask
    (torch.float16, 64, False),
    (torch.float16, 128, True),
    (torch.bfloat16, 128, False),
    (torch.float32, 64, True),
]
OTHERS = [each for each in product(TYPES, (64, 128), (False, True)) if each not in COMPILED]


@pytest.mark.parametrize("configurations", [[each] for each in COMPILED] + [OTHERS], ids=lambda some: len(some))
def test_the_kernels_compile_and_fit(
    configurations: list[tuple[torch.dtype, int, bool]], request: pytest.FixtureRequest
) -> None:
    """With the tilings that are the default: shared memory, registers, spills, and products in the tensor cores.

    Float32 is not rounded to TF32, so its products are made without them.
    """
    import course_utils.flash_triton as module
    from course_utils.ahead import Job, compile_kernels

    if configurations == OTHERS and not request.config.getoption("--thorough"):
        pytest.skip(f"{8 * len(OTHERS)} more kernels are compiled with --thorough")
    known = [
        (Job(**each._asdict(), target=target), dtype, width)
        for (dtype, width, causal), target in product(configurations, LIMIT)
        for each in module.kernels(dtype, width, width, causal=causal)
    ]
    compiled = compile_kernels(Path(module.__file__).read_text(encoding="utf-8"), [job for job, _, _ in known])
    for (job, dtype, width), made in zip(known, compiled, strict=True):
        assert made.shared <= LIMIT[job.target]
        assert made.registers <= 255
        most = SPILLED.get((job.kernel, job.target, width), 0) if dtype != torch.float32 else 0
        assert made.spilled <= most, (made, job)
        multiplies = dtype != torch.float32 and job.kernel != "_backward_delta"
        assert set(made.tensor_core) == ({UNIT[job.target]} if multiplies else set()), made


def test_what_is_compiled_for_one_row_and_for_no_gradient_of_the_log_sum_exp() -> None:
    """A launch makes a constant of a length of 1 and of a tensor that is None; widths between powers of two."""
    import course_utils.flash_triton as module
    from course_utils.ahead import Job, compile_kernels

    tiling, jobs = module.Tiling(16, 32, 4, 2), []
    for each in module.kernels(torch.float16, 80, 24, causal=True, tiling=tiling):
        known = {"n_queries": 1, "n_keys": 1, "n_rows": 1, "dlse_all": None}
        constants = each.constants | {name: known[name] for name in each.signature if name in known}
        signature = {name: kind for name, kind in each.signature.items() if name not in known}
        jobs.append(Job(each.kernel, signature, constants, "sm_80", each.warps, each.stages))
    assert len(compile_kernels(Path(module.__file__).read_text(encoding="utf-8"), jobs)) == 4
