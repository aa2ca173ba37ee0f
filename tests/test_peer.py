"""Calls between two processes (here two threads): as if the function were local, and safe if it is not honest."""

import socket
import threading
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import torch

from course_utils.grading import frames
from course_utils.grading.frames import GoneError, WireError
from course_utils.grading.peer import DEEPEST_CALL, LONGEST_TEXT, Peer


@contextmanager
def served(**functions):
    """The functions of another side, as stand-ins."""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    other = Peer(theirs, operations={"name": lambda header: {"values": functions[header["name"]]}})
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    here = Peer(ours)
    with ours, theirs:
        yield [here.value("name", {"name": name}) for name in functions]
        with suppress(OSError):  # a peer closes a connection that it gave up
            ours.shutdown(socket.SHUT_RDWR)
        thread.join()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def attention(query, key, value, *, scale=1.0):
    weights = (query @ key.T * scale).softmax(-1)
    return weights @ value, weights


def test_a_call_gives_what_the_function_gives() -> None:
    with served(f=attention) as [f]:
        args = normal(3, 7), normal(5, 7), normal(5, 2)
        torch.testing.assert_close(f(*args, scale=0.3), attention(*args, scale=0.3))


def test_gradients_cross_for_every_input_and_output() -> None:
    def gradients(f, leaves):
        output, weights = f(leaves[0], leaves[1] * 2, value=leaves[2])
        loss = output.square().sum() + (weights * normal(3, 5, seed=1)).sum()
        return torch.autograd.grad(loss, leaves)

    with served(f=attention) as [f]:
        leaves = [normal(3, 7).requires_grad_(), normal(5, 7).requires_grad_(), normal(5, 2).requires_grad_()]
        torch.testing.assert_close(gradients(f, leaves), gradients(attention, leaves))
        assert torch.autograd.gradcheck(lambda q, k: f(q, k, leaves[2].detach())[0], leaves[:2])


def test_gradients_of_tensors_inside_containers_and_only_where_asked() -> None:
    with served(f=lambda pair, table: [pair[0] * table["w"], pair[1] + 1]) as [f]:
        a, w, b = normal(3).requires_grad_(), normal(3, seed=1).requires_grad_(), normal(2)
        first, second = f((a, b), {"w": w})
        assert first.requires_grad
        assert not second.requires_grad
        first.sum().backward()
        torch.testing.assert_close((a.grad, w.grad), (w.detach(), a.detach()))


def test_no_graph_under_no_grad_and_a_second_backward_works() -> None:
    with served(f=torch.exp) as [f]:
        x = normal(3).requires_grad_()
        with torch.no_grad():
            assert not f(x).requires_grad
        y = f(x).sum()
        y.backward(retain_graph=True)
        y.backward()
        torch.testing.assert_close(x.grad, 2 * x.detach().exp())


def test_what_is_changed_in_place_over_there_is_changed_here() -> None:
    def change(x, array, items, table):
        x += 1
        array[0] = 7
        items.append(items[0])
        table["x"] = x
        return x

    with served(f=change) as [f]:
        x, array, items, table = torch.zeros(3), np.zeros(2), [[1]], {}
        assert f(x, array, items, table) is x
        assert x.tolist() == [1, 1, 1]
        assert array.tolist() == [7, 0]
        assert items[1] is items[0]
        assert table["x"] is x


def test_a_leaf_cannot_be_changed_in_place_and_what_is_none_can() -> None:
    def change(x):
        x *= 3
        return x.sum()

    with served(f=change) as [f]:
        leaf = normal(3).requires_grad_()
        with pytest.raises(RuntimeError, match="in-place"):
            f(leaf)
        inner = leaf * 1
        f(inner).backward()
        torch.testing.assert_close(inner.detach(), 3 * leaf.detach())
        assert leaf.grad.tolist() == [3, 3, 3]


def test_a_function_passed_over_is_called_back_with_gradients() -> None:
    with served(f=lambda g, x: g(2 * x) + 1) as [f]:
        x = normal(3).requires_grad_()
        f(lambda z: z**2, x).sum().backward()
        torch.testing.assert_close(x.grad, 8 * x.detach())


