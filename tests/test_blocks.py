"""Blocks against torch's layers with the same weights, forward and backward, in float64; all sizes differ."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from course_utils import checks
from course_utils.blocks import DecoderBlock, EncoderBlock, FeedForward, Past, Residual
from course_utils.masks import causal_mask, padding_mask
from course_utils.positional import AlibiScore

B, T, S, H, E, F = 2, 7, 5, 3, 12, 17
NORMS = ("post", "pre")
EXACT = {"rtol": 1e-10, "atol": 1e-10}
# Where torch's layers have what our modules hold.
PLACES = {
    "feed_forward.inner": "linear1",
    "feed_forward.outer": "linear2",
    "attention": "self_attn",
    "cross_attention": "multihead_attn",
}
NORM_PLACES = {
    "encoder": {"around_attention": "norm1", "around_feed_forward": "norm2"},
    "decoder": {"around_attention": "norm1", "around_cross_attention": "norm2", "around_feed_forward": "norm3"},
}


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def filled(module: nn.Module, seed: int = 5) -> nn.Module:
    """The same parameters every time, in float64, large enough for weights to differ and biases to show."""
    module = module.double()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source, dtype=torch.float64) * 0.6)
    return module


def as_torch(tensors: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Parameters of a block, or their gradients, by the names that torch's layer has for them."""
    named = {}
    for own, place in NORM_PLACES[kind].items():
        named |= {f"{place}.{part}": tensors[f"{own}.norm.{part}"] for part in ("weight", "bias")}
    for own in ("feed_forward.inner", "feed_forward.outer"):
        named |= {f"{PLACES[own]}.{part}": tensors[f"{own}.{part}"] for part in ("weight", "bias")}
    for own in ("attention", "cross_attention")[: 1 + (kind == "decoder")]:
        maps = [tensors[f"{own}.{part}_map.weight"] for part in ("query", "key", "value")]
        named[f"{PLACES[own]}.in_proj_weight"] = torch.cat(maps)
        named[f"{PLACES[own]}.out_proj.weight"] = tensors[f"{own}.output_map.weight"]
    return named


def fill_torch(layer: nn.Module, block: nn.Module, kind: str) -> nn.Module:
    """Give torch's layer a block's weights, and biases of zero to its attentions."""
    named = as_torch(dict(block.named_parameters()), kind)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(named[name] if name in named else torch.zeros_like(parameter))
            assert name in named or (parameter.ndim == 1 and "_proj" in name)
    return layer


