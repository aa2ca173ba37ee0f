"""Two processes that call each other's functions with values: the same code on either side.

A request waits for its reply and serves the other side's requests meanwhile, so calls nest: a test may hand a
function *into* a student's function. Gradients cross as vector–Jacobian products: the side that computed a result
keeps its graph, and a custom autograd function on the other side asks for the product (first order).

The two ends differ in one thing: the end that does nothing but serve (:meth:`Peer.serve_forever`) is the student's,
and the other is the trusted one, whose objects are not changed, whose exits are its own, and whose words stay with it.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.grading import changes, frames
from course_utils.grading.bounds import Message
from course_utils.grading.decoding import Decoder
from course_utils.grading.errors import LONGEST_TEXT, Errors
from course_utils.grading.frames import FrameLimits, GoneError, WireError
from course_utils.grading.graphs import Graphs, reached
from course_utils.grading.handles import ACTIONS, Handles, Remote
from course_utils.grading.modules import Modules
from course_utils.grading.values import Encoder

__all__ = ["DEEPEST_CALL", "LONGEST_TEXT", "Header", "Peer"]

DEEPEST_CALL = 30  # calls within calls, counted on this side

Header = dict[str, Any]
Operation = Callable[[Header, list[bytes]], Header]


class Peer:
    """One end of a connection.

    Args:
        connection: a connected stream socket; its timeout bounds every request, what it serves meanwhile included.
        limits: what one frame may hold.
        operations: further requests that this end answers, by name: header and blobs → header.
        writes: whether changes that the other side makes in place to what it was given are made here too. Where they
            are not, they are an AssertionError. The student's end always accepts them.

    Attributes:
        writes: as above; it may be changed between calls.
        lost: why nothing more can be asked, once that is so.
    """

    def __init__(
        self,
        connection: socket.socket,
        limits: FrameLimits | None = None,
        operations: dict[str, Operation] | None = None,
        *,
        writes: bool = False,
    ) -> None:
        self.connection, self.limits, self.writes = connection, limits or FrameLimits(), writes
        self.operations = operations or {}
        self.trusted = True
        self.errors = Errors()
        self.handles = Handles()
        self.remotes: dict[int, Remote] = {}
        self.modules = Modules(self.handles, self.call)
        self.graphs = Graphs()
        self.count = self.depth = 0
        self.until = math.inf
        self.lost: GoneError | WireError | None = None

    # --- asking ---

    def ask(self, operation: str, header: Header, blobs: Sequence[bytes] = ()) -> tuple[Header, list[bytes]]:
        """Send a request and wait for its reply, serving what the other side asks meanwhile.

        Raises:
            GoneError: the other side is gone, or did not answer in time.
            WireError: the other side does not keep to the protocol.
            ValueError: the request is too large.
            Exception: what the other side raised, as its nearest builtin type.
        """
        self.count += 1
        number = self.count
        if self.depth == 0:
            self.until = time.monotonic() + (self.connection.gettimeout() or math.inf)
        try:
            frames.send(self.connection, {**header, "ask": operation, "number": number}, blobs, self.limits)
            return self._await(number)
        except BaseException as error:
            if isinstance(error, GoneError | WireError):
                self.lost = self.lost or error
            if not isinstance(error, Exception) or isinstance(error, GoneError | WireError):
                self.connection.close()  # nothing that comes after can be trusted to be in step, or is worth a wait
            raise

    def _await(self, number: int) -> tuple[Header, list[bytes]]:
        """Wait for one reply."""
        while True:
            answer, content = frames.receive(self.connection, self.limits, self.until)
            if "ask" in answer:
                self.serve(answer, content)
            elif answer.get("reply") != number:
                raise WireError("a reply to something that was not asked")
            elif "error" in answer:
                raise self.errors.heard(answer["error"], self.trusted)
            else:
                return answer, content

    def call(self, number: int, args: tuple, kwargs: dict, do: str = "call", part: str = "") -> Any:
        """Do something (:data:`~.handles.ACTIONS`) with a thing of the other side's, and return the value of that.

        Raises:
            AssertionError: an argument was changed in place, and :attr:`writes` is false.
            AttributeError: the student's side asked for an attribute.
            Exception: as for :meth:`ask`.
        """
        encoder = Encoder(self.handles)
        header: Header = {"on": number, "do": do, "part": part, "grad": torch.is_grad_enabled()}
        header |= self._written([list(args), kwargs], encoder)
        self.graphs.lend(self.count + 1, encoder.tracked)
        reply, blobs = self.ask("call", header, encoder.blobs)
        outputs = self._outputs(reply, blobs)
        decoder = self._decoder(blobs, request=encoder, outputs=outputs)
        value = self._read(reply, blobs, decoder)
        changed = self._changed(reply.get("writes"), encoder)
        if changed and not self.writes:
            raise AssertionError(changes.described(changed[0][0], args, kwargs))
        changes.replace([(original, decoder.decode(tree)) for original, tree in changed])
        return value

    def value(self, operation: str, header: Header) -> Any:
        """Ask for something whose reply holds a value."""
        reply, blobs = self.ask(operation, header)
        return self._read(reply, blobs, self._decoder(blobs))

    def remote(self, number: Any) -> Any:
        """The stand-in for a thing of the other side's: the same one each time.

        Raises:
            WireError: the number is none that the other side gives.
        """
        if type(number) is not int or not 0 <= number < Handles.MOST:
            raise WireError("a handle that is none")
        if number in self.modules.mirrors:
            return self.modules.mirrors[number]
        return self.remotes.setdefault(number, Remote(number, self.call))

    def _outputs(self, reply: Header, blobs: list[bytes]) -> list[Tensor]:
        """The results that have a gradient, as functions of what they were computed from."""
        outputs = self._decoder(blobs).decode(reply.get("outputs"))
        if not isinstance(outputs, list) or not all(isinstance(output, Tensor) for output in outputs):
            raise WireError("outputs that are no tensors")
        if not outputs:
            return []
        names = reply.get("leaves")
        if not isinstance(names, list) or not all(isinstance(name, list) and len(name) == 3 for name in names):
            raise WireError("gradients for what has no name")
        inputs = [
            self.graphs.lender(*where) if kind == "lent" else self.modules.parameter(kind, *where)
            for kind, *where in names
        ]
        return list(_Vjp.apply(self, reply.get("graph"), len(outputs), *outputs, *inputs))

    def _changed(self, writes: Any, encoder: Encoder) -> list[tuple[Any, Any]]:
        """What was changed in place over there, each with the tree of its new content."""
        for write in writes if isinstance(writes, list) else [None]:
            if not isinstance(write, list) or len(write) != 2 or type(write[0]) is not int:
                raise WireError("changes that are none")
            if not 0 <= write[0] < len(encoder.objects):
                raise WireError("a change of something that was not sent")
        return [(encoder.objects[number], tree) for number, tree in writes]

    # --- values in messages ---

    def _written(self, value: Any, encoder: Encoder) -> Header:
        """The part of a message that says a value, and what became of the modules that both sides know."""
        first = len(self.handles.given)
        try:
            tree = encoder.encode(value)
            beside = Encoder(self.handles)  # numbered apart from the value's objects, in the same blobs
            beside.blobs = encoder.blobs
            return {"values": tree, "modules": beside.encode(self.modules.outgoing())}
        except ValueError:
            self.handles.forget(first)
            raise

    def _read(self, header: Header, blobs: list[bytes], decoder: Decoder) -> Any:
        """The value that a message says, after what it says of modules."""
        self.modules.incoming(self._decoder(blobs).decode(header.get("modules")), self.writes)
        return decoder.decode(header.get("values"))

    def _decoder(self, blobs: list[bytes], request: Message | None = None, outputs: Sequence[Tensor] = ()) -> Decoder:
        return Decoder(blobs, self.handles, self.remote, request=request, outputs=outputs)

    # --- answering ---

    def serve_forever(self) -> None:
        """Be the student's end: answer requests until the other end closes, or does not keep to the protocol."""
        self.trusted, self.writes = False, True
        with self.connection, contextlib.suppress(GoneError, WireError):
            while True:
                self.serve(*frames.receive(self.connection, self.limits))

    def serve(self, header: Header, blobs: list[bytes]) -> None:
        """Answer one request; what goes wrong in answering it is the reply.

        An exit is one of these on the student's end, where nobody but the caller is there to hear of it. On the
        trusted end it is the grader's own, and goes on its way.
        """
        number = header.get("number")
        if self.depth >= DEEPEST_CALL:
            raise WireError(f"calls nest more than {DEEPEST_CALL} deep")
        self.depth += 1
        try:
            reply, content = self._answer(header, blobs)
            frames.send(self.connection, {**reply, "reply": number}, content, self.limits)
        except (GoneError, WireError):
            raise
        except BaseException as error:
            if self.trusted and not isinstance(error, Exception):
                raise
            said = {"error": self.errors.said(error, self.trusted), "reply": number}
            frames.send(self.connection, said, (), self.limits)
        finally:
            self.depth -= 1

    def _answer(self, header: Header, blobs: list[bytes]) -> tuple[Header, list[bytes]]:
        operation = header.get("ask")
        if operation == "call":
            return self._answer_call(header, blobs)
        if operation == "vjp":
            return self._answer_vjp(header, blobs)
        if operation in self.operations:
            encoder = Encoder(self.handles)
            reply = self.operations[operation](header, blobs)
            if "values" in reply:
                reply = {**reply, **self._written(reply["values"], encoder)}
            return reply, encoder.blobs
        raise WireError("a request of an unknown kind")

    def _answer_call(self, header: Header, blobs: list[bytes]) -> tuple[Header, list[bytes]]:
        decoder = self._decoder(blobs)
        args, kwargs = _arguments(self._read(header, blobs, decoder))
        self.graphs.borrow(header.get("number"), decoder.tracked)
        thing, do = self.handles.take(header.get("on"), header.get("part", "")), header.get("do", "call")
        if not isinstance(do, str) or do not in ACTIONS:
            raise WireError("to do something of an unknown kind")
        if do == "attribute" and self.trusted:  # from a Python module, say, attributes lead anywhere
            raise AttributeError("objects of the grader's can only be called")
        before = [changes.state(thing) for thing in decoder.objects]
        with torch.set_grad_enabled(header.get("grad") is True):
            result = ACTIONS[do](thing, *args, **kwargs)
        encoder = Encoder(self.handles, request=decoder)
        reply = self._written(result, encoder)
        changed = [n for n, thing in enumerate(decoder.objects) if changes.changed(thing, before[n])]
        reply["writes"] = [[n, encoder.encode(decoder.objects[n], again=False)] for n in changed]
        leaves, reply["leaves"] = self._leaves(encoder.outputs)
        reply["graph"] = self.graphs.keep(encoder.outputs, leaves)
        # The outputs' numbers travel without their graphs, which stay here.
        plain = Encoder(self.handles)
        plain.blobs = encoder.blobs
        reply["outputs"] = ["l", *(plain.tensor(output.detach()) for output in encoder.outputs)]
        return reply, encoder.blobs

    def _leaves(self, outputs: list[Tensor]) -> tuple[list[Tensor], list[list]]:
        """What outputs were computed from, as far as the other side knows it, and what it knows it by."""
        named = self.modules.named() | self.graphs.named() if outputs else {}
        found = [named[key] for key in reached(outputs) if key in named]
        return [leaf for leaf, _ in found], [name for _, name in found]

    def _answer_vjp(self, header: Header, blobs: list[bytes]) -> tuple[Header, list[bytes]]:
        outputs, inputs = self.graphs.take(header.get("graph"))
        given = self._decoder(blobs).decode(header.get("values"))
        pairs = [(output, grad) for output, grad in zip(outputs, given, strict=True) if grad is not None]
        gradients: Sequence[Tensor | None] = [None] * len(inputs)
        if pairs and inputs:
            gradients = torch.autograd.grad(
                [output for output, _ in pairs],
                inputs,
                [grad for _, grad in pairs],
                retain_graph=True,
                allow_unused=True,
            )
        encoder = Encoder(self.handles)
        return {"values": encoder.encode(list(gradients))}, encoder.blobs


