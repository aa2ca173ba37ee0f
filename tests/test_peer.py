"""Calls between two processes (here two threads): as if the function were local, and safe if it is not honest."""

import socket
import threading
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.grading import frames, handles
from course_utils.grading.frames import GoneError, WireError
from course_utils.grading.peer import DEEPEST_CALL, LONGEST_TEXT, Peer


@contextmanager
def served(*, writes: bool = False, **functions):
    """The functions of another side, the student's, as stand-ins."""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    other = Peer(theirs, operations={"name": lambda header, _: {"values": functions[header["name"]]}})
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    here = Peer(ours, writes=writes)
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

    with served(writes=True, f=change) as [f]:
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

    with served(writes=True, f=change) as [f]:
        leaf = normal(3).requires_grad_()
        with pytest.raises(RuntimeError, match="in-place"):
            f(leaf)
        inner = leaf * 1
        f(inner).backward()
        torch.testing.assert_close(inner.detach(), 3 * leaf.detach())
        assert leaf.grad.tolist() == [3, 3, 3]


def add(x, **_):
    x += 1


def add_data(x, **_):
    x.data.add_(1)


def put(x, **_):
    x[0] = 7


def put_beyond(x, **_):
    x.pop()
    x.append(sum([0.5, 3.25]))


def rename(x, **_):
    x["b"] = x.pop("a")


@pytest.mark.parametrize(
    ("change", "given", "said"),
    [
        (add, lambda: torch.zeros(3), "argument 1, a tensor,"),
        (add_data, lambda: torch.zeros(3), "argument 1, a tensor,"),
        (lambda x, **_: put(x.numpy()), lambda: torch.zeros(3), "argument 1, a tensor,"),
        (put, lambda: np.zeros(3), "argument 1, an array,"),
        (put, lambda: np.array(["a"]), "argument 1, an array,"),
        (put, lambda: [[1], 2], "argument 1, a list,"),
        (put_beyond, lambda: [1.5, 2.5], "argument 1, a list,"),
        (rename, lambda: {"a": 1}, "argument 1, a dict,"),
        (lambda x, **_: put(x[0]), lambda: [[1], 2], "a list among its arguments"),
        (lambda x, more: add(more), lambda: torch.zeros(1), "argument 'more', a tensor,"),
    ],
)
def test_what_the_student_changes_in_place_is_said_and_changes_nothing(change, given, said: str) -> None:
    with served(f=change) as [f]:
        x, more = given(), torch.zeros(2)
        with pytest.raises(AssertionError, match=f"your function changed .*{said}.* in place: work on a copy"):
            f(x, more=more)
        assert repr(x) == repr(given())
        assert more.tolist() == [0, 0]


def test_writes_are_looked_up_at_each_call_and_the_students_side_takes_them() -> None:
    def back(g):
        x, items = torch.zeros(2), [1]
        g(x, items)
        return x, items

    with served(f=add, back=back) as [f, back_there]:
        x = torch.zeros(3)
        peer = f._act.__self__
        peer.writes = True
        f(x)
        peer.writes = False
        with pytest.raises(AssertionError, match="in place"):
            f(x)
        assert x.tolist() == [1, 1, 1]

        def fill(x, items):
            x += 5
            items[:] = [2, 3]

        assert repr(back_there(fill)) == repr((torch.full((2,), 5.0), [2, 3]))


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


@pytest.mark.parametrize("exit_", [SystemExit, KeyboardInterrupt])
def test_an_exit_on_the_trusted_side_goes_on_its_way(exit_: type[BaseException]) -> None:
    def leave():
        raise exit_("now")

    def keep(g):
        with suppress(BaseException):
            g()

    with served(f=keep) as [f]:
        with pytest.raises(exit_, match="now"):
            f(leave)
        with pytest.raises(GoneError):  # the two are not in step any more
            f(len)


