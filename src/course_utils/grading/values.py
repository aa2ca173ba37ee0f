"""Values onto the wire: plain data as JSON and raw bytes; everything else as a handle (:mod:`~.handles`).

An encoded value is JSON: null, booleans, integers of 64 bits, finite floats and strings stand for themselves; all else
is a list whose first entry is a tag.

===================  ==============================================================================
``[f, "inf"]``       a float that JSON has no word for; ``[c, re, im]`` a complex number
``[b, n]``           bytes, in blob n
``[l, …] [d, …]``    list, dict (pairs of key and value): objects, as tensors and arrays are
``[t, …] [s, …] [z, …]``            tuple, set, frozenset
``[T, dtype, shape, n, tracking]``  tensor in blob n; tracking 0, 1 (a leaf that needs its gradient) or 2
``[N, dtype, shape, n]``            NumPy array or, with shape null, scalar
``[U, width, shape, text, …]``      NumPy array of strings
``[y, "float32"] [v, "cpu"]``       torch dtype, device
``[R, a, b, c] [S, a, b, c] [E]``   range, slice, Ellipsis
``[D, "module:Class", …]``          a dataclass of this package's, with its fields
``[r, i]``           the i-th object of this very message again, so that aliases stay aliases
``[a, i]``           in a reply: the i-th object of the request itself
``[g, i]``           in a reply: the i-th output that has a gradient
``[h, i] [o, i, p]``  a handle: an object of the sender's; of the receiver's, or its part p
===================  ==============================================================================

Subclasses arrive as their base: what a class of the student's does with ``==`` stays on its own side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from types import EllipsisType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils.grading.bounds import LARGEST, MOST_ENTRIES, NODE_BYTES, SMALLEST, Message
from course_utils.grading.handles import Handles
from course_utils.grading.kinds import dataclass_name, dataclass_of

DTYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    )
}
ARRAY_DTYPES = {name for name in DTYPES if name != "bfloat16"} | {"uint16", "uint32", "uint64"}


class Encoder(Message):
    """Turns the values of one message into JSON and blobs.

    Args:
        handles: where to number what is no plain value.
        request: in a reply, the request that it answers.

    Attributes:
        blobs: the raw bytes.
        tracked: tensors of a request whose gradient may be asked for.
        outputs: tensors of a reply that have a gradient.
    """

    error = ValueError  # the fault of a value, not of the other side

    def __init__(self, handles: Handles, request: Message | None = None) -> None:
        super().__init__()
        self.handles, self.request = handles, request
        self.known = {id(thing): number for number, thing in enumerate(request.objects if request else ())}
        self.places: dict[int, int] = {}
        self.blobs: list[bytes] = []
        self.tracked: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def encode(self, value: Any, *, again: bool = True) -> Any:
        """The value as JSON. With ``again=False`` its content is sent even if the other side knows the object.

        Raises:
            ValueError: the value is too large or too deep, or holds itself.
        """
        self.weigh(1)
        if value is None or isinstance(value, bool):
            return value
        if again and self.request and id(value) in self.known:
            self.alias(self.known[id(value)], self.request)
            return ["a", self.known[id(value)]]
        if id(value) in self.places:
            self.alias(self.places[id(value)], self)
            return ["r", self.places[id(value)]]
        with self.inside():
            for kind, encode in _ENCODERS:
                if isinstance(value, kind):
                    return encode(self, value)
            named = dataclass_of(value)
            if named is None:
                return self.handle(value)
            content = [getattr(value, field.name) for field in fields(named)]
            return ["D", dataclass_name(named), *self.all(content)]

    def handle(self, value: object) -> list:
        """A thing that is no plain value: the receiver's own, or one of ours by its number."""
        own = getattr(type(value), "_stands_for", None)
        return ["o", *own(value)] if own else ["h", self.handles.give(value)]

    @contextmanager
    def numbered(self, thing: Any, size: int = 0) -> Iterator[None]:
        """Number an object, so that it is sent once."""
        self.places[id(thing)] = len(self.objects)
        with super().numbered(thing, size):
            yield

    def blob(self, content: bytes) -> int:
        """Add a blob."""
        self.blobs.append(content)
        return len(self.blobs) - 1

    def all(self, values: Iterable[Any]) -> list:
        """Encode one by one."""
        return [self.encode(value) for value in values]

    def integer(self, value: int) -> int:
        """An integer of 64 bits, with a sign or without."""
        number = int.__int__(value)
        if not SMALLEST <= number <= LARGEST:
            raise ValueError("an integer of more than 64 bits cannot be sent")
        return number

    def text(self, value: str) -> str:
        """A string."""
        self.weigh(len(value) // NODE_BYTES)
        return str.__str__(value)

    def raw(self, value: bytes | bytearray) -> list:
        """Bytes."""
        self.weigh(len(value) // NODE_BYTES)
        return ["b", self.blob(bytes(value))]

    def tensor(self, value: Tensor) -> list:
        """A dense tensor; one that has a gradient to give is an output of its own in a reply."""
        name = str(value.dtype).removeprefix("torch.")
        if value.layout is not torch.strided or name not in DTYPES or value.is_meta:
            return self.handle(value)
        if self.request is not None and value.requires_grad:
            place = next((i for i, output in enumerate(self.outputs) if output is value), len(self.outputs))
            self.outputs[place:] = [value]
            return ["g", place]
        with self.numbered(value, value.numel() * value.element_size()):
            tracking = 0 if not value.requires_grad else 1 if value.is_leaf else 2
            self.tracked += [value] if tracking else []
            return ["T", name, list(value.shape), self.blob(tensor_bytes(value)), tracking]

    def array(self, value: np.ndarray | np.generic) -> Any:
        """An array of numbers or strings, or one number with its NumPy type."""
        if isinstance(value, str):
            return self.text(value)
        if value.dtype.kind != "U" and value.dtype.name not in ARRAY_DTYPES:
            return self.handle(value)
        if not isinstance(value, np.ndarray):
            return ["N", value.dtype.name, None, self.blob(value.tobytes())]
        with self.numbered(value, value.nbytes):
            if value.dtype.kind != "U":
                return ["N", value.dtype.name, list(value.shape), self.blob(value.tobytes())]
            self.weigh(value.size)
            return ["U", value.dtype.itemsize // 4, list(value.shape), *value.ravel().tolist()]

    def sequence(self, value: list) -> list:
        """A list."""
        with self.numbered(value):
            return ["l", *self.all(value)]

    def mapping(self, value: dict) -> list:
        """A dict as pairs, in its order."""
        self.entries(value)
        with self.numbered(value):
            return ["d", *([self.encode(key), self.encode(item)] for key, item in value.items())]

    def members(self, value: set | frozenset) -> list:
        """What is in a set."""
        self.entries(value)
        return self.all(value)

    def entries(self, value: dict | set | frozenset) -> None:
        """Refuse more entries than the other side takes."""
        if len(value) > MOST_ENTRIES:
            raise ValueError(f"a dict or set of more than {MOST_ENTRIES} entries cannot be sent")


def tensor_bytes(value: Tensor) -> bytes:
    """A tensor's numbers as bytes, row after row."""
    plain = value.detach()
    if plain.dtype is torch.bfloat16:  # NumPy has none
        plain = plain.view(torch.int16)
    return plain.numpy(force=True).tobytes()


def _float(_: Encoder, value: float) -> Any:
    number = float.__float__(value)
    return number if math.isfinite(number) else ["f", repr(number)]


def _range(encoder: Encoder, value: range) -> list:
    encoder.weigh(len(value))
    return ["R", *encoder.all((value.start, value.stop, value.step))]


# In this order: NumPy's float64 is a float too.
_ENCODERS: list[tuple[Any, Callable[[Any, Any], Any]]] = [
    (Tensor, Encoder.tensor),
    ((np.ndarray, np.generic), Encoder.array),
    (int, Encoder.integer),
    (float, _float),
    (complex, lambda encoder, value: ["c", _float(encoder, value.real), _float(encoder, value.imag)]),
    (str, Encoder.text),
    ((bytes, bytearray), Encoder.raw),
    (list, Encoder.sequence),
    (dict, Encoder.mapping),
    (tuple, lambda encoder, value: ["t", *encoder.all(value)]),
    (set, lambda encoder, value: ["s", *encoder.members(value)]),
    (frozenset, lambda encoder, value: ["z", *encoder.members(value)]),
    (torch.dtype, lambda _, value: ["y", str(value).removeprefix("torch.")]),
    (torch.device, lambda _, value: ["v", str(value)]),
    (range, _range),
    (slice, lambda encoder, value: ["S", *encoder.all((value.start, value.stop, value.step))]),
    (EllipsisType, lambda _, __: ["E"]),
]
