"""What is counted and refused in Triton's interpreter, which runs in a process of its own: a bad load would end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no Triton for this system")

# Each case is a function of a script; what it returns, or the exception that stops it, is what the tests look at.
SCRIPT = """
import json
import sys
import torch
import triton
import triton.language as tl
from triton.runtime.interpreter import GridExecutor, interpreter_builder
from course_utils.interpreted import OutOfBoundsError, counted, interpreting


@triton.jit
def copy(x, y, n, BLOCK: tl.constexpr, MASKED: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if MASKED:
        tl.store(y + at, tl.load(x + at, mask=at < n), mask=at < n)
    else:
        tl.store(y + at, tl.load(x + at))


@triton.jit
def load_at(x, offset):
    return tl.load(x + offset)


@triton.jit
def read_at(x, y, offset):
    tl.store(y, load_at(x, offset))


@triton.jit
def read_wide(x, y):
    tl.store(y, tl.load(x.to(tl.pointer_type(tl.float32)) + 1))


@triton.jit
def write_at(x, y, offset):
    tl.store(y + offset, tl.load(x))


@triton.jit
def hidden_lanes(x, y, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(y + at * 1_000_000_000, tl.load(x + at * 1_000_000_000, mask=at < 1), mask=at < 1)


@triton.jit
def product(x, y, z, M: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    m, k, n = tl.arange(0, M), tl.arange(0, K), tl.arange(0, N)
    a = tl.load(x + m[:, None] * K + k[None, :])
    b = tl.load(y + k[:, None] * N + n[None, :])
    tl.store(z + m[:, None] * N + n[None, :], tl.dot(a, b, input_precision="ieee"))


@triton.jit
def products(x, z, B: tl.constexpr, M: tl.constexpr):
    at = tl.arange(0, B)[:, None, None] * M * M + tl.arange(0, M)[None, :, None] * M + tl.arange(0, M)[None, None, :]
    a = tl.load(x + at)
    tl.store(z + at, tl.dot(a, a, input_precision="ieee"))


@triton.jit
def add(x, y, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.atomic_add(y + at, 1.0, mask=at < n)
    tl.atomic_cas(x, 0.0, 1.0)


@triton.jit
def described(x, y, rows, ROWS: tl.constexpr, WIDTH: tl.constexpr):
    source = tl.make_tensor_descriptor(x, [rows, WIDTH], [WIDTH, 1], [ROWS, WIDTH])
    target = tl.make_tensor_descriptor(y, [rows, WIDTH], [WIDTH, 1], [ROWS, WIDTH])
    target.store([ROWS, 0], source.load([ROWS, 0]))


@triton.jit
def first_of(pair, y):
    tl.store(y, tl.load(pair[0]) + tl.load(pair[1]))


@triton.jit
def unwritten(x):
    raise NotImplementedError()


@triton.jit
def calls_unwritten(x):
    unwritten(x)


def counts_of(launch):
    with counted() as counts:
        launch()
    return [counts.loaded, counts.stored, counts.flops]


def case_interpreting():
    return interpreting()


def case_masked():
    x, y = torch.randn(100), torch.zeros(100)
    counts = counts_of(lambda: copy[(4,)](x, y, 100, BLOCK=32, MASKED=True))
    return [counts, torch.equal(x, y)]


def case_bytes():
    kinds = [torch.float16, torch.float32, torch.float64, torch.int8, torch.int64, torch.bool]
    tensors = [torch.ones(16, dtype=kind) for kind in kinds]
    return [counts_of(lambda t=t: copy[(1,)](t, t.clone(), 16, 16, False))[:2] for t in tensors]


def case_product():
    a, b, c = torch.randn(16, 32), torch.randn(32, 8), torch.zeros(16, 8)
    counts = counts_of(lambda: product[(1,)](a, b, c, 16, 32, 8))
    return [counts, torch.allclose(a @ b, c, atol=1e-5)]


def case_batch_of_products():
    a = torch.randn(3 + 1, 16, 16)
    return counts_of(lambda: products[(1,)](a, torch.zeros_like(a), 4, 16))


def case_atomic():
    y = torch.zeros(16)
    return [counts_of(lambda: add[(1,)](torch.zeros(1), y, 5, 16)), y.sum().item()]


def case_described():
    x, y = torch.randn(20, 8), torch.zeros(20, 8)
    counts = counts_of(lambda: described[(1,)](x, y, 20, 16, 8))
    return [counts, torch.equal(x[16:], y[16:])]


def case_tuple():
    x, y = torch.tensor([2.0]), torch.zeros(1)
    return [counts_of(lambda: first_of[(1,)]((x, x), y)), y.item()]


def case_every_launch_and_scalars():
    x, y = torch.randn(2), torch.zeros(1)
    return counts_of(lambda: [read_at[(3,)](x, y, 1) for _ in range(2)])


def case_nested():
    x, y = torch.randn(8), torch.zeros(8)
    with counted() as outer:
        copy[(1,)](x, y, 8, 8, True)
        with counted() as inner:
            copy[(1,)](x, y, 4, 8, True)
        copy[(1,)](x, y, 2, 8, True)
    copy[(1,)](x, y, 8, 8, True)
    return [outer.loaded, inner.loaded]


def case_restored():
    def watched():
        names = ("masked_load", "masked_store", "atomic_rmw", "atomic_cas", "dot")
        own = [getattr(interpreter_builder, f"create_{name}") for name in names]
        return [each.__qualname__ for each in (*own, GridExecutor.__call__, GridExecutor._init_args_hst)]

    before = watched()
    try:
        with counted():
            during = watched()
            unwritten[(1,)](torch.zeros(1))
    except NotImplementedError:
        pass
    return [watched() == before, any(a == b for a, b in zip(before, during))]


def case_mask_missing():
    with counted():
        copy[(4,)](torch.randn(100), torch.zeros(128), 100, 32, False)


def case_store_outside():
    y = torch.zeros(3)
    try:
        with counted():
            write_at[(1,)](torch.ones(1), y[:2], 2)
    finally:
        assert y.sum() == 0


def case_far():
    with counted():
        read_at[(1,)](torch.ones(1), torch.zeros(1), 1_000_000_000)


def case_before():
    with counted():
        read_at[(1,)](torch.ones(4)[1:], torch.zeros(1), -1)


def case_end_of_the_addresses():
    x = torch.ones(1)
    with counted():
        read_at[(1,)](x, torch.zeros(1), (2**64 - 4 - x.data_ptr()) // 4)


def case_past_a_slice():
    with counted():
        read_at[(1,)](torch.ones(8)[:5], torch.zeros(1), 5)


def case_half_outside():
    with counted():
        read_wide[(1,)](torch.ones(3, dtype=torch.float16), torch.zeros(1))


def case_between_rows():
    wide = torch.arange(32.0).view(4, 8)
    y = torch.zeros(1)
    return [counts_of(lambda: read_at[(1,)](wide[:, :3], y, 5)), y.item()]


def case_last_of_a_strided_view():
    wide = torch.arange(32.0).view(4, 8)
    y = torch.zeros(1)
    return [counts_of(lambda: read_at[(1,)](wide[:, 2:5], y, 26)), y.item()]


def case_a_tensor_inside_another():
    x = torch.arange(8.0)
    return [counts_of(lambda: read_at[(1,)](x, x[1:2], 5)), x[1].item()]


def case_past_a_strided_view():
    with counted():
        read_at[(1,)](torch.arange(32.0).view(4, 8)[:, 2:5], torch.zeros(1), 27)


def case_empty():
    with counted():
        read_at[(1,)](torch.zeros(0), torch.zeros(1), 0)


def case_an_earlier_launch_owns_nothing():
    x, y = torch.ones(4), torch.zeros(1)
    with counted():
        read_at[(1,)](x, y, 3)
        read_at[(1,)](y, y, (x.data_ptr() - y.data_ptr()) // 4)


def case_hidden_lanes():
    return counts_of(lambda: hidden_lanes[(1,)](torch.ones(1), torch.zeros(1), 4))


def case_named_arguments():
    with counted():
        copy[(1,)](x=torch.ones(8), y=torch.zeros(8), n=8, BLOCK=8, MASKED=False)
        copy[(1,)](x=torch.ones(7), y=torch.zeros(8), n=7, BLOCK=8, MASKED=False)


def case_not_written():
    with counted():
        calls_unwritten[(1,)](torch.zeros(1))


def case_bare():
    unwritten[(1,)](torch.zeros(1))


if __name__ == "__main__":
    found = {}
    for name, case in list(globals().items()):
        if name.startswith("case_"):
            try:
                found[name[5:]] = case()
            except Exception as error:
                found[name[5:]] = [type(error).__name__, str(error)]
    print(json.dumps(found))
"""
OUTSIDE = "lie outside every tensor of the launch: is a mask missing?"
LOAD, STORE = "`return tl.load(x + offset)`", "`tl.store(y + offset, tl.load(x))`"
COPY = "`tl.store(y + at, tl.load(x + at))`"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every case gave; a warning, as NumPy may have for the interpreter, is an error."""
    script = Path(tmp_path_factory.mktemp("script"), "cases.py")
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("interpreting", True),
        ("masked", [[400, 400, 0], True]),  # of 128 lanes 28 are masked
        ("bytes", [[16 * size, 16 * size] for size in (2, 4, 8, 1, 8, 1)]),
        ("product", [[4 * (16 * 32 + 32 * 8), 4 * 16 * 8, 2 * 16 * 8 * 32], True]),
        ("batch_of_products", [4 * 4 * 256, 4 * 4 * 256, 4 * 2 * 16**3]),
        ("atomic", [[4 * 5 + 4, 4 * 5 + 4, 0], 5.0]),
        ("described", [[4 * 4 * 8, 4 * 4 * 8, 0], True]),  # of 16 rows 4 are there
        ("tuple", [[8, 4, 0], 4.0]),
        ("every_launch_and_scalars", [24, 24, 0]),
        ("nested", [4 * (8 + 4 + 2), 4 * 4]),
        ("hidden_lanes", [4, 4, 0]),
    ],
)
def test_counts(found: dict[str, Any], case: str, expected: Any) -> None:
    assert found[case] == expected


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("mask_missing", f"load in program (3, 0, 0), {COPY}: 28 of 32 addresses {OUTSIDE}"),
        ("named_arguments", f"load in program (0, 0, 0), {COPY}: 1 of 8 addresses {OUTSIDE}"),
        ("store_outside", f"store in program (0, 0, 0), {STORE}: 1 of 1 addresses {OUTSIDE}"),
        *(
            (case, f"load in program (0, 0, 0), {LOAD}: 1 of 1 addresses {OUTSIDE}")
            for case in ("far", "before", "end_of_the_addresses", "past_a_slice", "past_a_strided_view", "empty")
        ),
        ("an_earlier_launch_owns_nothing", f"load in program (0, 0, 0), {LOAD}: 1 of 1 addresses {OUTSIDE}"),
        (
            "half_outside",
            "load in program (0, 0, 0), `tl.store(y, tl.load(x.to(tl.pointer_type(tl.float32)) + 1))`: "
            f"1 of 1 addresses {OUTSIDE}",
        ),
    ],
)
def test_an_address_outside_every_tensor_is_refused(found: dict[str, Any], case: str, expected: str) -> None:
    assert found[case] == ["OutOfBoundsError", expected]


@pytest.mark.parametrize(
    ("case", "value"), [("between_rows", 5.0), ("last_of_a_strided_view", 28.0), ("a_tensor_inside_another", 5.0)]
)
def test_a_view_owns_what_lies_from_its_first_to_its_last_element(found: dict[str, Any], case, value) -> None:
    assert found[case] == [[4, 4, 0], value]


def test_what_a_kernel_raises_comes_as_it_is(found: dict[str, Any]) -> None:
    assert found["not_written"] == ["NotImplementedError", ""]
    assert found["bare"] == ["InterpreterError", "NotImplementedError()"]  # so says Triton by itself


def test_the_interpreter_is_as_before_in_the_end(found: dict[str, Any]) -> None:
    as_before, one_not_watched = found["restored"]
    assert as_before
    assert not one_not_watched


def test_without_the_interpreter_nothing_is_counted() -> None:
    code = "from course_utils import interpreted as i\nassert not i.interpreting()\nwith i.counted():\n    pass"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "RuntimeError: counted: kernels are not interpreted: set TRITON_INTERPRET=1 before triton is imported"
    )
