"""Frames: what was sent arrives; what is no frame is refused before it is believed."""

import json
import socket
import struct
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.grading import frames
from course_utils.grading.frames import FrameLimits, GoneError, WireError, receive, send

SMALL = FrameLimits(header=200, blobs=3, total=100)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def raw(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


@given(st.lists(st.binary(max_size=20), max_size=3))
def test_what_was_sent_arrives(blobs: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, {"ask": "call", "text": "질문"}, blobs)
        assert receive(theirs, SMALL) == ({"ask": "call", "text": "질문"}, blobs)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (struct.pack(">I", 201), "a header of 201 bytes, more than 200"),
        (struct.pack(">I", 2**32 - 1), "a header of 4294967295 bytes"),
        (raw(b"\x80\x04K*."), "not JSON"),
        (raw(b"\xff\xfe"), "not JSON"),
        (raw(b'{"x": NaN, "blobs": []}'), "not JSON"),
        (raw(b'{"x": ' + b"9" * 150 + b"9" * 0 + b"."), "not JSON"),
        (raw(b"[" * 190), "not JSON"),
        (raw(b"[]"), "not an object"),
        (raw(b'"x"'), "not an object"),
        (raw(b"{}"), "without the lengths"),
        (raw(b'{"blobs": 3}'), "without the lengths"),
        (raw(b'{"blobs": [-1]}'), "without the lengths"),
        (raw(b'{"blobs": [true]}'), "without the lengths"),
        (raw(b'{"blobs": [1.0]}'), "without the lengths"),
        (raw(b'{"blobs": [0, 0, 0, 0]}'), "4 blobs of 0 bytes, more than 3"),
        (raw(b'{"blobs": [101]}'), "1 blobs of 101 bytes"),
        (raw(b'{"blobs": [99999999999999999999]}'), "blobs of 99999999999999999999 bytes"),
    ],
)
def test_what_is_no_frame_is_refused(pair, content: bytes, said: str) -> None:
    ours, theirs = pair
    ours.sendall(content)
    ours.shutdown(socket.SHUT_WR)
    with pytest.raises(WireError, match=said):
        receive(theirs, SMALL)


def test_json_nested_beyond_the_parser_is_refused() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)  # with this the parser itself would not stop before the process does
    try:
        for text in (b"[" * 1_000_000, b'{"x":' * 200_000, b'"[]\\"]",' + b"[{" * 500_000, b'"' + b'\\"' * 2_000_000):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                sender = threading.Thread(target=ours.sendall, args=[raw(text)])
                sender.start()
                with pytest.raises(WireError, match=r"too deep|not JSON"):
                    receive(theirs, FrameLimits())
                sender.join()
    finally:
        sys.setrecursionlimit(limit)


@given(st.recursive(st.text('"\\[]{} a'), lambda inner: st.lists(inner) | st.dictionaries(st.text('"[\\'), inner)))
def test_brackets_in_strings_do_not_nest(value) -> None:
    def depth(value) -> int:
        parts = list(value.values()) if isinstance(value, dict) else value
        return 0 if isinstance(value, str) else 1 + max(map(depth, parts), default=0)

    assert frames._depth(json.dumps(value).encode()) == depth(value)


def test_a_sender_that_is_slow_without_end_is_given_up(pair) -> None:
    ours, theirs = pair
    ours.sendall(raw(b'{"blobs": []}'))
    with pytest.raises(GoneError, match="in time"):
        receive(theirs, SMALL, until=time.monotonic() - 1)


def test_what_the_other_side_would_refuse_is_not_sent(pair) -> None:
    ours, theirs = pair
    for header, blobs in (({"x": "y" * 200}, []), ({}, [b"y" * 101]), ({}, [b""] * 4)):
        with pytest.raises(ValueError, match="more than"):
            send(ours, header, blobs, SMALL)
    send(ours, {"x": 1}, [b"y"], SMALL)
    assert receive(theirs, SMALL) == ({"x": 1}, [b"y"])


def test_an_integer_of_too_many_digits_is_refused(pair) -> None:
    ours, theirs = pair
    ours.sendall(raw(b'{"blobs": [], "x": ' + b"9" * 10_000 + b"}"))
    with pytest.raises(WireError, match="not JSON"):
        receive(theirs, FrameLimits())


@pytest.mark.parametrize("content", [b"", b"\x00\x00", raw(b'{"blobs": [5]}') + b"1234"])
def test_a_connection_that_ends_is_gone(pair, content: bytes) -> None:
    ours, theirs = pair
    ours.sendall(content)
    ours.close()
    with pytest.raises(GoneError, match="closed"):
        receive(theirs, SMALL)


def test_no_answer_in_time_is_gone(pair) -> None:
    _, theirs = pair
    theirs.settimeout(0.01)
    with pytest.raises(GoneError, match="no answer in time"):
        receive(theirs, SMALL)


def test_sending_to_nobody_is_gone(pair) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(GoneError):
        send(ours, {"x": 1}, [b"y"])


def test_a_header_never_holds_what_json_does_not_know(pair) -> None:
    with pytest.raises(ValueError, match="JSON"):
        send(pair[0], {"x": float("nan")})