def test_the_words_of_the_trusted_side_stay_there() -> None:
    heard = []

    def listen(g):
        try:
            g()
        except AssertionError as error:
            heard.append((type(error), str(error), vars(error)))

    def secret():
        raise AssertionError("expected 0.731")

    with served(f=listen, through=lambda g: g()) as [f, through]:
        f(secret)
        assert "0.731" not in repr(heard)
        assert heard[0][:2] == (AssertionError, "raised on the grader's side")
        with pytest.raises(AssertionError, match=r"expected 0\.731"):  # but a test hears its own
            through(secret)


def test_only_first_derivatives_cross() -> None:
    with served(f=torch.sin) as [f]:
        x = normal(3).requires_grad_()
        with pytest.raises(RuntimeError, match="a gradient of a gradient"):
            torch.autograd.grad(f(x).sum(), x, create_graph=True)
        assert torch.equal(torch.autograd.grad(f(x).sum(), x)[0], x.cos())


# --- objects with attributes, iterators, modules ---


class Cache:
    width = 7

    def __init__(self) -> None:
        self.keys, self._secret = [], 5

    def append(self, key):
        self.keys.append(key)
        return self

    def __len__(self) -> int:
        return len(self.keys)


def test_an_object_of_the_students_has_its_attributes_methods_and_length() -> None:
    with served(make=Cache) as [make]:
        cache = make()
        assert cache.append(normal(2)).append(normal(2)) is cache
        assert (len(cache), cache.width, cache.keys[1].tolist()) == (2, 7, normal(2).tolist())
        assert not hasattr(cache, "nothing")
        for name in ("_secret", "__class__.__init__", "shape"):
            with pytest.raises(AttributeError):
                getattr(cache, name)
        with pytest.raises(TypeError):
            bool(cache)


def test_an_object_of_the_graders_is_only_called() -> None:
    def attribute(thing):
        return thing.keys

    def length(thing):
        return len(thing), [sum(batch) for batch in thing]

    with served(attribute=attribute, length=length) as [attribute_there, length_there]:
        for thing in (Cache(), np, torch.nn.Linear(2, 3)):
            with pytest.raises(AttributeError, match="can only be called"):
                attribute_there(thing)

        class Batches:
            def __len__(self):
                return 2

            def __iter__(self):
                yield [1, 2]
                yield [3, 5]

        assert length_there(Batches()) == (2, [3, 8])


def test_steps_of_an_iterator_cross_and_come_to_an_end(monkeypatch) -> None:
    def powers(x):
        for n in range(3):
            yield x**n

    def forever():
        while True:
            yield 1

    with served(powers=powers, forever=forever) as [powers_there, forever_there]:
        torch.testing.assert_close(list(powers_there(normal(3))), list(powers(normal(3))))
        monkeypatch.setattr(handles, "MOST_STEPS", 50)
        with pytest.raises(RuntimeError, match="did not end"):
            list(forever_there())
        with pytest.raises(TypeError):
            iter(powers_there)


class Net(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.inner = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3))
        self.scale = nn.Parameter(torch.ones(3))
        self.frozen = nn.Parameter(torch.full((3,), 2.0), requires_grad=False)
        self.bias = self.scale  # one parameter under two names
        self.register_buffer("shift", torch.ones(3), persistent=False)
        self.register_parameter("none", None)
        self.heads = 7

    def forward(self, x):
        return self.inner(x) * self.scale * self.frozen + self.bias + self.shift

    def first(self, x):
        return self.inner[0](x)


def same_modules(one: nn.Module, other: nn.Module) -> None:
    assert {n: p.requires_grad for n, p in one.named_parameters()} == {
        n: p.requires_grad for n, p in other.named_parameters()
    }
    torch.testing.assert_close(dict(one.state_dict()), dict(other.state_dict()), rtol=0, atol=0)
    assert [(n, m.training) for n, m in one.named_modules()] == [(n, m.training) for n, m in other.named_modules()]


