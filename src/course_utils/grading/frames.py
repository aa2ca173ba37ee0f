"""Frames on a socket: one JSON header and any number of raw blobs, each with its length in front.

A frame is a 4-byte length, a header of that many bytes, and the blobs one after the other; the header's key ``blobs``
lists their lengths. Whatever comes from the other side is hostile until parsed: lengths are checked against
:class:`FrameLimits` before anything of that size is read, and a header is JSON, never a pickle.
"""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DEEPEST_HEADER = 300  # brackets within brackets: twice what the deepest value needs, and no strain for the parser
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)  # one that does not end goes to the end
_STEPS = bytes({"[": 1, "{": 1, "]": 255, "}": 255}.get(chr(letter), 0) for letter in range(256))


class WireError(Exception):
    """The other side sent what is no frame, or one beyond the limits."""


class GoneError(Exception):
    """The other side closed the connection, or did not answer in time."""


@dataclass(frozen=True)
class FrameLimits:
    """How much one frame may hold, in bytes and in pieces."""

    header: int = 4 << 20
    blobs: int = 10_000
    total: int = 256 << 20

    def check(self, header: int, sizes: Sequence[int], error: type[Exception]) -> None:
        """Raise the error where a header of so many bytes, or blobs of these sizes, are too large."""
        if header > self.header:
            raise error(f"a header of {header} bytes, more than {self.header}")
        if len(sizes) > self.blobs or sum(sizes) > self.total:
            raise error(f"{len(sizes)} blobs of {sum(sizes)} bytes, more than {self.blobs} or {self.total}")


TRUSTED = FrameLimits(header=256 << 20, total=2 << 30)  # between two sides that need not fear each other


def send(
    connection: socket.socket, header: dict[str, Any], blobs: Sequence[bytes] = (), limits: FrameLimits = TRUSTED
) -> None:
    """Send a frame.

    Raises:
        GoneError: the other side is not there any more.
        ValueError: the frame is beyond the limits, or its header is not JSON; nothing was sent.
    """
    sizes = [len(blob) for blob in blobs]
    text = json.dumps({**header, "blobs": sizes}, allow_nan=False).encode()
    limits.check(len(text), sizes, ValueError)
    try:
        # In one piece, so that the other side is woken once.
        connection.sendall(b"".join((struct.pack(">I", len(text)), text, *blobs)))
    except OSError as error:
        raise GoneError("the other side is gone") from error


def receive(
    connection: socket.socket, limits: FrameLimits, until: float = math.inf
) -> tuple[dict[str, Any], list[bytes]]:
    """Wait for a frame.

    Args:
        connection: the socket.
        limits: what the frame may hold.
        until: when to give up a sender that is slow rather than silent, as ``time.monotonic`` tells the time.

    Raises:
        GoneError: the connection was closed, or its timeout passed.
        WireError: what came is not a frame, or is beyond the limits.
    """
    (length,) = struct.unpack(">I", _exactly(connection, 4, until))
    limits.check(length, [], WireError)
    header = _parse(_exactly(connection, length, until))
    sizes = header.pop("blobs", None)
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise WireError("a header without the lengths of its blobs")
    limits.check(length, sizes, WireError)
    return header, [_exactly(connection, size, until) for size in sizes]


def _parse(text: bytes) -> dict[str, Any]:
    brackets = text.count(b"[") + text.count(b"{")  # as a rule too few to nest so deep
    if brackets > DEEPEST_HEADER and _depth(text) > DEEPEST_HEADER:
        raise WireError("a header that nests too deep")
    try:
        header = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a header that is not JSON: {type(error).__name__}") from error
    if not isinstance(header, dict):
        raise WireError("a header that is not an object")
    return header


def _depth(text: bytes) -> int:
    """How deep the brackets nest outside strings.

    The parser recurses in C; where someone has raised Python's recursion limit, its own check comes after the crash.
    """
    steps = np.frombuffer(_STRINGS.sub(b"", text).translate(_STEPS), dtype=np.int8)
    return int(steps.cumsum(dtype=np.int32).max(initial=0))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _exactly(connection: socket.socket, size: int, until: float) -> bytes:
    """Read ``size`` bytes; memory grows with what has come, not with what was announced."""
    parts, missing = [], size
    while missing:
        if time.monotonic() > until:
            raise GoneError("no answer in time")
        try:
            part = connection.recv(min(missing, 1 << 20))
        except TimeoutError as error:
            raise GoneError("no answer in time") from error
        except OSError as error:
            raise GoneError("the connection broke") from error
        if not part:
            raise GoneError("the connection was closed")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
