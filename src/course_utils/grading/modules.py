"""PyTorch modules of one side as modules of the other: the numbers are mirrored, the forward pass is asked for.

A mirror has parameters and buffers of its own under the names that they have over there, so that ``parameters()``,
``state_dict()``, ``to()`` or an optimizer are PyTorch's own on either side; nothing of a class of the student's runs
where a mirror is. Every message that may matter brings along the modules that its sender has seen change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from course_utils.grading.frames import WireError
from course_utils.grading.handles import Act, Handles, public
from course_utils.grading.values import tensor_bytes

MOST_BYTES = 512 << 20  # in all mirrors
DEEPEST_PART = 50  # modules in modules
BUFFER, KEPT_BUFFER, FROZEN, PARAMETER = range(4)  # kept: in the state_dict; frozen: without a gradient
PLACES = ("_parameters", "_buffers", "_modules")

Snapshot = list[list[Any]]  # [path, training, [[name, kind, tensor or None], …]] for the module and each of its parts


class Mirror(nn.Module):
    """A stand-in for a module of the other side's, or for a part of one."""

    def __init__(self, act: Act, number: int, part: str = "") -> None:
        super().__init__()
        self._act, self._number, self._part = act, number, part

    def _stands_for(self) -> tuple[int, str]:
        """The module's number over there, and which part of it this is."""
        return self._number, self._part

    def forward(self, *args: object, **kwargs: object) -> Any:
        """What the module over there makes of the arguments."""
        return self._act(self._number, args, kwargs, part=self._part)

    def __getattr__(self, name: str) -> Any:
        for place in PLACES:
            if name in self.__dict__.get(place, ()):
                return self.__dict__[place][name]
        return self._act(self._number, (public(name),), {}, do="attribute", part=self._part)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "training" and not name.startswith("_") and name not in self._parameters | self._buffers:
            raise AttributeError(f"{name!r} cannot be set on a module of the other side")
        super().__setattr__(name, value)

    def __getitem__(self, index: Any) -> Any:
        return self._list()[index]

    def __len__(self) -> int:
        return len(self._list())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._list())

    def _list(self) -> list[Any]:
        """The parts of what is a ``Sequential`` or ``ModuleList`` over there."""
        if list(self._modules) != [str(number) for number in range(len(self._modules))]:
            raise TypeError("this module of the other side is no list of modules")
        return list(self._modules.values())

    def __eq__(self, other: object) -> bool:
        raise TypeError("this is a module of the other side: it cannot be compared")

    __hash__ = nn.Module.__hash__

    def __bool__(self) -> bool:
        raise TypeError("this is a module of the other side: it is neither true nor false")


class Modules:
    """The modules that both sides know: those given away by this side, and mirrors of those that were given to it.

    Args:
        handles: what this side has given away.
        act: asks the other side.
    """

    def __init__(self, handles: Handles, act: Act) -> None:
        self.handles, self.act = handles, act
        self.mirrors: dict[int, Mirror] = {}
        self.known: dict[tuple[bool, int], tuple] = {}  # what the other side knows them to hold

    def _all(self) -> Iterator[tuple[bool, int, nn.Module]]:
        """Whether it is this side's, its number, and the module."""
        yield from ((True, number, module) for number, module in self.handles.modules.items())
        yield from ((False, number, mirror) for number, mirror in self.mirrors.items())

    def outgoing(self) -> list:
        """What the other side must be told, as :meth:`incoming` takes it."""
        changed = []
        for own, number, module in self._all():
            content = snapshot(module)
            digest = _digest(content)
            if self.known.get((own, number)) != digest:
                self.known[own, number] = digest
                changed.append([own, number, content])
        return changed

    def incoming(self, changes: Any, writes: bool) -> None:
        """Take what the other side says of the modules of both.

        Args:
            changes: what :meth:`outgoing` gave over there, unless that side lies.
            writes: whether it may change the parameters of modules of this side's.

        Raises:
            AssertionError: it did, and may not; nothing was changed.
            WireError: the changes are none.
        """
        try:
            for theirs, number, content in changes:
                module = self._mirrored(number, content) if theirs else self._written(number, content, writes)
                self.known[not theirs, number] = _digest(snapshot(module))
        except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
            raise WireError(f"a module that does not hold together: {type(error).__name__}") from error

    def _mirrored(self, number: Any, content: Any) -> Mirror:
        """The mirror of a module of theirs, as it is now."""
        if type(number) is not int or not 0 <= number < Handles.MOST:
            raise WireError("a handle that is none")
        mirror = self.mirrors.setdefault(number, Mirror(self.act, number))
        old: dict[str, Any] = dict(mirror.named_modules(remove_duplicate=False))
        for part in old.values():
            part._modules = {}
        parts, tensors = {"": mirror}, dict[int, Tensor]()
        for place, (path, training, entries) in enumerate(content):
            if (path == "") != (place == 0):
                raise WireError("parts without their module first")
            part = mirror if path == "" else _place(parts, path, old)
            part.training = _flag(training)
            _fill(part, entries, tensors)
        if sum(tensor.nbytes for each in self.mirrors.values() for tensor in each.state_dict().values()) > MOST_BYTES:
            raise WireError(f"modules of more than {MOST_BYTES} bytes")
        return mirror

    def _written(self, number: Any, content: Any, writes: bool) -> nn.Module:
        """A module of this side's, after what the other side did to its mirror: ``train()`` and ``eval()`` count."""
        module = self.handles.modules[number]
        parts = dict(module.named_modules(remove_duplicate=False))
        for path, training, entries in content:
            for name, _, tensor in entries:
                target = parts[path]._parameters.get(name, parts[path]._buffers.get(name))
                if isinstance(target, Tensor) and isinstance(tensor, Tensor) and not _same(target, tensor):
                    if not writes:
                        raise AssertionError(
                            "your function changed the parameters of a module in place: work on a copy"
                        )
                    if target.shape != tensor.shape:
                        raise WireError("a parameter of another shape")
                    _set(target, tensor)
            parts[path].training = _flag(training)
        return module

    def named(self) -> dict[int, tuple[Tensor, list]]:
        """The parameters, by id, with what :meth:`parameter` knows them by."""
        found: dict[int, tuple[Tensor, list]] = {}
        for own, number, module in self._all():
            for name, parameter in module.named_parameters():
                found.setdefault(id(parameter), (parameter, [own, number, name]))
        return found

    def parameter(self, theirs: Any, number: Any, name: Any) -> Tensor:
        """This side's parameter for one that the other side names.

        Raises:
            WireError: there is no such parameter.
        """
        module = (self.mirrors if theirs else self.handles.modules).get(number) if type(number) is int else None
        for known, parameter in module.named_parameters(remove_duplicate=False) if module is not None else ():
            if known == name:
                return parameter
        raise WireError("a gradient for a parameter that there is not")


