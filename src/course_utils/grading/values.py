"""Values on the wire: plain data as JSON and raw bytes; everything else as a handle that can only be called.

An encoded value is JSON: null, booleans, integers, finite floats and strings stand for themselves; all else is a list
whose first entry is a tag.

===================  ==============================================================================
``[f, "inf"]``       a float that JSON has no word for; ``[c, re, im]`` a complex number
``[b, n]``           bytes, in blob n
``[l, …] [d, …]``    list, dict (pairs of key and value): objects, as tensors and arrays are
``[t, …] [s, …]``    tuple, set
``[T, dtype, shape, n, tracking]``  tensor in blob n; tracking 0, 1 (a leaf that needs its gradient) or 2
``[N, dtype, shape, n]``            NumPy array or, with shape null, scalar
``[y, "float32"] [v, "cpu"]``       torch dtype, device
``[r, i]``           the i-th object of this very message again, so that aliases stay aliases
``[a, i]``           in a reply: the i-th object of the request itself
``[g, i]``           in a reply: the i-th output that has a gradient
``[h, i] [o, i]``    a handle: an object of the sender's; of the receiver's
===================  ==============================================================================

Subclasses arrive as their base: what a class of the student's does with ``==`` stays on its own side.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils.grading.frames import WireError

DEEPEST = 100  # containers in containers
MOST_DIMENSIONS, LONGEST = 32, 2**31 - 1
DTYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    )
}
ARRAY_DTYPES = {name for name in DTYPES if name != "bfloat16"} | {"uint16", "uint32", "uint64"}


class Handles:
    """The objects that this side has given away, by number. What was never given cannot be asked for."""

    MOST = 10_000

    def __init__(self) -> None:
        self.given: list[object] = []
        self.numbers: dict[int, int] = {}

    def give(self, thing: object) -> int:
        """The number under which the other side knows a thing."""
        if id(thing) not in self.numbers:
            if len(self.given) >= self.MOST:
                raise WireError(f"more than {self.MOST} handles")
            self.numbers[id(thing)] = len(self.given)
            self.given.append(thing)  # kept alive, so that its id stays its own
        return self.numbers[id(thing)]

    def take(self, number: object) -> Any:
        """The thing of a number.

        Raises:
            WireError: no such handle was given.
        """
        if type(number) is not int or not 0 <= number < len(self.given):
            raise WireError("a handle that was never given")
        return self.given[number]


class Remote:
    """A stand-in for a thing of the other side's. It can be called and passed back, and that is all."""

    def __init__(self, number: int, call: Callable[[int, tuple, dict], Any]) -> None:
        self._number, self._call = number, call

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call the thing over there."""
        return self._call(self._number, args, kwargs)

    def __eq__(self, other: object) -> bool:
        """A verdict must not hang on what the other side says of equality."""
        raise TypeError("this is not a number or a tensor but an object of the other side: it cannot be compared")

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError(
            "this is not a number or a tensor but an object of the other side: it is neither true nor false"
        )


class Encoder:
    """Turns the values of one message into JSON and blobs.

    Attributes:
        blobs: the raw bytes.
        objects: lists, dicts, tensors and arrays in the order of their numbers.
        tracked: tensors of a request whose gradient may be asked for.
        outputs: tensors of a reply that have a gradient.
    """

    def __init__(self, handles: Handles, request: Sequence[object] | None = None) -> None:
        self.handles, self.reply = handles, request is not None
        self.known = {id(thing): number for number, thing in enumerate(request or ())}
        self.places: dict[int, int] = {}
        self.blobs: list[bytes] = []
        self.objects: list[Any] = []
        self.tracked: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def encode(self, value: Any, *, again: bool = True) -> Any:
        """The value as JSON. With ``again=False`` its content is sent even if the other side knows the object."""
        if value is None or isinstance(value, bool):
            return value
        if again and id(value) in self.known:
            return ["a", self.known[id(value)]]
        if id(value) in self.places:
            return ["r", self.places[id(value)]]
        for kind, encode in _ENCODERS:
            if isinstance(value, kind):
                return encode(self, value)
        return self.handle(value)

    def handle(self, value: object) -> list:
        """A thing that is no plain value: the receiver's own, or one of ours by its number."""
        return ["o", value._number] if isinstance(value, Remote) else ["h", self.handles.give(value)]

    def number(self, value: object) -> None:
        """Remember an object, so that it is sent once; its number is its place in ``objects``."""
        self.places[id(value)] = len(self.objects)
        self.objects.append(value)

    def blob(self, content: bytes) -> int:
        """Add a blob."""
        self.blobs.append(content)
        return len(self.blobs) - 1

    def all(self, values: Iterable[Any]) -> list:
        """Encode one by one."""
        return [self.encode(value) for value in values]

    def tensor(self, value: Tensor) -> list:
        """A dense tensor; one that has a gradient to give is an output of its own in a reply."""
        name = str(value.dtype).removeprefix("torch.")
        if value.layout is not torch.strided or name not in DTYPES or value.is_meta:
            return self.handle(value)
        if self.reply and value.requires_grad:
            place = next((i for i, output in enumerate(self.outputs) if output is value), len(self.outputs))
            self.outputs[place:] = [value]
            return ["g", place]
        self.number(value)
        tracking = 0 if not value.requires_grad else 1 if value.is_leaf else 2
        self.tracked += [value] if tracking else []
        return ["T", name, list(value.shape), self.blob(tensor_bytes(value)), tracking]

    def array(self, value: np.ndarray | np.generic) -> list:
        """An array of numbers, or one number with its NumPy type."""
        if value.dtype.name not in ARRAY_DTYPES:
            return self.handle(value)
        if isinstance(value, np.ndarray):
            self.number(value)
        shape = list(value.shape) if isinstance(value, np.ndarray) else None
        return ["N", value.dtype.name, shape, self.blob(value.tobytes())]

    def sequence(self, value: list) -> list:
        """A list, numbered before its content, which may hold it again."""
        self.number(value)
        return ["l", *self.all(value)]

    def mapping(self, value: dict) -> list:
        """A dict as pairs, in its order."""
        self.number(value)
        return ["d", *([self.encode(key), self.encode(item)] for key, item in value.items())]


