"""What a Triton kernel loads, stores and multiplies, counted in Triton's interpreter.

Under `TRITON_INTERPRET=1`, set before the first import of triton, a kernel runs on the processor, program by program,
on NumPy arrays. `counted` watches that run: it counts the bytes and the products, and an address outside every tensor
of the launch raises an exception, where the interpreter itself would read foreign memory or end the process.

Written against `triton.runtime.interpreter` of Triton 3.7.1: every load and every store there, also those of tensor
descriptors, goes through the four methods of its builder that are wrapped here.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import triton
import triton.language as tl
from triton.runtime.errors import InterpreterError
from triton.runtime.interpreter import GridExecutor, InterpretedFunction, interpreter_builder

__all__ = ["Counts", "OutOfBoundsError", "counted", "interpreting"]


@dataclass
class Counts:
    """What kernels did since `counted` was entered.

    Attributes:
        loaded: Bytes read by the lanes whose mask is true, each time that they are read, by `tl.load` and by atomic
            operations.
        stored: Bytes written by the lanes whose mask is true, by `tl.store` and by atomic operations.
        flops: 2·M·N·K for each `tl.dot` of [M, K] with [K, N]. Nothing else is counted.
    """

    loaded: int = 0
    stored: int = 0
    flops: int = 0


class OutOfBoundsError(IndexError):
    """A kernel was about to touch memory that belongs to no tensor of its launch."""


def interpreting() -> bool:
    """Whether `TRITON_INTERPRET` was set when triton was imported, so that its own functions are interpreted too."""
    return isinstance(tl.max, InterpretedFunction)


@contextmanager
def counted() -> Iterator[Counts]:
    """Counts what kernels load, store and multiply, and refuses addresses outside the launch's tensors.

    A tensor owns the addresses from its first to its last element, not the whole storage, so that a read past a slice
    is caught; what lies between the rows of a strided view counts as its own. What a kernel raises comes as it is, not
    as the interpreter's `InterpreterError`. Blocks may be nested: each counts by itself.

    Yields:
        The counts, which grow while kernels run.

    Raises:
        RuntimeError: Triton was imported without `TRITON_INTERPRET=1`.
        OutOfBoundsError: From a launch inside of the block, before the memory is touched.
    """
    if not interpreting():
        raise RuntimeError("counted: kernels are not interpreted: set TRITON_INTERPRET=1 before triton is imported")
    watch = _Watch(Counts())
    # Whether a sum or a product of integers overflows is a third of the work, and thrown away unless it is debugged.
    options = replace(interpreter_builder.options, sanitize_overflow=interpreter_builder.options.debug)
    with ExitStack() as patches:
        for owner, name, ours in (
            (interpreter_builder, "options", options),
            (GridExecutor, "_init_args_hst", watch.arguments(GridExecutor._init_args_hst)),
            (GridExecutor, "__call__", watch.launch(GridExecutor.__call__)),
            (interpreter_builder, "create_masked_load", watch.load(interpreter_builder.create_masked_load)),
            (interpreter_builder, "create_masked_store", watch.store(interpreter_builder.create_masked_store)),
            (interpreter_builder, "create_atomic_rmw", watch.update(interpreter_builder.create_atomic_rmw)),
            (interpreter_builder, "create_atomic_cas", watch.exchange(interpreter_builder.create_atomic_cas)),
            (interpreter_builder, "create_dot", watch.dot(interpreter_builder.create_dot)),
        ):
            patches.enter_context(mock.patch.object(owner, name, ours))
        yield watch.counts


class _Watch:
    """Wraps the interpreter's methods: counts, and knows the addresses of the launch that runs."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.starts: Any = np.empty(0, dtype=np.uint64)
        self.ends: Any = self.starts

    def launch(self, call: Callable[..., None]) -> Callable[..., None]:
        def launched(executor: GridExecutor, *args: Any, **kwargs: Any) -> None:
            reason: BaseException | None
            try:
                return call(executor, *args, **kwargs)
            except InterpreterError as error:  # each function that is called inside the kernel wraps once more
                reason = error
            while isinstance(reason, InterpreterError) and reason.__cause__ is not None:
                reason = reason.__cause__
            raise reason from None

        return launched

    def arguments(self, prepare: Callable[..., Any]) -> Callable[..., Any]:
        def prepared(executor: GridExecutor, args: Any, kwargs: Any) -> Any:
            on_host = prepare(executor, args, kwargs)
            extents = sorted(_extents([*on_host[0], *on_host[1].values()]))
            self.starts = np.array([start for start, _ in extents], dtype=np.uint64)
            self.ends = np.maximum.accumulate(np.array([end for _, end in extents], dtype=np.uint64))
            return on_host

        return prepared

    def load(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def masked_load(ptrs: Any, mask: Any, *rest: Any, **named: Any) -> Any:
            self.counts.loaded += self.checked("load", ptrs, mask)
            return method(ptrs, mask, *rest, **named)

        return masked_load

    def store(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def masked_store(ptrs: Any, value: Any, mask: Any, *rest: Any) -> Any:
            self.counts.stored += self.checked("store", ptrs, mask)
            return method(ptrs, value, mask, *rest)

        return masked_store

    def update(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def atomic_rmw(operation: Any, ptrs: Any, value: Any, mask: Any, *rest: Any) -> Any:
            self.both(self.checked("atomic operation", ptrs, mask))
            return method(operation, ptrs, value, mask, *rest)

        return atomic_rmw

    def exchange(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def atomic_cas(ptrs: Any, *rest: Any) -> Any:
            self.both(self.checked("atomic operation", ptrs, None))
            return method(ptrs, *rest)

        return atomic_cas

    def dot(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def dot(a: Any, b: Any, d: Any, *rest: Any) -> Any:
            self.counts.flops += 2 * a.data.size * b.data.shape[-1]
            return method(a, b, d, *rest)

        return dot

    def both(self, size: int) -> None:
        self.counts.loaded += size
        self.counts.stored += size

    def checked(self, what: str, ptrs: Any, mask: Any) -> int:
        """The bytes that the lanes with a true mask touch; raises where one of them belongs to no tensor."""
        addresses = ptrs.data.ravel() if mask is None else ptrs.data[np.broadcast_to(mask.data, ptrs.data.shape)]
        width = max(1, ptrs.get_element_ty().primitive_bitwidth // 8)
        nearest: Any = np.searchsorted(self.starts, addresses, side="right") - 1
        within: Any = nearest >= 0
        within[within] = addresses[within] <= self.ends[nearest[within]] - np.uint64(width)
        if not within.all():
            program = ", ".join(str(index) for index in interpreter_builder.grid_idx)
            count = f"{int((~within).sum())} of {addresses.size} addresses"
            raise OutOfBoundsError(
                f"{what} in program ({program}){_kernel_line()}: {count} lie outside every tensor of the launch: "
                "is a mask missing?"
            )
        return int(addresses.size) * width


def _extents(arguments: list[Any] | tuple[Any, ...]) -> Iterator[tuple[int, int]]:
    """First address, and the one after the last, of each tensor of a launch, also in tuples and in descriptors."""
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from _extents(argument)
        elif hasattr(argument, "block_shape"):  # a tensor descriptor
            yield from _extents((argument.base,))
        elif hasattr(argument, "data_ptr"):
            tensor = getattr(argument, "base", argument)  # of triton's own wrapper for another type
            if tensor.numel():
                last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
                yield tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()


def _kernel_line() -> str:
    """The line of the kernel that is at work, as far as its source can be had."""
    frame = sys._getframe()
    inside = (__file__, str(triton.__path__[0]))
    while frame.f_back is not None and frame.f_code.co_filename.startswith(inside):
        frame = frame.f_back
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return f", `{text}`" if text else ""
