"""What gradients are asked for: results that were computed here, and the tensors that either side knows from calls."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor

from course_utils.grading.frames import WireError

MOST_GRAPHS = 2_000  # results, or calls, of which tensors are kept for a gradient
MOST_KEPT = 1 << 30  # bytes of these tensors

Table = OrderedDict[int, list[Tensor]]


class Graphs:
    """The tensors of calls, kept so long as a gradient may be asked for: the newest ones.

    A result may depend on the arguments of an earlier call: of the one that made the object whose method this is.
    """

    def __init__(self) -> None:
        self.outputs, self.inputs = Table(), Table()  # of results that were computed here, by their number
        self.lent, self.borrowed = Table(), Table()  # arguments that may get a gradient, by the number of their call
        self.count = 0

    def keep(self, outputs: list[Tensor], inputs: list[Tensor]) -> int:
        """Keep the graph of a result; its number is what a gradient is asked for by."""
        self.count += 1
        _put(self.outputs, self.count, outputs)
        _put(self.inputs, self.count, inputs)
        return self.count

    def take(self, number: Any) -> tuple[list[Tensor], list[Tensor]]:
        """The outputs and inputs of a result.

        Raises:
            WireError: there is none of this number, or it is too long ago.
        """
        if type(number) is not int or number not in self.outputs or number not in self.inputs:
            raise WireError("a gradient of something that was not computed here")
        return self.outputs[number], self.inputs[number]

    def lend(self, call: int, tensors: list[Tensor]) -> None:
        """Remember the arguments of a call to the other side."""
        _put(self.lent, call, tensors)

    def borrow(self, call: Any, tensors: list[Tensor]) -> None:
        """Remember the arguments of a call from the other side."""
        if type(call) is not int:
            raise WireError("a call without a number")
        _put(self.borrowed, call, tensors)

    def named(self) -> dict[int, tuple[Tensor, list]]:
        """What was borrowed, by id, with what :meth:`lender` knows it by."""
        return {
            id(tensor): (tensor, ["lent", call, place])
            for call, tensors in self.borrowed.items()
            for place, tensor in enumerate(tensors)
        }

    def lender(self, call: Any, place: Any) -> Tensor:
        """The tensor of this side's that the other side borrowed.

        Raises:
            WireError: none was lent by these numbers.
        """
        if type(call) is not int or type(place) is not int or not 0 <= place < len(self.lent.get(call, ())):
            raise WireError("a gradient for something that was not sent")
        return self.lent[call][place]


def _put(table: Table, number: int, tensors: list[Tensor]) -> None:
    """Keep tensors, at the cost of the oldest ones."""
    if tensors:
        table[number] = tensors
    kept = sum(tensor.nbytes for tensors in table.values() for tensor in tensors)
    while len(table) > MOST_GRAPHS or kept > MOST_KEPT:
        kept -= sum(tensor.nbytes for tensor in table.popitem(last=False)[1])


def reached(outputs: list[Tensor]) -> list[int]:
    """The ids of the leaves that outputs were computed from."""
    found, seen = dict[int, None](), set[Any]()
    waiting = [output.grad_fn for output in outputs if output.grad_fn is not None]
    found.update((id(output), None) for output in outputs if output.is_leaf)
    while waiting:
        step = waiting.pop()
        if step in seen:
            continue
        seen.add(step)
        if hasattr(step, "variable"):
            found[id(step.variable)] = None
        waiting += [inner for inner, _ in step.next_functions if inner is not None]
    return list(found)
