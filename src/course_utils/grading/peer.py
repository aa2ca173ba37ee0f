"""Two processes that call each other's functions with values: the same code on either side.

A request waits for its reply and serves the other side's requests meanwhile, so calls nest: a test may hand a
function *into* a student's function. Gradients cross as vector–Jacobian products: the side that computed a result
keeps its graph, and a custom autograd function on the other side asks for the product (first order).
"""

from __future__ import annotations

import builtins
import contextlib
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from course_utils.grading import frames
from course_utils.grading.frames import FrameLimits, GoneError, WireError
from course_utils.grading.values import Decoder, Encoder, Handles, Remote

DEEPEST_CALL = 30  # calls within calls, counted on this side
MOST_GRAPHS = 2_000  # results whose graph is kept for a gradient
LONGEST_TEXT = 2_000  # characters of an exception

Header = dict[str, Any]


class Peer:
    """One end of a connection.

    Args:
        connection: a connected stream socket; its timeout bounds every wait.
        limits: what one frame may hold.
        operations: further requests that this end answers, by name: header → header.
    """

    def __init__(
        self,
        connection: socket.socket,
        limits: FrameLimits | None = None,
        operations: dict[str, Callable[[Header], Header]] | None = None,
    ) -> None:
        self.connection, self.limits = connection, limits or FrameLimits()
        self.handles = Handles()
        self.operations = operations or {}
        self.graphs: OrderedDict[int, tuple[list[Tensor], list[Tensor]]] = OrderedDict()
        self.count = self.depth = self.graph_count = 0

    # --- asking ---

    def ask(self, operation: str, header: Header, blobs: Sequence[bytes] = ()) -> tuple[Header, list[bytes]]:
        """Send a request and wait for its reply, serving what the other side asks meanwhile.

        Raises:
            GoneError: the other side is gone, or did not answer in time.
            WireError: the other side does not keep to the protocol.
            Exception: what the other side raised, as its nearest builtin type.
        """
        self.count += 1
        number = self.count
        frames.send(self.connection, {**header, "ask": operation, "number": number}, blobs)
        try:
            return self._await(number)
        except (GoneError, WireError):
            self.connection.close()  # nothing that comes after can be trusted to be in step, or is worth a wait
            raise

    def _await(self, number: int) -> tuple[Header, list[bytes]]:
        """Wait for one reply."""
        while True:
            answer, content = frames.receive(self.connection, self.limits)
            if "ask" in answer:
                self.serve(answer, content)
            elif answer.get("reply") != number:
                raise WireError("a reply to something that was not asked")
            elif "error" in answer:
                raise _exception(answer["error"])
            else:
                return answer, content

    def call(self, handle: int, args: tuple, kwargs: dict) -> Any:
        """Call a thing of the other side's with values, and return its value."""
        encoder = Encoder(self.handles)
        tree = encoder.encode([list(args), kwargs])
        header = {"on": handle, "values": tree, "grad": torch.is_grad_enabled()}
        reply, blobs = self.ask("call", header, encoder.blobs)
        outputs = self._decoder(blobs).decode(reply.get("outputs"))
        if not isinstance(outputs, list) or not all(isinstance(output, Tensor) for output in outputs):
            raise WireError("outputs that are no tensors")
        if outputs:
            outputs = _Vjp.apply(self, reply.get("graph"), len(outputs), *outputs, *encoder.tracked)
        decoder = self._decoder(blobs, request=encoder.objects, outputs=outputs)
        value = decoder.decode(reply.get("values"))
        self._write_back(decoder.decode(reply.get("writes")), encoder.objects)
        return value

    def remote(self, number: Any) -> Remote:
        """A stand-in for a thing of the other side's."""
        if type(number) is not int or not 0 <= number < Handles.MOST:
            raise WireError("a handle that is none")
        return Remote(number, self.call)

    def value(self, operation: str, header: Header) -> Any:
        """Ask for something whose reply holds a value."""
        reply, blobs = self.ask(operation, header)
        return self._decoder(blobs).decode(reply.get("values"))

    def _write_back(self, writes: Any, originals: list[Any]) -> None:
        """What was changed in place over there is changed here."""
        for write in writes if isinstance(writes, list) else [None]:
            if not isinstance(write, tuple) or len(write) != 2 or type(write[0]) is not int:
                raise WireError("changes that are none")
            if not 0 <= write[0] < len(originals):
                raise WireError("a change of something that was not sent")
            _replace(originals[write[0]], write[1])

    def _decoder(self, blobs: list[bytes], request: Sequence[object] = (), outputs: Sequence[Tensor] = ()) -> Decoder:
        return Decoder(blobs, self.handles, self.remote, request=request, outputs=outputs)

    # --- answering ---

    def serve_forever(self) -> None:
        """Answer requests until the other side closes the connection, or does not keep to the protocol."""
        with self.connection, contextlib.suppress(GoneError, WireError):
            while True:
                self.serve(*frames.receive(self.connection, self.limits))

    def serve(self, header: Header, blobs: list[bytes]) -> None:
        """Answer one request; what goes wrong in answering it is the reply."""
        number = header.get("number")
        if self.depth >= DEEPEST_CALL:
            raise WireError(f"calls nest more than {DEEPEST_CALL} deep")
        self.depth += 1
        try:
            reply, content = self._answer(header, blobs)
        except (GoneError, WireError):
            raise
        except BaseException as error:
            reply, content = {"error": _described(error)}, []
        finally:
            self.depth -= 1
        frames.send(self.connection, {**reply, "reply": number}, content)

    def _answer(self, header: Header, blobs: list[bytes]) -> tuple[Header, list[bytes]]:
        operation = header.get("ask")
        if operation == "call":
            return self._answer_call(header, blobs)
        if operation == "vjp":
            return self._answer_vjp(header, blobs)
        if operation in self.operations:
            encoder = Encoder(self.handles)
            reply = self.operations[operation](header)
            if "values" in reply:
                reply = {**reply, "values": encoder.encode(reply["values"])}
            return reply, encoder.blobs
        raise WireError("a request of an unknown kind")

    def _answer_call(self, header: Header, blobs: list[bytes]) -> tuple[Header, list[bytes]]:
        thing = self.handles.take(header.get("on"))
        decoder = self._decoder(blobs)
        values = decoder.decode(header.get("values"))
        args, kwargs = values if isinstance(values, list) and len(values) == 2 else (None, None)
        if not isinstance(args, list) or not isinstance(kwargs, dict) or not all(type(key) is str for key in kwargs):
            raise WireError("a call without arguments")
        before = [_state(thing) for thing in decoder.objects]
        with torch.set_grad_enabled(header.get("grad") is True):
            result = thing(*args, **kwargs)
        encoder = Encoder(self.handles, request=decoder.objects)
        reply: Header = {"values": encoder.encode(result)}
        changed = [n for n, thing in enumerate(decoder.objects) if _state(thing) != before[n]]
        reply["writes"] = ["l", *(["t", n, encoder.encode(decoder.objects[n], again=False)] for n in changed)]
        reply["graph"] = self._keep(encoder.outputs, decoder.tracked)
        # The outputs' numbers travel without their graphs, which stay here.
        plain = Encoder(self.handles)
        plain.blobs = encoder.blobs
        reply["outputs"] = ["l", *(plain.tensor(output.detach()) for output in encoder.outputs)]
        return reply, encoder.blobs

    def _keep(self, outputs: list[Tensor], inputs: list[Tensor]) -> int:
        self.graph_count += 1
        if outputs:
            self.graphs[self.graph_count] = (outputs, inputs)
        while len(self.graphs) > MOST_GRAPHS:
            self.graphs.popitem(last=False)
        return self.graph_count

    def _answer_vjp(self, header: Header, blobs: list[bytes]) -> tuple[Header, list[bytes]]:
        graph = header.get("graph")
        if type(graph) is not int or graph not in self.graphs:
            raise WireError("a gradient of something that was not computed here")
        outputs, inputs = self.graphs[graph]
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