def test_a_module_of_the_students_trains_as_it_would_here() -> None:
    """Losses, gradients, running statistics and parameters, over steps of an optimizer on this side."""
    with served(make=Net) as [make]:
        there, here = make(), Net()
        same_modules(there, here)
        assert there is not make()
        assert there.heads == 7
        assert there.none is None
        assert there.bias is there.scale
        names = dict(there.named_parameters())
        optimizers = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for net in (there, here)]
        for step in range(3):
            for net, optimizer in zip((there, here), optimizers, strict=True):
                optimizer.zero_grad()
                x = normal(11, 5, seed=step).float()
                (net(x).square().sum() + net.scale.sum() + net.first(x).sum()).backward()
                optimizer.step()
            for name, parameter in here.named_parameters():
                torch.testing.assert_close(names[name].grad, parameter.grad)
            same_modules(there, here)
        assert all(names[name] is parameter for name, parameter in there.named_parameters())


def test_train_eval_state_and_parts_of_a_module_are_those_of_the_other_side() -> None:
    with served(make=Net, flags=lambda net: [net.training, net.inner.training]) as [make, flags]:
        there, here, x = make(), Net(), normal(11, 5).float()
        there.eval(), here.eval()
        torch.testing.assert_close(there(x), here(x))
        there.inner.train()
        assert flags(there) == [False, True]
        there.load_state_dict(Net(seed=3).state_dict()), here.load_state_dict(Net(seed=3).state_dict())
        there.inner.eval()
        torch.testing.assert_close(there(x), here(x))
        torch.testing.assert_close(there.inner(x), here.inner(x))
        torch.testing.assert_close(there.inner[0](x), here.inner[0](x))
        torch.testing.assert_close(there.inner[-1].weight, here.inner[-1].weight)
        assert len(there.inner) == len(list(there.inner)) == 2
        with pytest.raises(TypeError, match="no list"):
            list(there)
        there.to(torch.float64), here.to(torch.float64)
        torch.testing.assert_close(there(x.double()), here(x.double()))
        there.scale.data = torch.zeros(3, dtype=torch.float64)
        there.scale.data += 3
        with torch.no_grad():
            here.scale.fill_(3)
        torch.testing.assert_close(there(x.double()), here(x.double()))
        for use in (lambda: there == here, lambda: bool(there)):
            with pytest.raises(TypeError, match="module of the other side"):
                use()
        with pytest.raises(AttributeError, match="cannot be set"):
            there.heads = 3


def test_what_the_student_does_to_a_module_of_its_own_is_seen_here() -> None:
    def train(net, x):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
        net.eval()

    def grow(net):
        net.extra = nn.Linear(2, 3)
        del net.inner

    with served(make=Net, train=train, grow=grow) as [make, train_there, grow_there]:
        there, here, x = make(), Net(), normal(11, 5).float()
        first = there.scale
        train_there(there, x), train(here, x)
        same_modules(there, here)
        assert there.scale is first
        grow_there(there), grow(here)
        assert [n for n, _ in there.named_parameters()] == [n for n, _ in here.named_parameters()]


def test_gradients_reach_parameters_however_a_module_was_used() -> None:
    with served(make=lambda: nn.Linear(5, 3), loss=lambda net, x: net(x).square().sum()) as [make, loss]:
        there, x = make(), normal(7, 5).float().requires_grad_()
        loss(there, x).backward()
        weight = there.weight.detach().requires_grad_()
        (x.detach() @ weight.T + there.bias.detach()).square().sum().backward()
        torch.testing.assert_close(there.weight.grad, weight.grad)
        assert x.grad is not None