def tensor_bytes(value: Tensor) -> bytes:
    """A tensor's numbers as bytes, row after row."""
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _float(_: Encoder, value: float) -> Any:
    number = float.__float__(value)
    return number if math.isfinite(number) else ["f", repr(number)]


# In this order: NumPy's float64 is a float too.
_ENCODERS: list[tuple[Any, Callable[[Encoder, Any], Any]]] = [
    (Tensor, Encoder.tensor),
    ((np.ndarray, np.generic), Encoder.array),
    (int, lambda _, value: int.__int__(value)),
    (float, _float),
    (complex, lambda encoder, value: ["c", _float(encoder, value.real), _float(encoder, value.imag)]),
    (str, lambda _, value: str.__str__(value)),
    ((bytes, bytearray), lambda encoder, value: ["b", encoder.blob(bytes(value))]),
    (list, Encoder.sequence),
    (dict, Encoder.mapping),
    (tuple, lambda encoder, value: ["t", *encoder.all(value)]),
    ((set, frozenset), lambda encoder, value: ["s", *encoder.all(value)]),
    (torch.dtype, lambda _, value: ["y", str(value).removeprefix("torch.")]),
    (torch.device, lambda _, value: ["v", str(value)]),
]


class Decoder:
    """Turns the JSON and blobs of one message back into values, and believes none of it.

    Attributes:
        objects: lists, dicts, tensors and arrays in the order of their numbers.
        tracked: the leaves among which gradients are sought.
    """

    def __init__(
        self,
        blobs: Sequence[bytes],
        handles: Handles,
        remote: Callable[[int], object],
        *,
        request: Sequence[object] = (),
        outputs: Sequence[Tensor] = (),
    ) -> None:
        self.blobs, self.handles, self.remote = blobs, handles, remote
        self.request, self.outputs = request, outputs
        self.used: set[int] = set()
        self.objects: list[Any] = []
        self.tracked: list[Tensor] = []

    def decode(self, tree: Any, depth: int = 0) -> Any:
        """The value of an encoded tree.

        Raises:
            WireError: the tree is not one that an encoder writes.
        """
        if tree is None or isinstance(tree, bool | int | float | str):
            return tree
        if depth > DEEPEST or not isinstance(tree, list) or not tree or not isinstance(tree[0], str):
            raise WireError("a value that is too deep, or no value")
        decode = _DECODERS.get(tree[0])
        if decode is None:
            raise WireError("a value of an unknown kind")
        try:
            return decode(self, depth + 1, *tree[1:])
        except (TypeError, ValueError, RuntimeError, OverflowError, KeyError) as error:
            raise WireError(f"a value that does not hold together: {type(error).__name__}") from error

    def all(self, depth: int, items: Iterable[Any]) -> list:
        """Decode one by one."""
        return [self.decode(item, depth) for item in items]

    def blob(self, number: Any) -> bytes:
        """A blob by its number; each is used once, or a small message could ask for any amount of memory."""
        content = _at(self.blobs, number)
        if number in self.used:
            raise WireError("a blob that was used already")
        self.used.add(number)
        return content

    def tensor(self, _: int, dtype: str, shape: list, blob: int, tracking: int) -> Tensor:
        """A tensor whose bytes are exactly as many as its shape says."""
        kind, content = DTYPES[dtype], self.blob(blob)
        _check_size(shape, kind.itemsize, len(content))
        value = (
            torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
        )
        value = (value != 0 if kind is torch.bool else value.view(kind)).reshape(shape)
        if tracking:
            self.tracked.append(value.requires_grad_())
        # What is no leaf over there must be none here: only then may it be changed in place.
        self.objects.append(value.clone() if tracking == 2 else value)
        return self.objects[-1]

    def array(self, _: int, dtype: str, shape: list | None, blob: int) -> np.ndarray | np.generic:
        """An array, or with no shape a scalar."""
        if dtype not in ARRAY_DTYPES:
            raise WireError("an array of an unknown type")
        content, itemsize = self.blob(blob), np.dtype(dtype).itemsize
        _check_size([] if shape is None else shape, itemsize, len(content))
        value = np.frombuffer(bytearray(content), dtype="uint8" if dtype == "bool" else dtype)
        value = (value != 0 if dtype == "bool" else value).reshape(shape or [])
        if shape is None:
            return value[()]
        self.objects.append(value)
        return value

    def sequence(self, depth: int, *items: Any) -> list:
        """A list, numbered before its content."""
        value: list = []
        self.objects.append(value)
        value += self.all(depth, items)
        return value

    def mapping(self, depth: int, *pairs: Any) -> dict:
        """A dict from pairs."""
        value: dict = {}
        self.objects.append(value)
        for key, item in pairs:
            value[self.decode(key, depth)] = self.decode(item, depth)
        return value


