"""The language model against its layers written out with torch's attention, and its cache against itself without."""

from __future__ import annotations

import math

import pytest
import torch
from test_blocks import EXACT, NORMS, filled
from torch import Tensor, nn

from course_utils import checks
from course_utils.language_model import LanguageModel
from course_utils.positional import t5_buckets
from course_utils.training import TrainingConfig, fit, seeded

B, T, H, E, L, N, LENGTH, REACH = 2, 23, 3, 12, 4, 11, 29, 19
D = E // H
POSITIONS = ("sinusoidal", "learned", "rotary", "alibi", "relative", "buckets", "none")


def tokens(length: int = T, batch: int = B, seed: int = 0) -> Tensor:
    return torch.randint(0, N, (batch, length), generator=torch.Generator().manual_seed(seed))


def model(positions: str = "sinusoidal", norm: str = "pre", **options: object) -> LanguageModel:
    sizes = {"width": E, "n_heads": H, "n_layers": L, "length": LENGTH, "reach": REACH}
    return filled(LanguageModel(N, positions=positions, norm=norm, **(sizes | options)))


# --- Written out --------------------------------------------------------------------------------------------------


def added_by_hand(made: LanguageModel, positions: str, length: int) -> Tensor:
    if positions == "learned":
        return made.learned.table[:length]
    if positions == "sinusoidal":
        angle = torch.tensor([[t / 10_000 ** ((i - i % 2) / E) for i in range(E)] for t in range(length)])
        return torch.where(torch.arange(E) % 2 == 0, angle.sin(), angle.cos())
    return torch.zeros(length, E)