def test_gradients_reach_the_arguments_of_earlier_calls() -> None:
    class Keys:
        def __init__(self, scale):
            self.scale, self.rows = scale * 1, []

        def append(self, row):
            self.rows.append(row)

        def scores(self, query):
            return torch.stack(self.rows) @ query * self.scale

    def powers(x):
        for n in range(3):
            yield x**n

    def gradients(make, generate):
        scale, query, rows = *(normal(*shape).requires_grad_() for shape in ((1,), (7,))), normal(3, 7).requires_grad_()
        keys = make(scale)
        for row in rows * 2:
            keys.append(row)
        loss = keys.scores(query).square().sum() + sum(generate(query)).sum()
        return torch.autograd.grad(loss, [scale, query, rows])

    with served(make=Keys, powers=powers) as [make, powers_there]:
        torch.testing.assert_close(gradients(make, powers_there), gradients(Keys, powers))


def test_a_graph_outlives_a_call_that_changes_other_numbers_of_its_module() -> None:
    with served(make=Net) as [make]:
        there = make()
        loss = there.scale.square().sum()
        there(normal(11, 5).float())  # changes running statistics
        loss.backward()
        assert there.scale.grad.tolist() == [2, 2, 2]


def test_a_module_of_the_graders_is_used_and_not_changed() -> None:
    reference, x = Net(), normal(11, 5).float()
    before = {name: value.clone() for name, value in reference.state_dict().items()}

    def use(net, x):
        net.eval()
        assert isinstance(net, nn.Module)
        return net(x).square().sum() + net.scale.sum()

    def step(net):
        with torch.no_grad():
            net.scale.add_(1)

    def step_and_call(net, x):
        step(net)
        return net(x)

    with served(use=use, step=step, step_and_call=step_and_call) as [use_there, step_there, both]:
        use_there(reference, x).backward()
        assert not reference.training
        other = Net()
        use(other, x).backward()
        for (name, one), (_, two) in zip(reference.named_parameters(), other.named_parameters(), strict=True):
            torch.testing.assert_close(one.grad, two.grad, msg=name)
        for change in (lambda: step_there(reference), lambda: both(reference, x)):
            with pytest.raises(AssertionError, match="parameters of a module in place"):
                change()
        torch.testing.assert_close(dict(reference.state_dict()), before, rtol=0, atol=0)
    with served(writes=True, step=step) as [step_there]:
        step_there(reference)
        assert reference.scale.tolist() == [2, 2, 2]


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
        yield Peer(ours, writes=True)


GOOD = {"reply": 1, "values": None, "writes": [], "outputs": ["l"], "graph": 1, "leaves": [], "modules": ["l"]}
X = ["T", "float32", [2], 0, 0]


def entry(name, kind=3, tensor=X) -> list:
    return ["l", name, kind, tensor]


def part(*entries, path="", training=True) -> list:
    return ["l", path, training, ["l", *entries]]


def module(*parts, number=0) -> list:
    return ["l", ["l", True, number, ["l", *parts]]]