def _arguments(values: Any) -> tuple[list, dict]:
    args, kwargs = values if isinstance(values, list) and len(values) == 2 else (None, None)
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not all(type(key) is str for key in kwargs):
        raise WireError("a call without arguments")
    return args, kwargs


class _Vjp(torch.autograd.Function):
    """Outputs that were computed over there, with gradients that are asked for over there."""

    @staticmethod
    def forward(ctx: Any, peer: Peer, graph: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.peer, ctx.graph, ctx.count = peer, graph, count
        ctx.like = [(tensor.shape, tensor.dtype) for tensor in tensors[count:]]
        return tuple(tensor.clone() for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():  # what create_graph=True means in here
            raise RuntimeError(
                "a gradient of a gradient was asked for: only first derivatives reach the student's code"
            )
        encoder = Encoder(ctx.peer.handles)
        tree = encoder.encode(list(grads))
        reply, blobs = ctx.peer.ask("vjp", {"graph": ctx.graph, "values": tree}, encoder.blobs)
        gradients = ctx.peer._decoder(blobs).decode(reply.get("values"))
        if not isinstance(gradients, list) or len(gradients) != len(ctx.like):
            raise WireError("gradients that are none")
        for gradient, like in zip(gradients, ctx.like, strict=True):
            if gradient is not None and (not isinstance(gradient, Tensor) or (gradient.shape, gradient.dtype) != like):
                raise WireError("a gradient of another shape or type than its tensor")
        return (None, None, None, *[None] * ctx.count, *gradients)
