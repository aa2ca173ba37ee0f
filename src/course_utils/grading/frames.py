"""Frames on a socket: one JSON header and any number of raw blobs, each with its length in front.

A frame is a 4-byte length, a header of that many bytes, and the blobs one after the other; the header's key ``blobs``
lists their lengths. Whatever comes from the other side is hostile until parsed: lengths are checked against
:class:`FrameLimits` before anything of that size is read, and a header is JSON, never a pickle.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class WireError(Exception):
    """The other side sent what is no frame, or one beyond the limits."""


class GoneError(Exception):
    """The other side closed the connection, or did not answer in time."""


@dataclass(frozen=True)
class FrameLimits:
    """How much one frame may hold, in bytes and in pieces."""

    header: int = 4 << 20
    blobs: int = 10_000
    total: int = 512 << 20


def send(connection: socket.socket, header: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
    """Send a frame.

    Raises:
        GoneError: the other side is not there any more.
    """
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}, allow_nan=False).encode()
    try:
        connection.sendall(struct.pack(">I", len(text)) + text)
        for blob in blobs:
            connection.sendall(blob)
    except OSError as error:
        raise GoneError("the other side is gone") from error


def receive(connection: socket.socket, limits: FrameLimits) -> tuple[dict[str, Any], list[bytes]]:
    """Wait for a frame.

    Raises:
        GoneError: the connection was closed, or its timeout passed.
        WireError: what came is not a frame, or is beyond the limits.
    """
    (length,) = struct.unpack(">I", _exactly(connection, 4))
    if length > limits.header:
        raise WireError(f"a header of {length} bytes, more than {limits.header}")
    header = _parse(_exactly(connection, length))
    sizes = header.pop("blobs", None)
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise WireError("a header without the lengths of its blobs")
    if len(sizes) > limits.blobs or sum(sizes) > limits.total:
        raise WireError(f"{len(sizes)} blobs of {sum(sizes)} bytes, more than {limits.blobs} or {limits.total}")
    return header, [_exactly(connection, size) for size in sizes]


def _parse(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a header that is not JSON: {type(error).__name__}") from error
    if not isinstance(header, dict):
        raise WireError("a header that is not an object")
    return header


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _exactly(connection: socket.socket, size: int) -> bytes:
    """Read ``size`` bytes; memory grows with what has come, not with what was announced."""
    parts, missing = [], size
    while missing:
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