def torch_layer(block: nn.Module, norm: str, activation: str = "relu") -> nn.Module:
    kind = "decoder" if isinstance(block, DecoderBlock) else "encoder"
    made = nn.TransformerDecoderLayer if kind == "decoder" else nn.TransformerEncoderLayer
    layer = made(
        E, H, F, dropout=0.0, activation=activation, batch_first=True, norm_first=norm == "pre", dtype=torch.float64
    )
    return fill_torch(layer, block, kind)


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def run(module: nn.Module, call, *inputs: Tensor) -> list[Tensor]:
    """Output of a call, and the gradients of its inputs; those of the parameters are left on the module."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    output = call(*leaves)
    (output * randn(*output.shape, seed=9)).sum().backward()
    return [output, *(leaf.grad for leaf in leaves)]


def same_gradients(block: nn.Module, layer: nn.Module, kind: str) -> None:
    theirs, ours = gradients(layer), as_torch(gradients(block), kind)
    torch.testing.assert_close(ours, {name: theirs[name] for name in ours}, **EXACT)
    assert all(gradient.abs().sum() > 0 for gradient in ours.values())


def allowed(length: int, shortest: int) -> Tensor:
    """Real tokens of a batch, ``[B, length]``: one sentence is full, one is not."""
    return padding_mask(torch.tensor([length, shortest]), length)[:, 0]


MASKS = {"none": (False, False), "causal": (True, False), "padding": (False, True), "causal and padding": (True, True)}


# --- Against torch ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", MASKS)
def test_an_encoder_block_is_torchs_layer_forward_and_backward(kind: str, norm: str, activation: str) -> None:
    causal, padded = MASKS[kind]
    block = filled(EncoderBlock(E, H, F, norm=norm, dropout=0.0, activation=activation))
    layer, tokens = torch_layer(block, norm, activation), allowed(T, 3)
    mask = causal_mask(T) if causal else None
    if padded:
        mask = tokens[:, None, None] & (True if mask is None else mask)
    theirs = run(
        layer,
        lambda x: layer(
            x,
            src_mask=~causal_mask(T) if causal else None,
            src_key_padding_mask=~tokens if padded else None,
        ),
        randn(B, T, E),
    )
    ours = run(block, lambda x: block(x, mask)[0], randn(B, T, E))
    torch.testing.assert_close(ours, theirs, **EXACT)
    same_gradients(block, layer, "encoder")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("memory_padded", [False, True])
@pytest.mark.parametrize("kind", MASKS)
def test_a_decoder_block_is_torchs_layer_forward_and_backward(kind: str, memory_padded: bool, norm: str) -> None:
    causal, padded = MASKS[kind]
    block = filled(DecoderBlock(E, H, F, norm=norm, dropout=0.0))
    layer, tokens, source = torch_layer(block, norm), allowed(T, 3), allowed(S, 2)
    mask = causal_mask(T) if causal else None
    if padded:
        mask = tokens[:, None, None] & (True if mask is None else mask)
    inputs = randn(B, T, E), randn(B, S, E)
    theirs = run(
        layer,
        lambda x, memory: layer(
            x,
            memory,
            tgt_mask=~causal_mask(T) if causal else None,
            tgt_key_padding_mask=~tokens if padded else None,
            memory_key_padding_mask=~source if memory_padded else None,
        ),
        *inputs,
    )
    memory_mask = source[:, None, None] if memory_padded else None
    ours = run(block, lambda x, memory: block(x, memory, mask, memory_mask)[0], *inputs)
    torch.testing.assert_close(ours, theirs, **EXACT)
    same_gradients(block, layer, "decoder")


def test_the_weights_are_torchs_head_by_head() -> None:
    block = filled(DecoderBlock(E, H, F, norm="post", dropout=0.0))
    layer, x, memory = torch_layer(block, "post"), randn(B, T, E), randn(B, S, E)
    _, own, cross = block(x, memory, causal_mask(T))
    options = {"need_weights": True, "average_attn_weights": False}
    change, expected_own = layer.self_attn(x, x, x, attn_mask=~causal_mask(T), **options)
    torch.testing.assert_close(own, expected_own)
    torch.testing.assert_close(cross, layer.multihead_attn(layer.norm1(x + change), memory, memory, **options)[1])
    assert own.shape == (B, H, T, T)
    assert cross.shape == (B, H, T, S)


# --- Parts --------------------------------------------------------------------------------------------------------


def test_a_feed_forward_network_thinks_at_each_position_alone() -> None:
    network = filled(FeedForward(E, F))
    x = randn(B, T, E)
    inner, outer = network.inner, network.outer
    expected = (x @ inner.weight.T + inner.bias).clamp(min=0) @ outer.weight.T + outer.bias
    torch.testing.assert_close(network(x), expected)
    torch.testing.assert_close(network(x)[:, 3], network(x[:, 3]))


def test_a_block_of_attention_alone_has_nothing_else() -> None:
    block = filled(EncoderBlock(E, H, 0, norm="pre", dropout=0.0))
    assert {name.split(".")[0] for name, _ in block.named_parameters()} == {"attention", "around_attention"}
    x = randn(B, T, E)
    normed = block.around_attention.norm(x)
    torch.testing.assert_close(block(x)[0], x + block.attention(normed, normed, normed)[0])


@pytest.mark.parametrize("norm", NORMS)
def test_dropout_takes_sublayers_outputs_and_nothing_else(norm: str) -> None:
    """With all of it dropped, what is left is the input, and the LayerNorms after it."""
    block, x, memory = filled(DecoderBlock(E, H, F, norm=norm, dropout=1.0)), randn(B, T, E), randn(B, S, E)
    output, own, cross = block.train()(x, memory)
    expected = x
    if norm == "post":
        for around in (block.around_attention, block.around_cross_attention, block.around_feed_forward):
            expected = around.norm(expected)
    torch.testing.assert_close(output, expected)
    checks.check_rows_sum_to_one(own)
    checks.check_rows_sum_to_one(cross)
    assert not torch.equal(block.eval()(x, memory)[0], expected)


def test_dropout_leaves_as_much_as_it_says() -> None:
    around = Residual(E, "pre", 0.25).train()
    torch.manual_seed(0)
    kept = around.after(torch.zeros(400, E), torch.ones(400, E)) != 0
    assert 0.72 < kept.double().mean() < 0.78


@pytest.mark.parametrize("norm", NORMS)
def test_blocks_do_not_see_the_future(norm: str) -> None:
    encoder, decoder = (filled(made(E, H, F, norm=norm, dropout=0.0)) for made in (EncoderBlock, DecoderBlock))
    memory = randn(B, S, E)
    checks.check_causal(lambda x: encoder(x, causal_mask(T))[0], randn(B, T, E))
    checks.check_causal(lambda x: decoder(x, memory, causal_mask(T))[0], randn(B, T, E))


@pytest.mark.parametrize("norm", NORMS)
def test_padding_of_the_memory_changes_nothing(norm: str) -> None:
    block, x, memory = filled(DecoderBlock(E, H, F, norm=norm, dropout=0.0)), randn(B, T, E), randn(B, S, E)
    checks.check_padding_invariant(lambda k, v, mask: block(x, k, causal_mask(T), mask)[0], memory, memory)


def test_a_row_that_may_attend_to_nothing_stays_finite_both_ways() -> None:
    block = filled(EncoderBlock(E, H, F, dropout=0.0))
    mask = causal_mask(T).clone()
    mask[3] = False
    output, weights = block(randn(B, T, E).requires_grad_(), mask)
    output.square().sum().backward()
    assert output.isfinite().all()
    assert (weights[:, :, 3] == 0).all()
    assert all(parameter.grad.isfinite().all() for parameter in block.parameters())


# --- Positions that come after others -----------------------------------------------------------------------------


def pieces(length: int, sizes: tuple[int, ...]) -> list[slice]:
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    assert sum(sizes) == length
    return [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sizes", [(1,) * T, (3, 1, 3), (T,)])
def test_a_block_fed_in_pieces_gives_the_same(sizes: tuple[int, ...], norm: str) -> None:
    """With a score that depends on places, so that a piece put at the wrong one shows."""
    options = {"norm": norm, "dropout": 0.0, "score": AlibiScore(H)}
    encoder, decoder = filled(EncoderBlock(E, H, F, **options)), filled(DecoderBlock(E, H, F, **options))
    x, memory = randn(B, T, E), randn(B, S, E)
    read, source = decoder.read(memory), allowed(S, 2)[:, None, None]
    past: dict[str, Past | None] = {"encoder": None, "decoder": None}
    rows: dict[str, list[Tensor]] = {"encoder": [], "decoder": []}
    for piece in pieces(T, sizes):
        mask = causal_mask(piece.stop - piece.start, piece.stop)
        output, _, past["encoder"] = encoder.extend(x[:, piece], past["encoder"], mask=mask)
        rows["encoder"].append(output)
        output, _, _, past["decoder"] = decoder.extend(
            x[:, piece], read, past["decoder"], mask=mask, memory_mask=source
        )
        rows["decoder"].append(output)
    torch.testing.assert_close(torch.cat(rows["encoder"], 1), encoder(x, causal_mask(T))[0], **EXACT)
    torch.testing.assert_close(torch.cat(rows["decoder"], 1), decoder(x, memory, causal_mask(T), source)[0], **EXACT)


def test_heads_are_multiplied_by_their_numbers() -> None:
    block, x = filled(EncoderBlock(E, H, 0, norm="pre", dropout=0.0)), randn(B, T, E)
    heads = torch.tensor([0.0, 1.0, 0.3], dtype=torch.float64)
    normed = block.around_attention.norm(x)
    maps = block.attention
    value = maps.value_map(normed).unflatten(-1, (H, E // H))
    _, weights = block(x)
    mixed = torch.einsum("bhqk,bkhd->bqhd", weights, value) * heads[:, None]
    expected = x + mixed.flatten(2) @ maps.output_map.weight.T
    output, own, past = block.extend(x, heads=heads)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(own, weights)
    torch.testing.assert_close(past.value, value.transpose(1, 2))


# --- What is refused ----------------------------------------------------------------------------------------------


def wrong_calls() -> dict[str, tuple[object, str]]:
    encoder, decoder = EncoderBlock(E, H, F), DecoderBlock(E, H, F)
    x, memory = torch.zeros(B, T, E), torch.zeros(B, S, E)
    mask = torch.ones(B, 1, T, dtype=torch.bool)
    return {
        "two axes": (lambda: encoder(x[0]), "x: expected shape"),
        "another width": (lambda: encoder(x[..., 1:]), "x: expected shape"),
        "a mask without an axis for heads": (lambda: encoder(x, mask), "mask: expected"),
        "as many sentences as heads": (
            lambda: encoder(torch.zeros(H, T, E), torch.ones(H, 1, T, dtype=torch.bool)),
            "mask: expected",
        ),
        "a mask of numbers": (lambda: encoder(x, torch.ones(T, T)), "torch.float32"),
        "a mask of another length": (lambda: encoder(x, causal_mask(T - 1)), "mask: expected"),
        "another batch in the past": (lambda: encoder.extend(x, encoder.extend(x[:1])[2]), "past: expected"),
        "a memory of another batch": (lambda: decoder(x, memory[:1]), "memory: expected 2 sentences"),
        "a memory of another width": (lambda: decoder(x, memory[..., 1:]), "width"),
        "the wrong mask for the memory": (lambda: decoder(x, memory, None, causal_mask(T)), "memory_mask: expected"),
        "an unknown norm": (lambda: EncoderBlock(E, H, F, norm="middle"), "norm: expected 'post' or 'pre'"),
        "an unknown activation": (lambda: FeedForward(E, F, activation="sin"), "activation: expected"),
        "no hidden layer": (lambda: FeedForward(E, 0), "at least 1"),
        "heads that do not divide": (lambda: EncoderBlock(E, 5, F), "divide"),
    }


@pytest.mark.parametrize("what", wrong_calls())
def test_what_cannot_work_is_refused_in_one_line(what: str) -> None:
    call, message = wrong_calls()[what]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
