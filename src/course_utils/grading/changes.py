"""What a function did to its arguments in place: noticed where it ran, refused or repeated where they are from."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from course_utils.grading.bounds import MOST_NODES, NODE_BYTES
from course_utils.grading.frames import WireError
from course_utils.grading.values import tensor_bytes

WORDS = {list: "a list", dict: "a dict", Tensor: "a tensor", np.ndarray: "an array"}


def state(thing: Any) -> Any:
    """What :func:`changed` compares a list, dict, tensor or array with.

    Numbers by their bytes, not by a tensor's version: ``.data`` and NumPy write past that.
    """
    if isinstance(thing, Tensor):
        return hash(tensor_bytes(thing))
    if isinstance(thing, list):
        return list(thing)
    if isinstance(thing, dict):
        return [part for pair in thing.items() for part in pair]
    return hash(thing.tobytes())


def changed(thing: Any, before: Any) -> bool:
    """Whether something is not any more as it was. Of what a list holds only the identity counts."""
    now = state(thing)
    if not isinstance(before, list):
        return now != before
    return len(now) != len(before) or any(one is not other for one, other in zip(now, before, strict=True))


def described(thing: Any, args: tuple, kwargs: dict) -> str:
    """What is wrong with having changed something that came with these arguments."""
    names = [f"argument {n}" for n, arg in enumerate(args, 1) if arg is thing]
    names += [f"argument {name!r}" for name, arg in kwargs.items() if arg is thing]
    kind = next((word for kind, word in WORDS.items() if isinstance(thing, kind)), "an object")
    what = f"its {names[0]}, {kind}," if names else f"{kind} among its arguments"
    return f"your function changed {what} in place: work on a copy"


def replace(contents: list[tuple[Any, Any]]) -> None:
    """Give objects the contents that they have on the other side; all of them, or none.

    Raises:
        WireError: a content is of another kind, type or shape, or would make something that holds itself.
    """
    for original, content in contents:
        _check_kind(original, content)
    _check_weight(contents)
    for original, content in contents:
        if isinstance(original, list):
            original[:] = content
        elif isinstance(original, dict):
            original.clear()
            original.update(content)
        elif isinstance(original, Tensor):
            original.copy_(content)
        else:
            original[...] = content


def _check_kind(original: Any, content: Any) -> None:
    if type(original) is not type(content) and not isinstance(original, Tensor) & isinstance(content, Tensor):
        raise WireError("a change into something of another kind")
    if isinstance(original, Tensor | np.ndarray) and (original.shape, original.dtype) != (content.shape, content.dtype):
        raise WireError("a change into another shape or type")


def _check_weight(contents: list[tuple[Any, Any]]) -> None:
    """Refuse changes after which a list would hold itself, or expand to more than a message may hold."""
    after = {id(original): content for original, content in contents}
    weights: dict[int, int] = {}

    def weight(value: Any) -> int:
        value_now = after.get(id(value), value)
        if not isinstance(value_now, list | dict | tuple | set):
            return 1 + getattr(value_now, "nbytes", 0) // NODE_BYTES
        if id(value) not in weights:
            weights[id(value)] = MOST_NODES + 1  # if it is met again before it is known, it holds itself
            parts = [*value_now, *value_now.values()] if isinstance(value_now, dict) else list(value_now)
            weights[id(value)] = 1 + sum(map(weight, parts))
        if weights[id(value)] > MOST_NODES:
            raise WireError("a change that makes a value too large, or one that holds itself")
        return weights[id(value)]

    try:
        for original, _ in contents:
            weight(original)
    except RecursionError as error:
        raise WireError("a change that makes a value too deep") from error
