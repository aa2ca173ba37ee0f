"""Handles: objects of one side that the other side can use only by asking for it, and their stand-ins there."""

from __future__ import annotations

from types import MethodType
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from course_utils.grading.frames import WireError

MOST_STEPS = 100_000  # of one iterator of the other side's


class Act(Protocol):
    """Asks the other side to do something with a thing of its own, and returns the value of that."""

    def __call__(self, number: int, args: tuple, kwargs: dict, do: str = "call", part: str = "") -> Any:
        """Do ``do`` with the thing of a number, or with a part of that module."""


class Handles:
    """The objects that this side has given away, by number. What was never given cannot be asked for.

    Attributes:
        modules: those of them that are PyTorch modules, by number.
    """

    MOST = 10_000

    def __init__(self) -> None:
        self.given: list[object] = []
        self.numbers: dict[object, int] = {}
        self.modules: dict[int, nn.Module] = {}

    def give(self, thing: object) -> int:
        """The number under which the other side knows a thing.

        Raises:
            ValueError: too many were given.
        """
        # A bound method is made anew each time that it is looked up.
        key = (id(thing.__self__), id(thing.__func__)) if isinstance(thing, MethodType) else id(thing)
        if key not in self.numbers:
            if len(self.given) >= self.MOST:
                raise ValueError(f"more than {self.MOST} objects that are no plain values")
            number = self.numbers[key] = len(self.given)
            self.given.append(thing)  # kept alive, so that its id stays its own
            if isinstance(thing, nn.Module):
                self.modules[number] = thing
        return self.numbers[key]

    def forget(self, first: int) -> None:
        """Take back all from a number on: the message that was to give them was not sent."""
        del self.given[first:]
        self.numbers = {key: number for key, number in self.numbers.items() if number < first}
        self.modules = {number: module for number, module in self.modules.items() if number < first}

    def take(self, number: object, part: object = "") -> Any:
        """The thing of a number, or a submodule of it.

        Raises:
            WireError: no such handle was given, or it has no such part.
        """
        if type(number) is not int or not 0 <= number < len(self.given):
            raise WireError("a handle that was never given")
        if part == "":
            return self.given[number]
        # By name among all of them: ``get_submodule`` would look up attributes.
        parts = dict(self.modules[number].named_modules()) if number in self.modules else {}
        if not isinstance(part, str) or part not in parts:
            raise WireError("a part that the module does not have")
        return parts[part]


def public(name: str) -> str:
    """The name of an attribute, if the other side may be asked for it.

    A stand-in that had the attributes of a tensor would let an object of the student's pass for one: ``y.equal(z)``
    would send the expected ``z`` there, and the answer would be the student's.

    Raises:
        AttributeError: the name is private, or a tensor's.
    """
    if name.startswith("_"):
        raise AttributeError(f"{name!r} is private to an object of the other side")
    # A sparse tensor's ``values`` is an ordinary word, as in keys and values.
    if name != "values" and (hasattr(Tensor, name) or hasattr(np.ndarray, name)):
        raise AttributeError(f"{name!r} was asked of an object of the other side that is no tensor and no array")
    return name


class Remote:
    """A stand-in for a thing of the other side's.

    It can be called, stepped through, measured with ``len`` and passed back; its public attributes can be read where
    it is the student's. It cannot be compared.
    """

    def __init__(self, number: int, act: Act) -> None:
        self._number, self._act, self._steps = number, act, 0

    def _stands_for(self) -> tuple[int]:
        """The number of the thing over there."""
        return (self._number,)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call the thing over there."""
        return self._act(self._number, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return self._act(self._number, (public(name),), {}, do="attribute")

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"{name!r} cannot be set on an object of the other side")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        return self._act(self._number, (), {}, do="length")

    def __iter__(self) -> Remote:
        return self._act(self._number, (), {}, do="iterate")

    def __next__(self) -> Any:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise RuntimeError(f"an iterator of the other side's gave {MOST_STEPS} values and did not end")
        values = self._act(self._number, (), {}, do="step")
        if not isinstance(values, list) or len(values) > 1:
            raise WireError("a step that is none")
        if not values:
            raise StopIteration
        return values[0]

    def __eq__(self, other: object) -> bool:
        """A verdict must not hang on what the other side says of equality."""
        raise TypeError("this is not a number or a tensor but an object of the other side: it cannot be compared")

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError(
            "this is not a number or a tensor but an object of the other side: it is neither true nor false"
        )


def _step(thing: Any) -> list:
    """The next value, in a list that is empty at the end."""
    try:
        return [next(thing)]
    except StopIteration:
        return []


# What a stand-in may ask for; the trusted side answers no ``attribute``: from a module, say, they lead anywhere.
ACTIONS: dict[str, Any] = {
    "call": lambda thing, *args, **kwargs: thing(*args, **kwargs),
    "attribute": lambda thing, name: getattr(thing, public(name)),
    "iterate": iter,
    "length": len,
    "step": _step,
}