def turned_by_hand(x: Tensor) -> Tensor:
    """Neighbouring dimensions as complex numbers, turned by an angle that grows with the place."""
    numbers = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    angle = torch.tensor([[t / 10_000 ** (2 * i / D) for i in range(D // 2)] for t in range(x.shape[-2])])
    return torch.view_as_real(numbers * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


def bias_by_hand(block: nn.Module, positions: str, query: Tensor) -> Tensor:
    """What is added to the scaled dot products, ``[B, H, T, T]``; −inf on the future."""
    length = query.shape[-2]
    bias = torch.zeros(query.shape[0], H, length, length)
    score = block.attention.score
    for t in range(length):
        bias[:, :, t, t + 1 :] = -math.inf
        for j in range(t + 1):
            if positions == "alibi":
                bias[:, :, t, j] = -torch.tensor([2**-4, 2**-8, 2**-2]) * (t - j)
            if positions == "relative":
                bias[:, :, t, j] = query[:, :, t] @ score.table[max(j - t, -REACH) + REACH] / math.sqrt(D)
    if positions == "buckets":
        bias = bias + score.table[t5_buckets(length, length, max_distance=REACH, causal=True)].permute(2, 0, 1)
    return bias


def block_by_hand(block: nn.Module, x: Tensor, positions: str, norm: str) -> Tensor:
    def split(linear: nn.Linear, given: Tensor) -> Tensor:
        return (given @ linear.weight.T).view(len(given), -1, H, D).permute(0, 2, 1, 3)

    maps, ends = block.attention, block.around_attention.norm
    given = ends(x) if norm == "pre" else x
    query, key, value = split(maps.query_map, given), split(maps.key_map, given), split(maps.value_map, given)
    bias = bias_by_hand(block, positions, query)
    if positions == "rotary":
        query, key = turned_by_hand(query), turned_by_hand(key)
    heads = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    x = x + heads.permute(0, 2, 1, 3).flatten(2) @ maps.output_map.weight.T
    x = x if norm == "pre" else ends(x)
    if block.feed_forward is None:
        return x
    ends, network = block.around_feed_forward.norm, block.feed_forward
    x = x + network(ends(x) if norm == "pre" else x)
    return x if norm == "pre" else ends(x)


def logits_by_hand(made: LanguageModel, given: Tensor, positions: str, norm: str) -> Tensor:
    table = made.embedding.weight
    x = table[given] * math.sqrt(E) + added_by_hand(made, positions, given.shape[1])
    for block in made.blocks:
        x = block_by_hand(block, x, positions, norm)
    return (made.norm(x) if norm == "pre" else x) @ table.T


@pytest.fixture
def double() -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("hidden_width", [None, 0])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_the_model_is_its_layers_written_out_forward_and_backward(
    positions: str, norm: str, hidden_width: int | None
) -> None:
    made, given = model(positions, norm, hidden_width=hidden_width), tokens()
    ours, expected = made(given), logits_by_hand(made, given, positions, norm)
    torch.testing.assert_close(ours, expected, **EXACT)
    upstream = torch.randn(B, T, N, generator=torch.Generator().manual_seed(1))
    parameters = list(made.parameters())
    gradients = [torch.autograd.grad((logits * upstream).sum(), parameters) for logits in (ours, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
    assert all(gradient.abs().sum() > 0 for gradient in gradients[0])


def test_what_is_learned_beside_the_blocks() -> None:
    def beside(positions: str) -> set[tuple[int, ...]]:
        made = model(positions)
        inner = ("_map.", "feed_forward.", ".norm.")
        return {tuple(p.shape) for name, p in made.named_parameters() if not any(part in name for part in inner)}

    common = {(N, E), (E,)}
    assert beside("none") == beside("sinusoidal") == beside("rotary") == beside("alibi") == common
    assert beside("learned") == common | {(LENGTH, E)}
    assert beside("relative") == common | {(2 * REACH + 1, D)}
    assert beside("buckets") == common | {(32, H)}
    assert len({id(block.attention.score) for block in model("relative").blocks}) == L
    assert len({id(block.attention.score) for block in model("buckets").blocks}) == 1


def test_the_hidden_layer_is_four_times_as_wide_unless_said() -> None:
    assert model().blocks[0].feed_forward.inner.out_features == 4 * E
    assert model(hidden_width=7).blocks[0].feed_forward.inner.out_features == 7


# --- The past -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_no_position_sees_the_future(positions: str, norm: str) -> None:
    made, given = model(positions, norm), tokens()
    before = made(given)
    for t in range(T - 1):
        changed = given.clone()
        changed[:, t + 1 :] = (changed[:, t + 1 :] + 1) % N
        after = made(changed)
        torch.testing.assert_close(after[:, : t + 1], before[:, : t + 1], **EXACT)
        assert ((after - before)[:, t + 1 :].abs().amax((1, 2)) > 1e-6).all()


@pytest.mark.parametrize("sizes", [(1,) * T, (T - 1, 1), (5, 1, 7, 2, 8), (T,)])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_with_a_cache_the_logits_are_the_same_in_pieces_of_any_size(
    positions: str, norm: str, sizes: tuple[int, ...]
) -> None:
    made, given = model(positions, norm), tokens()
    heads = torch.linspace(0, 1, L * H, dtype=torch.float64).view(L, H)
    cache, rows, start = (), [], 0
    for size in sizes:
        logits, cache = made.step(given[:, start : start + size], cache, heads=heads)
        start += size
        rows.append(logits)
        assert [past.key.shape for past in cache] == [(B, H, start, D)] * L
    torch.testing.assert_close(torch.cat(rows, 1), made(given, heads=heads), **EXACT)


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_cache_can_be_gone_on_from_twice(positions: str) -> None:
    made, given = model(positions), tokens()
    parts = {name: set(vars(part)) for name, part in made.named_modules()}
    _, cache = made.step(given[:, :9])
    copies = [tensor.clone() for past in cache for tensor in past]
    for seed in (1, 2):
        branch = torch.cat([given[:, :9], tokens(4, seed=seed)], 1)
        logits, longer = made.step(branch[:, 9:], cache)
        torch.testing.assert_close(logits, made(branch)[:, 9:], **EXACT)
        assert len(longer) == L
    assert all(torch.equal(a, b) for a, b in zip((t for past in cache for t in past), copies, strict=True))
    assert {name: set(vars(part)) for name, part in made.named_modules()} == parts
    assert not list(made.buffers())


def test_the_gradient_goes_through_a_cache() -> None:
    made, given = model(), tokens()
    whole = torch.autograd.grad(made(given)[:, -1].square().sum(), list(made.parameters()))
    _, cache = made.step(given[:, :-1])
    pieces = torch.autograd.grad(made.step(given[:, -1:], cache)[0].square().sum(), list(made.parameters()))
    torch.testing.assert_close(pieces, whole, rtol=1e-9, atol=1e-9)


# --- Weights and heads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_weights_are_causal_and_sum_to_one(positions: str) -> None:
    maps = model(positions).weights(tokens())
    assert [weights.shape for weights in maps] == [(B, H, T, T)] * L
    for weights in maps:
        checks.check_rows_sum_to_one(weights)
        assert (weights.triu(1) == 0).all()
        assert (weights > 0).sum() == B * H * T * (T + 1) / 2


def test_the_weights_are_those_that_mix_the_values() -> None:
    made, given = model(n_layers=1, hidden_width=0), tokens()
    block = made.blocks[0]
    x = made.embedding.weight[given] * E**0.5 + added_by_hand(made, "sinusoidal", T).double()
    value = block.attention.value_map(block.around_attention.norm(x)).unflatten(-1, (H, D))
    mixed = torch.einsum("bhqk,bkhd->bqhd", made.weights(given)[0], value).flatten(2)
    expected = made.norm(x + mixed @ block.attention.output_map.weight.T) @ made.embedding.weight.T
    torch.testing.assert_close(made(given), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layer", range(L))
def test_a_head_that_is_off_is_a_head_without_output(layer: int) -> None:
    made, given = model(), tokens()
    heads = torch.ones(L, H, dtype=torch.bool)
    heads[layer, 1] = False
    off, before = made(given, heads=heads), made(given)
    assert not torch.allclose(off, before)
    assert torch.equal(made(given), before)
    without = model()
    without.blocks[layer].attention.output_map.weight.data[:, D : 2 * D] = 0
    torch.testing.assert_close(off, without(given), **EXACT)
    torch.testing.assert_close(made.weights(given, heads=heads), without.weights(given), **EXACT)
    torch.testing.assert_close(made(given, heads=torch.ones(L, H)), before, **EXACT)


def test_heads_can_be_asked_how_much_they_matter() -> None:
    """The gradient for a head's number is that of the logits along its output: by difference quotients."""
    made, given = model(n_layers=2, width=6), tokens(5)
    heads = torch.ones(2, H, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda numbers: made(given, heads=numbers), heads)


# --- Training -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_dropout_takes_embeddings_and_sublayers_outputs(norm: str) -> None:
    made, given = model("learned", norm, dropout=1.0).train(), tokens()
    ends = [part for name, part in made.blocks.named_modules() if name.endswith("norm")]
    x = torch.zeros(E, dtype=torch.float64)
    for end in [made.norm] if norm == "pre" else ends:
        x = end(x)
    torch.testing.assert_close(made(given), (x @ made.embedding.weight.T).expand(B, T, N))
    checks.check_rows_sum_to_one(made.weights(given)[0])
    torch.testing.assert_close(made.eval()(given), model("learned", norm)(given))


@pytest.mark.parametrize("positions", POSITIONS)
def test_it_learns_a_cycle(positions: str) -> None:
    """0 1 2 … over and over needs no position; each kind must be able to train at all."""
    with seeded(1):
        made = LanguageModel(N, width=E, n_heads=H, n_layers=1, positions=positions, length=9, reach=REACH)

    def loss(generator: torch.Generator) -> Tensor:
        start = torch.randint(0, N, (16, 1), generator=generator)
        rows = (start + torch.arange(10)) % N
        return nn.functional.cross_entropy(made(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())

    history = fit(made, loss, TrainingConfig(steps=100, learning_rate=2e-2))
    assert history.losses[-1] < 0.2 < 1.5 < history.losses[0]


# --- What is refused ----------------------------------------------------------------------------------------------


def wrong_calls() -> dict[str, tuple[object, str]]:
    made, given = model(), tokens()
    _, cache = made.step(given)
    sizes = {"width": E, "n_heads": H, "n_layers": L}
    return {
        "unknown positions": (lambda: LanguageModel(N, **sizes, positions="dials"), "positions: expected one of"),
        "an unknown norm": (lambda: LanguageModel(N, **sizes, norm="none"), "norm: expected 'post' or 'pre'"),
        "no length to learn": (lambda: LanguageModel(N, **sizes, positions="learned"), "length: expected"),
        "no layer": (lambda: LanguageModel(N, **(sizes | {"n_layers": 0})), "n_layers: expected at least 1"),
        "sinusoids of odd width": (lambda: LanguageModel(N, width=9, n_heads=3, n_layers=1), "width: expected an even"),
        "rotations of odd width": (
            lambda: LanguageModel(N, width=9, n_heads=3, n_layers=1, positions="rotary"),
            "heads of even width",
        ),
        "heads that do not divide": (lambda: LanguageModel(N, width=10, n_heads=3, n_layers=1), "divide"),
        "more than was learned": (lambda: model("learned")(tokens(LENGTH + 1)), "at most 29 positions"),
        "tokens of one axis": (lambda: made(given[0]), "tokens: expected shape"),
        "tokens of floats": (lambda: made(given.double()), "tokens: expected shape"),
        "no tokens": (lambda: made.step(given[:, :0], cache), "tokens: expected shape"),
        "a cache of another batch": (lambda: made.step(given[:1], cache), "cache: expected 4 layers of 1 sequences"),
        "a cache of another model": (lambda: made.step(given, cache[1:]), "cache: expected 4 layers"),
        "other heads": (lambda: made(given, heads=torch.ones(H, L)), r"heads: expected \[4, 3\]"),
    }


@pytest.mark.parametrize("what", wrong_calls())
def test_what_cannot_work_is_refused_in_one_line(what: str) -> None:
    call, message = wrong_calls()[what]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