class _Vjp(torch.autograd.Function):
    """Outputs that were computed over there, with gradients that are asked for over there."""

    @staticmethod
    def forward(ctx: Any, peer: Peer, graph: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.peer, ctx.graph, ctx.count = peer, graph, count
        ctx.shapes = [tensor.shape for tensor in tensors[count:]]
        return tuple(tensor.clone() for tensor in tensors[:count])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        encoder = Encoder(ctx.peer.handles)
        tree = encoder.encode(list(grads))
        reply, blobs = ctx.peer.ask("vjp", {"graph": ctx.graph, "values": tree}, encoder.blobs)
        gradients = ctx.peer._decoder(blobs).decode(reply.get("values"))
        if not isinstance(gradients, list) or len(gradients) != len(ctx.shapes):
            raise WireError("gradients that are none")
        for gradient, shape in zip(gradients, ctx.shapes, strict=True):
            if gradient is not None and (not isinstance(gradient, Tensor) or gradient.shape != shape):
                raise WireError("a gradient of another shape than its tensor")
        return (None, None, None, *[None] * ctx.count, *gradients)


# --- what was changed in place ---


def _state(thing: Any) -> Any:
    """What tells later whether a list, dict, tensor or array was changed."""
    if isinstance(thing, Tensor):
        return thing._version
    if isinstance(thing, list):
        return list(map(id, thing))
    if isinstance(thing, dict):
        return [(id(key), id(item)) for key, item in thing.items()]
    return thing.tobytes()


def _replace(original: Any, content: Any) -> None:
    """Give an object the content that it has on the other side.

    Raises:
        WireError: the content is of another kind, type or shape.
    """
    if type(original) is not type(content) and not isinstance(original, Tensor) & isinstance(content, Tensor):
        raise WireError("a change into something of another kind")
    if isinstance(original, list):
        original[:] = content
    elif isinstance(original, dict):
        original.clear()
        original.update(content)
    elif original.shape != content.shape or original.dtype != content.dtype:
        raise WireError("a change into another shape or type")
    elif isinstance(original, Tensor):
        original.copy_(content)
    else:
        original[...] = content


# --- exceptions ---


def _described(error: BaseException) -> list[str]:
    """The nearest builtin type of an exception, and its text, cut."""
    builtin = next((kind for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind), Exception)
    text = str(error)
    if not issubclass(builtin, Exception):  # an exit over there is no exit here
        builtin, text = RuntimeError, f"{type(error).__name__} {text}".strip()
    return [builtin.__name__, text[:LONGEST_TEXT]]


def _exception(described: Any) -> Exception:
    """The exception that the other side describes; anything odd becomes a RuntimeError."""
    if not isinstance(described, list) or [type(part) for part in described] != [str, str]:
        raise WireError("an error that is none")
    kind = getattr(builtins, described[0], None)
    # A StopIteration would end a loop of the caller's without a word.
    if not isinstance(kind, type) or not issubclass(kind, Exception) or issubclass(kind, StopIteration):
        kind = RuntimeError
    try:
        return kind(described[1][:LONGEST_TEXT])
    except TypeError:  # UnicodeDecodeError and its like want more than a text
        return RuntimeError(described[1][:LONGEST_TEXT])