def test_an_object_comes_back_as_itself() -> None:
    class Thing:
        pass

    thing = Thing()
    with served(f=lambda x: x, make=lambda: len, use=lambda g, x: g(x)) as [f, make, use]:
        assert f(thing) is thing
        assert use(make(), [1, 2, 3]) == 3


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ValueError("no such mask"), ValueError),
        (torch.linalg.LinAlgError("singular"), RuntimeError),
        (SystemExit(0), RuntimeError),
        (KeyboardInterrupt(), RuntimeError),
        (StopIteration("enough"), RuntimeError),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), RuntimeError),
        (type("Own", (LookupError,), {})("mine"), LookupError),
    ],
)
def test_an_exception_arrives_as_its_nearest_builtin_type(raised: BaseException, expected: type) -> None:
    def fail():
        raise raised

    with served(f=fail) as [f], pytest.raises(expected):
        f()


def test_the_text_of_an_exception_is_cut() -> None:
    def fail():
        raise ValueError("x" * 10**6)

    with served(f=fail) as [f], pytest.raises(ValueError, match="x") as caught:
        f()
    assert len(str(caught.value)) == LONGEST_TEXT


def test_calls_that_nest_without_end_are_stopped() -> None:
    with served(f=lambda g: g()) as [f]:

        def again():
            return f(again)

        with pytest.raises((WireError, GoneError), match=f"more than {DEEPEST_CALL} deep|closed"):
            f(again)


# --- the other side is not honest ---


@contextmanager
def answered(*frames_sent):
    """A peer whose other side answers with these headers and blobs, whatever is asked."""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with ours, theirs:
        for header, blobs in frames_sent:
            frames.send(theirs, header, blobs)
        yield Peer(ours)


GOOD = {"reply": 1, "values": None, "writes": ["l"], "outputs": ["l"], "graph": 1}
X = ["T", "float32", [2], 0, 0]


@pytest.mark.parametrize(
    ("answer", "blobs"),
    [
        ({"reply": 2}, []),
        ({}, []),
        ({"reply": True, "values": 1}, []),
        ({"ask": "exec", "number": 1}, []),
        ({"ask": "call", "number": 1, "on": 0, "values": ["l", ["l"], ["d"]]}, []),
        ({"ask": "vjp", "number": 1, "graph": 1}, []),
        ({"reply": 1, "error": "x"}, []),
        ({"reply": 1, "error": ["ValueError", 3]}, []),
        ({**GOOD, "outputs": None}, []),
        ({**GOOD, "outputs": ["l", 3]}, []),
        ({**GOOD, "values": ["g", 0]}, []),
        ({**GOOD, "values": ["a", 5]}, []),
        ({**GOOD, "values": ["o", 0]}, []),
        ({**GOOD, "values": ["h", 10**9]}, []),
        ({**GOOD, "values": ["h", -1]}, []),
        ({**GOOD, "writes": None}, []),
        ({**GOOD, "writes": ["l", 3]}, []),
        ({**GOOD, "writes": ["l", ["t", 9, X]]}, [b"\0" * 8]),
        ({**GOOD, "writes": ["l", ["t", 0, X]]}, [b"\0" * 8]),  # number 0 is the list of arguments
        ({**GOOD, "writes": ["l", ["t", 2, ["T", "float32", [3], 0, 0]]]}, [b"\0" * 12]),
        ({**GOOD, "writes": ["l", ["t", 2, ["T", "int32", [2], 0, 0]]]}, [b"\0" * 8]),
        ({**GOOD, "writes": ["l", ["t", 1, 5]]}, []),
    ],
)
def test_a_reply_that_no_peer_gives_is_refused(answer, blobs) -> None:
    with answered((answer, blobs)) as peer, pytest.raises(WireError):
        peer.call(0, (torch.zeros(2),), {})


@pytest.mark.parametrize(
    "name", ["SystemExit", "KeyboardInterrupt", "print", "eval", "__import__", "NoSuchThing", "BaseException"]
)
def test_an_error_of_a_type_that_is_no_exception_is_a_runtime_error(name: str) -> None:
    with answered(({"reply": 1, "error": [name, "text"]}, [])) as peer, pytest.raises(RuntimeError, match="text"):
        peer.call(0, (), {})


@pytest.mark.parametrize("gradients", [["l"], ["l", ["T", "float32", [3], 0, 0]], ["l", 1], 5, ["l", X, X]])
def test_a_gradient_of_another_shape_is_refused(gradients) -> None:
    reply = {**GOOD, "outputs": ["l", X], "values": ["g", 0]}
    with answered((reply, [b"\0" * 8]), ({"reply": 2, "values": gradients}, [b"\0" * 12])) as peer:
        y = peer.call(0, (torch.zeros(2, requires_grad=True),), {})
        with pytest.raises(WireError):
            y.sum().backward()
