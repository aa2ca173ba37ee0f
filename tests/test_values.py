"""Values cross as they were, and a tree that no encoder writes is refused."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.grading.frames import WireError
from course_utils.grading.values import ARRAY_DTYPES, DTYPES, Decoder, Encoder, Handles, Remote


def cross(value):
    """Encode, go through JSON, decode."""
    encoder = Encoder(Handles())
    tree = json.loads(json.dumps(encoder.encode(value), allow_nan=False))
    return Decoder(encoder.blobs, Handles(), remote).decode(tree)


def remote(number: int) -> Remote:
    return Remote(number, lambda *_: None)


def decode(tree, *blobs: bytes):
    return Decoder(blobs, Handles(), remote).decode(tree)


keys = st.one_of(st.integers(), st.text(), st.binary(), st.booleans(), st.none(), st.tuples(st.integers(), st.text()))
plain = st.recursive(
    st.one_of(keys, st.floats(), st.complex_numbers()),
    lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.dictionaries(keys, inner)),
    max_leaves=20,
)


@given(plain)
def test_plain_values_arrive_as_they_were(value) -> None:
    assert repr(cross(value)) == repr(value)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 7)])
def test_tensors_arrive_bit_for_bit(name: str, shape: tuple[int, ...]) -> None:
    value = (100 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).to(DTYPES[name])
    arrived = cross(value)
    assert arrived.dtype == value.dtype
    assert arrived.shape == value.shape
    assert torch.equal(arrived, value)


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf, -0.0])
def test_special_numbers_survive(special: float) -> None:
    for value in (special, torch.tensor(special).item(), cross(torch.tensor([special]))[0].item()):
        assert math.copysign(1, cross(value)) == math.copysign(1, special) or math.isnan(special)
        assert math.isnan(cross(value)) == math.isnan(special)


def test_strides_do_not_cross_and_numbers_do() -> None:
    value = torch.arange(30).reshape(5, 6).T[::2, 1:4]
    assert not value.is_contiguous()
    assert torch.equal(cross(value), value)
    assert torch.equal(cross(torch.zeros(1).expand(7, 3)), torch.zeros(7, 3))


@pytest.mark.parametrize("name", sorted(ARRAY_DTYPES))
def test_arrays_and_numpy_scalars_keep_their_type(name: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(name)[:, ::-1]
    assert cross(array).dtype == array.dtype
    assert np.array_equal(cross(array), array)
    assert type(cross(array[0, 0])) is type(array[0, 0])
    assert cross(array[0, 0]) == array[0, 0]


def test_types_devices_and_sets_cross() -> None:
    assert cross({1, "a", (2, None)}) == {1, "a", (2, None)}
    assert cross([torch.bfloat16, torch.device("cpu")]) == [torch.bfloat16, torch.device("cpu")]


def test_aliases_stay_aliases_and_a_list_may_hold_itself() -> None:
    x, shared = torch.zeros(2), [1]
    a, b, c, d = cross([x, x, shared, {"k": shared}])
    assert a is b
    assert c is d["k"]
    loop: list = [1]
    loop.append(loop)
    arrived = cross(loop)
    assert arrived[1] is arrived


def test_subclasses_arrive_as_their_base() -> None:
    class Sly(float):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = float.__hash__

    class SlyTensor(torch.Tensor):
        pass

    assert type(cross(Sly(2.0))) is float
    assert type(cross(torch.nn.Parameter(torch.zeros(2)))) is torch.Tensor
    assert type(cross(torch.zeros(2).as_subclass(SlyTensor))) is torch.Tensor
    assert type(cross(torch.max(torch.zeros(2, 3), dim=1))) is tuple


def test_everything_else_is_a_handle_that_cannot_be_compared() -> None:
    stand_in = cross(object())
    assert isinstance(stand_in, Remote)
    for use in (lambda: stand_in == 1, lambda: stand_in != 1, lambda: stand_in < 1, lambda: bool(stand_in)):
        with pytest.raises(TypeError, match="object of the other side"):
            use()
    assert isinstance(cross(np.array([object()])), Remote)
    assert isinstance(cross(torch.zeros(2).to_sparse()), Remote)


def test_handles_are_numbered_once_and_what_was_not_given_cannot_be_taken() -> None:
    handles, thing = Handles(), object()
    assert handles.give(thing) == handles.give(thing) == 0
    assert handles.take(0) is thing
    for number in (1, -1, True, "0", None, 0.0):
        with pytest.raises(WireError, match="never given"):
            handles.take(number)


def test_handles_come_to_an_end() -> None:
    handles = Handles()
    kept = [object() for _ in range(Handles.MOST)]
    for thing in kept:
        handles.give(thing)
    with pytest.raises(WireError, match="more than 10000 handles"):
        handles.give(object())


deep: list = ["l"]
for _ in range(150):
    deep = ["l", deep]


@pytest.mark.parametrize(
    "tree",
    [
        {"t": 1},
        [],
        [1, 2],
        [["l"]],
        ["eval", "1"],
        deep,
        ["b", 0],
        ["b", -1],
        ["b", True],
        ["b", "0"],
        ["b"],
        ["f", "1e999"],
        ["f", 1],
        ["c", 1],
        ["c", "x", 1],
        ["c", ["l"], 1],
        ["d", ["a"]],
        ["d", [["l"], 1]],
        ["s", ["l"]],
        ["r", 0],
        ["l", ["r", 7]],
        ["a", 0],
        ["g", 0],
        ["o", 0],
        ["h"],
        ["y", "object"],
        ["y", ["l"]],
        ["v", "toaster"],
        ["N", "object", [1], 0],
        ["N", "O", [1], 0],
        ["N", "U5", [1], 0],
    ],
    ids=lambda tree: str(tree)[:30],
)
def test_a_tree_that_no_encoder_writes_is_refused(tree) -> None:
    with pytest.raises(WireError):
        decode(tree)


def test_a_blob_is_used_once() -> None:
    with pytest.raises(WireError, match="used already"):
        decode(["t", ["b", 1], ["b", 1]], b"", b"x")


@pytest.mark.parametrize("tag", ["T", "N"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ([2, 3], 20),
        ([2, 3], 28),
        ([], 0),
        ([-1, -6], 24),
        ([-6], 24),
        ([2.0, 3], 24),
        ([True, 6], 24),
        (["6"], 24),
        ("6", 24),
        (6, 24),
        ([2**62, 2**62, 0], 0),
        ([0, 2**31], 0),
        ([1] * 33, 4),
        ([6, [1]], 24),
    ],
)
def test_a_shape_that_disagrees_with_its_bytes_is_refused(tag: str, shape, size: int) -> None:
    with pytest.raises(WireError):
        decode([tag, "float32", shape, 0, 0][: 5 if tag == "T" else 4], b"\0" * size)


def test_bytes_that_are_no_truth_values_become_some() -> None:
    assert decode(["T", "bool", [3], 0, 0], b"\x00\x02\xff").tolist() == [False, True, True]
    assert decode(["N", "bool", [3], 0], b"\x00\x02\xff").tolist() == [False, True, True]