def snapshot(module: nn.Module) -> Snapshot:
    """What a module holds, in itself and in its parts. Parameters that are one are one in it."""
    plain: dict[int, Tensor] = {}

    def content(tensor: Tensor | None) -> Tensor | None:
        if tensor is None or isinstance(tensor, UninitializedParameter | UninitializedBuffer):
            return None
        return plain.setdefault(id(tensor), tensor.detach())

    return [
        [path, part.training, [[name, kind, content(tensor)] for name, kind, tensor in _entries(part)]]
        for path, part in module.named_modules(remove_duplicate=False)
    ]


def _entries(part: nn.Module) -> Iterator[tuple[str, int, Tensor | None]]:
    for name, parameter in part._parameters.items():
        yield name, PARAMETER if parameter is not None and parameter.requires_grad else FROZEN, parameter
    for name, buffer in part._buffers.items():
        yield name, BUFFER if name in part._non_persistent_buffers_set else KEPT_BUFFER, buffer


def _digest(content: Snapshot) -> tuple:
    """What tells later whether a module was changed, by ``.data`` or through NumPy too."""
    return tuple(
        (path, training, tuple((name, kind, None if t is None else _content(t)) for name, kind, t in entries))
        for path, training, entries in content
    )


def _content(tensor: Tensor) -> tuple:
    return tensor.dtype, tensor.shape, hash(tensor_bytes(tensor))


def _same(one: Tensor, other: Tensor) -> bool:
    return _content(one) == _content(other)


def _set(target: Tensor, tensor: Tensor) -> None:
    """Give a tensor the numbers of another; only where they differ, since a graph may hold on to it."""
    if target.dtype != tensor.dtype:
        target.data = tensor
    elif not _same(target, tensor):
        with torch.no_grad():
            target.copy_(tensor)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WireError("a flag that is none")
    return value


def _place(parts: dict[str, Mirror], path: Any, old: dict[str, Mirror]) -> Mirror:
    """The part of a path, that it had already or a new one, in a parent that was there before."""
    above, _, name = _text(path).rpartition(".")
    if path in parts or path.count(".") > DEEPEST_PART:
        raise WireError("a part that is none")
    root = parts[""]
    part = parts[path] = old[path] if path in old else Mirror(root._act, root._number, path)
    parts[above]._modules[_name(name)] = part
    return part


def _fill(part: Mirror, entries: Any, tensors: dict[int, Tensor]) -> None:
    """Give a part its parameters and buffers: those that it had, where they still fit, with the numbers of now."""
    before = {**part._buffers, **part._parameters}
    fresh: dict[str, dict] = {"_parameters": {}, "_buffers": {}}
    for name, kind, tensor in entries:
        if kind not in range(4) or not (tensor is None or type(tensor) is Tensor):
            raise WireError("a parameter that is none")
        place = fresh["_parameters" if kind in (FROZEN, PARAMETER) else "_buffers"]
        if tensor is not None and id(tensor) not in tensors:
            tensors[id(tensor)] = _kept(before.get(_text(name)), tensor, kind)
        place[_name(name)] = None if tensor is None else tensors[id(tensor)]
    part._parameters, part._buffers = fresh["_parameters"], fresh["_buffers"]
    part._non_persistent_buffers_set = {name for name, kind, _ in entries if kind == BUFFER}


def _kept(old: Any, tensor: Tensor, kind: int) -> Tensor:
    """The tensor that a mirror had, with its new numbers; another one, if it is another tensor over there."""
    if kind in (BUFFER, KEPT_BUFFER):
        old = tensor if type(old) is not Tensor or old.shape != tensor.shape else old
    elif not isinstance(old, nn.Parameter) or old.shape != tensor.shape:
        old = nn.Parameter(tensor, requires_grad=kind == PARAMETER)
    _set(old, tensor)
    return old.requires_grad_(kind == PARAMETER)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise WireError("a name that is none")
    return value


def _name(name: Any) -> str:
    """A name that can stand in a module without standing for something else there."""
    if not _text(name) or "." in name or name.startswith("__") or name in _RESERVED:
        raise WireError("a name that no parameter or part can have")
    return name


_RESERVED = set(vars(Mirror(lambda *_, **__: None, 0))) | set(dir(Mirror))
