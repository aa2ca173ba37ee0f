"""Values cross as they were, and a tree that no encoder writes is refused."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import claims
from course_utils.grading.decoding import Decoder
from course_utils.grading.frames import WireError
from course_utils.grading.handles import Handles, Remote
from course_utils.grading.records import Verdict
from course_utils.grading.values import ARRAY_DTYPES, DTYPES, Encoder


def cross(value):
    """Encode, go through JSON, decode."""
    encoder = Encoder(Handles())
    tree = json.loads(json.dumps(encoder.encode(value), allow_nan=False))
    return Decoder(encoder.blobs, Handles(), remote).decode(tree)


def remote(number: int) -> Remote:
    return Remote(number, lambda *_: None)


def decode(tree, *blobs: bytes):
    return Decoder(blobs, Handles(), remote).decode(tree)


integers = st.integers(-(2**63), 2**64 - 1)
keys = st.one_of(integers, st.text(), st.binary(), st.booleans(), st.none(), st.tuples(integers, st.text()))
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


def test_aliases_stay_aliases_and_a_list_that_holds_itself_does_not_cross() -> None:
    x, shared = torch.zeros(2), [1]
    a, b, c, d = cross([x, x, shared, {"k": shared}])
    assert a is b
    assert c is d["k"]
    loop: list = [1]
    loop.append([loop])
    with pytest.raises(ValueError, match="holds itself"):
        cross(loop)
    with pytest.raises(WireError, match="holds itself"):
        decode(["l", 1, ["l", ["r", 0]]])


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


def test_strings_ranges_slices_and_text_arrays_cross() -> None:
    assert cross("\ud800 a lone surrogate") == "\ud800 a lone surrogate"
    assert cross([range(3, 11, 2), slice(None, -1, 2), ...]) == [range(3, 11, 2), slice(None, -1, 2), ...]
    assert cross(torch.zeros(3, 5).shape) == (3, 5)
    words = np.array([["queries", "", "keys"], ["é", "values", "\U0001f642"]])
    for array in (words, words[::2, ::-1], words[:0], np.array("alone"), np.array([""])):
        assert cross(array).dtype == array.dtype
        assert cross(array).tolist() == array.tolist()
        assert cross(array).shape == array.shape
    assert type(cross(words[0, 0])) is str


def test_a_dataclass_of_the_packages_crosses_with_its_fields_and_runs_nothing(monkeypatch) -> None:
    @dataclass(frozen=True)
    class Width:
        heads: int
        table: list
        total: int = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "total", 7 * self.heads)

    class Mine(Width):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None

    Width.__module__, Width.__qualname__ = "course_utils.claims", "Width"
    monkeypatch.setattr(claims, "Width", Width, raising=False)
    arrived = cross([Width(3, [torch.ones(2)]), Mine(5, [])])
    assert [type(value) for value in arrived] == [Width, Width]
    assert (arrived[0].heads, arrived[0].total, arrived[0].table[0].tolist()) == (3, 21, [1, 1])
    assert arrived[1] == Width(5, [])
    assert decode(["D", "course_utils.claims:Width", "x", 1, None]).total is None


def test_a_dataclass_of_anybody_elses_is_a_handle() -> None:
    @dataclass
    class Own:
        width: int

    assert isinstance(cross(Own(1)), Remote)
    assert isinstance(cross(Verdict("mean-hidden", True)), Remote)


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
    with pytest.raises(ValueError, match="more than 10000 objects"):
        handles.give(object())


def test_what_is_too_large_is_refused_where_it_is_sent() -> None:
    def shared(levels: int) -> list:
        value: list = [0] * 10
        for _ in range(levels):
            value = [value] * 10
        return value

    assert cross(shared(4)) == shared(4)
    for value, said in (
        (shared(6), "too large"),
        (2**64, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (set(range(10_001)), "10000 entries"),
        (dict.fromkeys(range(10_001)), "10000 entries"),
        (range(10**9), "too large"),
        ([torch.zeros(1 << 20)] * 70, "too large"),
    ):
        with pytest.raises(ValueError, match=said):
            cross(value)


def tower(bottom, step, levels: int) -> list:
    """A list in which each level is an object that the next one names ten times."""
    tree: list = ["l", bottom]
    for level in range(levels):
        tree.append(["l", *[step(level + 1)] * 10])
    return tree


@pytest.mark.parametrize(
    ("tree", "blobs", "said"),
    [
        (tower(["l", *[0] * 9], lambda n: ["r", n], 8), [], "too large"),
        (["l", ["T", "float32", [1 << 20], 0, 0], *[["r", 1]] * 70], [bytes(4 << 20)], "too large"),
        (["l", ["N", "float32", [1 << 20], 0], *[["r", 1]] * 70], [bytes(4 << 20)], "too large"),
        (["l", ["l", "x" * 1_000_000], *[["r", 1]] * 500], [], "too large"),
        (["R", 0, 2**60, 1], [], "too large"),
        (["R", 0, 2**64, 2**70], [], "64 bits"),
        (["R", 0, 5, 0], [], "hold together"),
        (2**64, [], "64 bits"),
        (-(2**63) - 1, [], "64 bits"),
        (["s", *range(10_001)], [], "10000 entries"),
        (["d", *([n, 0] for n in range(10_001))], [], "10000 entries"),
        (["s", *(["c", float(-1000003 * n), float(n)] for n in range(40))], [], "collide"),
        (["d", *([["c", float(-1000003 * n), float(n)], n] for n in range(40))], [], "collide"),
        (["s", *(["t", ["c", float(-1000003 * n), float(n)], 5] for n in range(40))], [], "collide"),
        (["U", 10**9, [2], "a", "b"], [], "too large"),
        (["U", 1, [2], "a", "bc"], [], "too long"),
        (["U", 2, [3], "a", "bc"], [], "bytes for a shape"),
        (["U", 2, [2], "a", 5], [], "none"),
        (["U", "2", [0]], [], "none"),
        (["U", 2], [], "hold together"),
        (["T", "float32", [0, 2**31 - 1], 0, 0], [b""], "too large"),
        (["N", "int8", [0, 2**20, 2**20], 0], [b""], "too large"),
        (["v", 0], [], "hold together"),
        (["S", 1], [], "hold together"),
        (["D", "course_utils.claims:Claim"], [], "does not cross"),
        (["D", "course_utils.claims:Any", 1], [], "does not cross"),
        (["D", "course_utils.claims:asdict", 1], [], "does not cross"),
        (["D", "course_utils.grading.records:Verdict", "mean-hidden", True, ""], [], "does not cross"),
        (["D", "dataclasses:Field", 1], [], "does not cross"),
        (["D", "course_utils.no_such_module:Claim", 1], [], "does not cross"),
        (["D", "course_utils.claims:Claim.evil", 1], [], "does not cross"),
        (["D", 5], [], "does not cross"),
        (["D"], [], "hold together"),
        (["o", 0, 5], [], "never given"),
    ],
    ids=lambda value: str(value)[:25],
)
def test_a_small_message_cannot_ask_for_much(tree, blobs, said: str) -> None:
    with pytest.raises(WireError, match=said):
        decode(tree, *blobs)


def test_what_a_reply_repeats_of_its_request_is_weighed_too() -> None:
    request = Encoder(Handles())
    request.encode([[0] * 1000])
    for tree in (["l", *[["a", 1]] * 2000], ["l", ["l", *[["a", 1]] * 50], *[["r", 1]] * 50]):
        with pytest.raises(WireError, match="too large"):
            Decoder([], Handles(), remote, request=request).decode(tree)
    outputs = [torch.zeros(1 << 20)]
    with pytest.raises(WireError, match="too large"):
        Decoder([], Handles(), remote, outputs=outputs).decode(["l", *[["g", 0]] * 70])


def test_names_of_an_object_of_the_other_side_are_asked_for_only_where_they_pass_for_nothing() -> None:
    asked = []
    stand_in = Remote(3, lambda *args, **kwargs: asked.append((*args, kwargs)))
    assert stand_in.step is None
    assert asked == [(3, ("step",), {}, {"do": "attribute"})]
    for name in ("_private", "__array__", "equal", "allclose", "shape", "sum", "T", "tolist"):
        with pytest.raises(AttributeError):
            getattr(stand_in, name)
    with pytest.raises(AttributeError, match="cannot be set"):
        stand_in.step = 1
    assert len(asked) == 1


def test_a_method_is_one_handle_however_often_it_is_looked_up() -> None:
    handles, counter = Handles(), Counter()
    assert len({handles.give(counter.update) for _ in range(3)}) == 1
    assert handles.give(counter.update) != handles.give(Counter().update)


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