NO_MODULES = [
    *([part(entry(name))] for name in ("", "a.b", "__class__", "forward", "training", "_act", "_modules", 5, None)),
    *([part(), part(path=path)] for path in ("", "_act", "forward", "a.b", "__dict__", ".", "a.", 5, ["l"])),
    [part(), part(path="a"), part(path="a")],
    [part(path="a")],
    [part(entry("weight", kind=4))],
    [part(entry("weight", kind=["l"]))],
    [part(entry("weight", tensor=["l"]))],
    [part(entry("weight", tensor=5))],
    [part(entry("weight", tensor=["h", 7]))],
    [part(entry("weight", tensor=["T", "int64", [1], 0, 0]))],
    [part(["l", "weight"])],
    [part(5)],
    [part(training=1)],
    [5],
    [part(), *(part(path=".".join("a" * n)) for n in range(1, 60))],
]


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
        ({**GOOD, "values": ["a", 50]}, []),
        ({**GOOD, "values": ["o", 0]}, []),
        ({**GOOD, "values": ["h", 10**9]}, []),
        ({**GOOD, "values": ["h", -1]}, []),
        ({**GOOD, "writes": None}, []),
        ({**GOOD, "writes": [3]}, []),
        ({**GOOD, "writes": [[99, X]]}, [b"\0" * 8]),
        ({**GOOD, "writes": [[0, X]]}, [b"\0" * 8]),  # number 0 is the list of arguments
        ({**GOOD, "writes": [[2, ["T", "float32", [3], 0, 0]]]}, [b"\0" * 12]),
        ({**GOOD, "writes": [[2, ["T", "int32", [2], 0, 0]]]}, [b"\0" * 8]),
        ({**GOOD, "writes": [[1, 5]]}, []),
        ({**GOOD, "writes": [[3, ["l", ["a", 3]]]]}, []),  # a list that holds itself
        ({**GOOD, "writes": [[3, ["l", ["a", 5]]], [5, ["l", ["a", 3]]]]}, []),
        ({**GOOD, "writes": [[n, ["l", *[["a", n + 1]] * 200]] for n in (3, 4, 5)]}, []),
        ({**GOOD, "leaves": None, "outputs": ["l", X]}, [b"\0" * 8]),
        ({**GOOD, "leaves": [[True, 0, "weight"]], "outputs": ["l", X]}, [b"\0" * 8]),
        ({**GOOD, "leaves": [[False, 0, "weight"]], "outputs": ["l", X]}, [b"\0" * 8]),
        ({**GOOD, "leaves": [["lent", 1, 0]], "outputs": ["l", X]}, [b"\0" * 8]),
        ({**GOOD, "leaves": [["lent", [], "x"]], "outputs": ["l", X]}, [b"\0" * 8]),
        ({**GOOD, "leaves": [3], "outputs": ["l", X]}, [b"\0" * 8]),
        ({**GOOD, "leaves": [[[], [], []]], "outputs": ["l", X]}, [b"\0" * 8]),
        ({**GOOD, "modules": None}, []),
        ({**GOOD, "modules": 5}, []),
        ({**GOOD, "modules": ["l", 5]}, []),
        ({**GOOD, "modules": ["l", ["l", False, 0, ["l"]]]}, []),  # a module that was never given
        *(({**GOOD, "modules": module(*content)}, [b"\0" * 8]) for content in NO_MODULES),
    ],
)
def test_a_reply_that_no_peer_gives_is_refused(answer, blobs) -> None:
    with answered((answer, blobs)) as peer, pytest.raises(WireError):
        peer.call(0, (torch.zeros(2), [[]], [[]]), {})


@pytest.mark.parametrize(
    "name", ["SystemExit", "KeyboardInterrupt", "print", "eval", "__import__", "NoSuchThing", "BaseException"]
)
def test_an_error_of_a_type_that_is_no_exception_is_a_runtime_error(name: str) -> None:
    with answered(({"reply": 1, "error": [name, "text"]}, [])) as peer, pytest.raises(RuntimeError, match="text"):
        peer.call(0, (), {})


@pytest.mark.parametrize("gradients", [["l"], ["l", ["T", "float32", [3], 0, 0]], ["l", 1], 5, ["l", X, X]])
def test_a_gradient_of_another_shape_is_refused(gradients) -> None:
    reply = {**GOOD, "outputs": ["l", X], "values": ["g", 0], "leaves": [["lent", 1, 0]]}
    with answered((reply, [b"\0" * 8]), ({"reply": 2, "values": gradients}, [b"\0" * 12])) as peer:
        y = peer.call(0, (torch.zeros(2, requires_grad=True),), {})
        with pytest.raises(WireError):
            y.sum().backward()


def test_a_module_that_is_said_to_be_one_and_is_none_harms_nobody() -> None:
    lie = {**GOOD, "values": ["h", 0], "modules": module(part(entry("weight"), path=""))}
    with answered((lie, [b"\0" * 8]), ({**GOOD, "reply": 2, "values": 5}, [])) as peer:
        liar = peer.call(0, (), {})
        assert isinstance(liar, nn.Module)
        assert liar.weight.tolist() == [0, 0]
        assert liar(3) == 5