def _at(things: Sequence[Any], number: Any) -> Any:
    if type(number) is not int or not 0 <= number < len(things):
        raise WireError("a number that stands for nothing")
    return things[number]


def _check_size(shape: Any, itemsize: int, size: int) -> None:
    """Refuse a shape that is none, or that disagrees with the bytes that came."""
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS:
        raise WireError("a shape that is none")
    if not all(type(length) is int and 0 <= length <= LONGEST for length in shape):
        raise WireError("a shape that is none")
    if math.prod(shape) * itemsize != size:
        raise WireError(f"{size} bytes for a shape of {math.prod(shape)} numbers of {itemsize} bytes")


def _number(_: Decoder, __: int, word: str) -> float:
    return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[word]


def _complex(decoder: Decoder, depth: int, real: Any, imaginary: Any) -> complex:
    parts = decoder.all(depth, [real, imaginary])
    if not all(isinstance(part, numbers.Real) for part in parts):
        raise WireError("a complex number that is none")
    return complex(*parts)


_DECODERS: dict[str, Callable[..., Any]] = {
    "f": _number,
    "c": _complex,
    "b": lambda decoder, _, blob: decoder.blob(blob),
    "T": Decoder.tensor,
    "N": Decoder.array,
    "l": Decoder.sequence,
    "d": Decoder.mapping,
    "t": lambda decoder, depth, *items: tuple(decoder.all(depth, items)),
    "s": lambda decoder, depth, *items: set(decoder.all(depth, items)),
    "y": lambda _, __, name: DTYPES[name],
    "v": lambda _, __, name: torch.device(name),
    "r": lambda decoder, _, number: _at(decoder.objects, number),
    "a": lambda decoder, _, number: _at(decoder.request, number),
    "g": lambda decoder, _, number: _at(decoder.outputs, number),
    "h": lambda decoder, _, number: decoder.remote(number),
    "o": lambda decoder, _, number: decoder.handles.take(number),
}
