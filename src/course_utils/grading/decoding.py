"""Values off the wire (:mod:`~.values` says how they are written): nothing that comes is believed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils.grading.bounds import LARGEST, NODE_BYTES, SMALLEST, Message, check_size, distinct
from course_utils.grading.frames import WireError
from course_utils.grading.handles import Handles
from course_utils.grading.kinds import rebuilt
from course_utils.grading.values import ARRAY_DTYPES, DTYPES


class Decoder(Message):
    """Turns the JSON and blobs of one message back into values, and believes none of it.

    Args:
        blobs: the raw bytes.
        handles: what was given to the other side.
        remote: makes a stand-in.
        request: for a reply, the request that it answers.
        outputs: for a reply, its outputs that have a gradient.

    Attributes:
        tracked: the leaves among which gradients are sought.
    """

    error = WireError

    def __init__(
        self,
        blobs: Sequence[bytes],
        handles: Handles,
        remote: Callable[[Any], object],
        *,
        request: Message | None = None,
        outputs: Sequence[Tensor] = (),
    ) -> None:
        super().__init__()
        self.blobs, self.handles, self.remote = blobs, handles, remote
        self.request, self.outputs = request or Message(), outputs
        self.used: set[int] = set()
        self.tracked: list[Tensor] = []

    def decode(self, tree: Any) -> Any:
        """The value of an encoded tree.

        Raises:
            WireError: the tree is not one that an encoder writes.
        """
        self.weigh(1)
        if tree is None or isinstance(tree, bool | float):
            return tree
        if isinstance(tree, int):
            return self.integer(tree)
        if isinstance(tree, str):
            self.weigh(len(tree) // NODE_BYTES)
            return tree
        if not isinstance(tree, list) or not tree or not isinstance(tree[0], str) or tree[0] not in _DECODERS:
            raise WireError("a value of an unknown kind")
        with self.inside():
            try:
                return _DECODERS[tree[0]](self, *tree[1:])
            except (TypeError, ValueError, RuntimeError, OverflowError, KeyError) as error:
                raise WireError(f"a value that does not hold together: {type(error).__name__}") from error

    def all(self, items: Iterable[Any]) -> list:
        """Decode one by one."""
        return [self.decode(item) for item in items]

    def integer(self, tree: Any) -> int:
        """An integer of 64 bits."""
        if type(tree) is not int or not SMALLEST <= tree <= LARGEST:
            raise WireError("an integer of more than 64 bits, or none")
        return tree

    def blob(self, number: Any) -> bytes:
        """A blob by its number; each is used once, or a small message could ask for any amount of memory."""
        content = _at(self.blobs, number)
        if number in self.used:
            raise WireError("a blob that was used already")
        self.used.add(number)
        return content

    def raw(self, blob: int) -> bytes:
        """Bytes."""
        content = self.blob(blob)
        self.weigh(len(content) // NODE_BYTES)
        return content

    def tensor(self, dtype: str, shape: list, blob: int, tracking: int) -> Tensor:
        """A tensor whose bytes are exactly as many as its shape says."""
        kind, content = DTYPES[dtype], self.blob(blob)
        check_size(shape, kind.itemsize, len(content))
        value = (
            torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
        )
        value = (value != 0 if kind is torch.bool else value.view(kind)).reshape(shape)
        if tracking:
            self.tracked.append(value.requires_grad_())
        # What is no leaf over there must be none here: only then may it be changed in place.
        value = value.clone() if tracking == 2 else value
        with self.numbered(value, len(content)):
            return value

    def array(self, dtype: str, shape: list | None, blob: int) -> np.ndarray | np.generic:
        """An array, or with no shape a scalar."""
        if dtype not in ARRAY_DTYPES:
            raise WireError("an array of an unknown type")
        content, itemsize = self.blob(blob), np.dtype(dtype).itemsize
        check_size([] if shape is None else shape, itemsize, len(content))
        value = np.frombuffer(bytearray(content), dtype="uint8" if dtype == "bool" else dtype)
        value = (value != 0 if dtype == "bool" else value).reshape(shape or [])
        if shape is None:
            return value[()]
        with self.numbered(value, len(content)):
            return value

    def texts(self, width: int, shape: list, *texts: str) -> np.ndarray:
        """An array of strings, none longer than its width: NumPy gives each the room of the longest."""
        self.weigh(len(texts))
        if type(width) is not int or width < 0 or not all(type(text) is str for text in texts):
            raise WireError("an array of strings that is none")
        if any(len(text) > width for text in texts):
            raise WireError("an array of strings with one that is too long")
        check_size(shape, 4, 4 * len(texts))
        self.weigh(4 * width * max(1, len(texts)) // NODE_BYTES)
        value = np.array(texts, dtype=f"<U{max(1, width)}").reshape(shape)
        with self.numbered(value, value.nbytes):
            return value

    def sequence(self, *items: Any) -> list:
        """A list."""
        value: list = []
        with self.numbered(value):
            value += self.all(items)
        return value

    def mapping(self, *pairs: Any) -> dict:
        """A dict from pairs."""
        value: dict = {}
        with self.numbered(value):
            content = [(self.decode(key), self.decode(item)) for key, item in pairs]
            value.update(zip(distinct([key for key, _ in content]), (item for _, item in content), strict=True))
        return value

    def again(self, number: int) -> Any:
        """An object of this message."""
        thing = _at(self.objects, number)
        self.alias(number, self)
        return thing

    def given(self, number: int) -> Any:
        """An object of the request."""
        thing = _at(self.request.objects, number)
        self.alias(number, self.request)
        return thing

    def output(self, number: int) -> Tensor:
        """An output that has a gradient; it may occur again and again without being numbered."""
        thing = _at(self.outputs, number)
        self.weigh(thing.numel() * thing.element_size() // NODE_BYTES)
        return thing

    def span(self, *ends: int) -> range:
        """A range; it is weighed as a list, since a test may make one of it."""
        value = range(*(self.integer(end) for end in ends))
        self.weigh(len(value))
        return value


def _at(things: Sequence[Any], number: Any) -> Any:
    if type(number) is not int or not 0 <= number < len(things):
        raise WireError("a number that stands for nothing")
    return things[number]


def _complex(decoder: Decoder, real: Any, imaginary: Any) -> complex:
    parts = decoder.all([real, imaginary])
    if not all(isinstance(part, numbers.Real) for part in parts):
        raise WireError("a complex number that is none")
    return complex(*parts)


def _device(_: Decoder, name: Any) -> torch.device:
    return torch.device(str.__str__(name))


_DECODERS: dict[str, Callable[..., Any]] = {
    "f": lambda _, word: {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[word],
    "c": _complex,
    "b": Decoder.raw,
    "T": Decoder.tensor,
    "N": Decoder.array,
    "U": Decoder.texts,
    "l": Decoder.sequence,
    "d": Decoder.mapping,
    "t": lambda decoder, *items: tuple(decoder.all(items)),
    "s": lambda decoder, *items: set(distinct(decoder.all(items))),
    "z": lambda decoder, *items: frozenset(distinct(decoder.all(items))),
    "y": lambda _, name: DTYPES[name],
    "v": _device,
    "R": Decoder.span,
    "S": lambda decoder, start, stop, step: slice(*decoder.all((start, stop, step))),
    "E": lambda _: ...,
    "D": lambda decoder, name, *content: rebuilt(name, decoder.all(content)),
    "r": Decoder.again,
    "a": Decoder.given,
    "g": Decoder.output,
    "h": lambda decoder, number: decoder.remote(number),
    "o": lambda decoder, number, part="": decoder.handles.take(number, part),
}