@pytest.mark.parametrize(("values", "error"), [(5, WireError), (["l", 1, 2], WireError), (["h", 4], WireError)])
def test_a_step_that_is_none_is_refused(values, error) -> None:
    with answered((GOOD | {"values": ["h", 3]}, []), (GOOD | {"reply": 2, "values": values}, [])) as peer:
        stand_in = peer.call(0, (), {})
        with pytest.raises(error):
            next(stand_in)


@pytest.mark.parametrize("values", [-1, "2", 2.5, ["h", 4], None])
def test_a_length_that_is_none_is_refused(values) -> None:
    with answered((GOOD | {"values": ["h", 3]}, []), (GOOD | {"reply": 2, "values": values}, [])) as peer:
        stand_in = peer.call(0, (), {})
        with pytest.raises((TypeError, ValueError)):
            len(stand_in)


ASK = {"ask": "call", "number": 1, "on": 0, "values": ["l", ["l"], ["d"]], "modules": ["l"], "grad": True}


def asked(thing, request) -> dict:
    """What the trusted side answers to a request that comes while it waits, about a thing that it gave."""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with ours, theirs:
        frames.send(theirs, request)
        frames.send(theirs, GOOD)
        peer = Peer(ours)
        assert peer.call(0, (thing,), {}) is None
        frames.receive(theirs, frames.FrameLimits())
        return frames.receive(theirs, frames.FrameLimits())[0]


def test_attributes_of_the_graders_objects_are_refused_to_a_request_by_hand() -> None:
    for name in ("path", "keys", "__dict__"):
        for thing in (Cache(), np, nn.Linear(2, 3)):
            answer = asked(thing, ASK | {"do": "attribute", "values": ["l", ["l", name], ["d"]]})
            assert answer["error"] == ["AttributeError", "raised on the grader's side", 1]


@pytest.mark.parametrize(
    "request_",
    [
        ASK | {"do": "eval"},
        ASK | {"do": ["l"]},
        ASK | {"part": "inner"},
        ASK | {"part": "__class__"},
        ASK | {"part": 5},
        ASK | {"part": None},
        ASK | {"on": 1},
        ASK | {"on": -1},
        ASK | {"modules": ["l", ["l", False, 0, ["l", part(path="inner")]]]},
        ASK | {"modules": ["l", ["l", False, 0, ["l", part(training=5)]]]},
    ],
)
def test_a_request_that_no_peer_makes_is_refused(request_) -> None:
    with pytest.raises(WireError):
        asked(nn.Linear(2, 3), request_)


def test_parameters_of_the_graders_are_not_changed_by_hand() -> None:
    reference = nn.Linear(2, 3)
    before = reference.bias.tolist()
    bias = ["T", "float64", [3], 0, 0]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        change = ["l", ["l", False, 0, ["l", part(entry("bias", tensor=bias))]]]
        frames.send(theirs, {**GOOD, "modules": change}, [b"\0" * 24])
        with pytest.raises(AssertionError, match="parameters of a module"):
            Peer(ours).call(0, (reference,), {})
    assert reference.bias.tolist() == before
    assert reference.bias.dtype == torch.float32


def test_a_side_that_calls_back_without_end_is_given_up() -> None:
    """Each frame comes in time, and the answer never does."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0.2)

    def forever() -> None:
        with suppress(GoneError):
            while True:
                frames.send(theirs, ASK)
                frames.receive(theirs, frames.FrameLimits())

    thread = threading.Thread(target=forever)
    with ours, theirs:
        thread.start()
        with pytest.raises(GoneError, match="in time"):
            Peer(ours).call(0, (Cache,), {})
        thread.join()
