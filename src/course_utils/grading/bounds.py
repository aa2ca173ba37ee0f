"""What a message may hold: nothing in it is believed to be of a size that the trusted side can bear.

The limits are far above what an honest function takes or gives, and so low that the costliest message of all is read
within seconds and a few times its own bytes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from course_utils.grading.frames import WireError

DEEPEST = 100  # containers in containers
MOST_NODES = 1_100_000  # values in a message, an alias counted with all that is in it each time that it occurs
NODE_BYTES = 256  # of a string or tensor that count as one value more: 256 MiB in all
MOST_ENTRIES = 10_000  # of a dict or set
MOST_ALIKE = 16  # keys of one hash: no honest key shares it with more, and thousands take seconds to tell apart
SMALLEST, LARGEST = -(2**63), 2**64 - 1
MOST_DIMENSIONS, LONGEST = 32, 2**31 - 1
MOST_UNFILLED = 1 << 20  # bytes that a tensor without numbers would have without its lengths of zero


class Message:
    """What encoding and decoding share: the numbers of objects, and how much the message holds.

    What an alias stands for is weighed again each time: a few hundred bytes can say a list that fills the memory as
    soon as it is printed, and a list that holds itself has no end at all.

    Attributes:
        objects: lists, dicts, tensors and arrays in the order of their numbers.
        weights: how many values each holds, itself included; None while that is not known.
        nodes: how many values there were so far.
    """

    error: type[Exception]

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.weights: list[int | None] = []
        self.nodes = self.depth = 0

    def weigh(self, nodes: int) -> None:
        """Count values."""
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise self.error("a value that is too large: a million numbers, or 256 MiB in tensors, are the most")

    def alias(self, number: int, among: Message) -> None:
        """Count what an object holds that occurs again."""
        weight = among.weights[number]
        if weight is None:
            raise self.error("a list or dict that holds itself")
        self.weigh(weight)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """One container deeper."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"a value with more than {DEEPEST} containers in containers")
        yield
        self.depth -= 1

    @contextmanager
    def numbered(self, thing: Any, size: int = 0) -> Iterator[None]:
        """Number an object before its content, which may be more objects, and weigh it with them."""
        number, start = len(self.objects), self.nodes
        self.objects.append(thing)
        self.weights.append(None)
        self.weigh(size // NODE_BYTES)
        yield
        self.weights[number] = self.nodes - start + 1


def distinct(keys: list[Any]) -> list[Any]:
    """The keys of a dict or set, unless there are too many or they were chosen to collide.

    Python salts the hashes of strings, but not those of numbers and of tuples of them. Keys whose hashes differ are
    spread by a few probes each, however they were chosen.
    """
    if len(keys) > MOST_ENTRIES:
        raise WireError(f"a dict or set of more than {MOST_ENTRIES} entries")
    if keys and max(Counter(map(hash, keys)).values()) > MOST_ALIKE:
        raise WireError("keys that were made to collide")
    return keys


def check_size(shape: Any, itemsize: int, size: int) -> None:
    """Refuse a shape that is none, or that disagrees with the bytes that came."""
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS:
        raise WireError("a shape that is none")
    if not all(type(length) is int and 0 <= length <= LONGEST for length in shape):
        raise WireError("a shape that is none")
    if math.prod(shape) * itemsize != size:
        raise WireError(f"{size} bytes for a shape of {math.prod(shape)} numbers of {itemsize} bytes")
    # The sum over a length of zero has as many numbers as the other lengths say.
    if math.prod(length or 1 for length in shape) * itemsize > max(size, MOST_UNFILLED):
        raise WireError("a shape of no numbers with lengths that are too large")
