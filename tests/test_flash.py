"""Flash attention against plain softmax in float64, and what it loads, stores, keeps and makes, counted."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from course_utils.benchmark import flops, largest_tensor, peak_memory, saved_bytes
from course_utils.flash import (
    Partial,
    SlowMemory,
    flash_attention,
    merge_softmax,
    naive_attention,
    online_softmax,
    partial_softmax,
    visited_tiles,
)
from course_utils.roofline import attention_flops, tile_traffic

LENGTHS, WIDTHS = (1, 17, 64, 100, 257), (16, 64, 128)
BLOCKS = [(1, 1), (3, 5), (16, 16), (48, 32), (100, 7), (257, 257), (1000, 1)]  # few divide a length
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64).to(
        dtype
    )


def inputs(
    n_queries: int, n_keys: int, width: int, value_width: int, *batch: int, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    shapes = ((n_queries, width), (n_keys, width), (n_keys, value_width))
    return [randn(*batch, *shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


def seen_by(n_queries: int, n_keys: int, causal: bool) -> Tensor:
    """Which query sees which key, pair by pair."""
    pairs = [[not causal or j <= i + n_keys - n_queries for j in range(n_keys)] for i in range(n_queries)]
    return torch.tensor(pairs, dtype=torch.bool).reshape(n_queries, n_keys)


def scores_of(query: Tensor, key: Tensor, causal: bool) -> Tensor:
    scores = torch.einsum("...qd,...kd->...qk", query, key) / math.sqrt(query.shape[-1])
    return scores.masked_fill(~seen_by(query.shape[-2], key.shape[-2], causal), -math.inf)


def reference(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    """Weights first, by torch's softmax; a query that sees nothing gets zeros."""
    scores = scores_of(query, key, causal)
    nothing = scores.isneginf().all(-1, keepdim=True)
    return scores.masked_fill(nothing, 0).softmax(-1).masked_fill(nothing, 0) @ value


def with_gradients(attention: Attention, tensors: list[Tensor], upstream: Tensor) -> list[Tensor]:
    """The output, and the gradients of all three."""
    leaves = [each.clone().requires_grad_() for each in tensors]
    output = attention(*leaves)
    return [output.detach(), *torch.autograd.grad(output, leaves, upstream.to(output.dtype))]


def error(found: Tensor, truth: Tensor) -> float:
    """NaN where there is a NaN, which is not below any bound."""
    return (found.double() - truth).abs().max().item()


# --- Exactness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_keys", LENGTHS)
@pytest.mark.parametrize("n_queries", LENGTHS)
def test_float32_is_as_exact_as_the_naive_form(n_queries: int, n_keys: int) -> None:
    """At most twice the naive error and 1e-5, forward and backward, against float64.

    With one key its gradient is 0, and the naive form finds exactly that: Δ must then be no sum that was rounded.
    """
    for width, causal, factor in ((w, c, f) for w in WIDTHS for c in (False, True) for f in (1, 60)):
        query, key, value = inputs(n_queries, n_keys, width, 24, 2, dtype=torch.float32)
        tensors, upstream = [query * factor, key, value], randn(2, n_queries, 24, seed=7).float()
        truth = with_gradients(
            lambda q, k, v: reference(q, k, v, causal),  # noqa: B023
            [each.double() for each in tensors],
            upstream.double(),
        )
        naive = with_gradients(lambda q, k, v: naive_attention(q, k, v, causal=causal), tensors, upstream)  # noqa: B023
        tiled = with_gradients(
            lambda q, k, v: flash_attention(q, k, v, causal=causal, blocks=(48, 32))[0],  # noqa: B023
            tensors,
            upstream,
        )
        for name, exact, plain, found in zip(("output", *"qkv"), truth, naive, tiled, strict=True):
            assert error(found, exact) <= 2 * error(plain, exact) + 1e-5, (name, width, causal, factor)


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("factor", [1, 60])
def test_the_result_does_not_depend_on_the_blocks(blocks: tuple[int, int], factor: float) -> None:
    """Within the same bound, where the naive error is the largest of six orders in which its scores can be summed.

    Of one order alone it is a matter of luck at 60 times the scores: naive gradients in another order exceed it in 28
    of 480 comparisons, tiled ones in 13 of 672.
    """
    query, key, value = inputs(33, 50, 16, 24, dtype=torch.float32)
    tensors, upstream = [query * factor, key, value], randn(33, 24, seed=7).float()
    for causal in (False, True):
        truth = with_gradients(
            lambda q, k, v: reference(q, k, v, causal),  # noqa: B023
            [each.double() for each in tensors],
            upstream.double(),
        )
        orders = [torch.arange(16), *(torch.randperm(16, generator=torch.Generator().manual_seed(i)) for i in range(5))]
        naive = [
            with_gradients(
                lambda q, k, v: naive_attention(q[:, order], k[:, order], v, causal=causal),  # noqa: B023
                tensors,
                upstream,
            )
            for order in orders
        ]
        tiled = with_gradients(
            lambda q, k, v: flash_attention(q, k, v, causal=causal, blocks=blocks)[0],  # noqa: B023
            tensors,
            upstream,
        )
        for exact, found, *plain in zip(truth, tiled, *naive, strict=True):
            assert error(found, exact) <= 2 * max(error(each, exact) for each in plain) + 1e-5


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize(("n_queries", "n_keys"), [(17, 17), (5, 23), (23, 5), (1, 9), (9, 1)])
@pytest.mark.parametrize("causal", [False, True])
def test_in_float64_it_equals_the_reference(n_queries: int, n_keys: int, blocks: tuple[int, int], causal: bool) -> None:
    tensors, upstream = inputs(n_queries, n_keys, 7, 11, 3, 2), randn(3, 2, n_queries, 11, seed=7)
    truth = with_gradients(lambda q, k, v: reference(q, k, v, causal), tensors, upstream)
    tiled = with_gradients(lambda q, k, v: flash_attention(q, k, v, causal=causal, blocks=blocks)[0], tensors, upstream)
    torch.testing.assert_close(tiled, truth, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("causal", [False, True])
def test_the_naive_form_equals_the_reference_and_torch(causal: bool) -> None:
    for n_queries, n_keys in ((17, 17), (5, 23), (23, 5)):
        tensors, upstream = inputs(n_queries, n_keys, 7, 11, 3), randn(3, n_queries, 11, seed=7)
        naive = with_gradients(lambda q, k, v: naive_attention(q, k, v, causal=causal), tensors, upstream)
        truth = with_gradients(lambda q, k, v: reference(q, k, v, causal), tensors, upstream)
        torch.testing.assert_close(naive, truth, rtol=1e-11, atol=1e-11)
        if n_queries == n_keys or not causal:  # where they differ, torch aligns a causal mask otherwise
            torchs = with_gradients(
                lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=causal), tensors, upstream
            )
            torch.testing.assert_close(naive, torchs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("causal", [False, True])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype, causal: bool) -> None:
    tensors, upstream = inputs(100, 64, 16, 24, 2, dtype=dtype), randn(2, 100, 24, seed=7).to(dtype)
    exact = [each.double() for each in tensors]
    truth = with_gradients(lambda q, k, v: reference(q, k, v, causal), exact, upstream.double())
    naive = with_gradients(lambda q, k, v: naive_attention(q, k, v, causal=causal), tensors, upstream)
    tiled = with_gradients(lambda q, k, v: flash_attention(q, k, v, causal=causal)[0], tensors, upstream)
    for name, right, plain, found in zip(("output", *"qkv"), truth, naive, tiled, strict=True):
        assert found.dtype == dtype
        assert error(found, right) <= 2 * error(plain, right) + 1e-5, name
    rounding = torch.finfo(dtype).eps * truth[0].abs().max().item()
    assert error(tiled[0], truth[0]) <= rounding, "the output is rounded once"
    output, logsumexp = flash_attention(*tensors, causal=causal)
    assert (output.dtype, logsumexp.dtype) == (dtype, torch.float32)
    right = scores_of(*exact[:2], causal).logsumexp(-1)
    torch.testing.assert_close(logsumexp.double(), right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("factor", [1, 60])
def test_the_log_sum_exp_by_itself(causal: bool, factor: float) -> None:
    for n_queries, n_keys in ((17, 100), (100, 17), (257, 257)):
        query, key, value = inputs(n_queries, n_keys, 16, 5, 2)
        truth = scores_of(query * factor, key, causal).logsumexp(-1)
        for blocks in ((48, 32), (7, 1000)):
            exact = flash_attention(query * factor, key, value, causal=causal, blocks=blocks)[1]
            torch.testing.assert_close(exact, truth, rtol=1e-12, atol=1e-12)
            single = (each.float() for each in (query * factor, key, value))
            rounded = flash_attention(*single, causal=causal, blocks=blocks)[1]
            torch.testing.assert_close(rounded.double(), truth, rtol=1e-6, atol=2e-6 * factor)


@pytest.mark.parametrize(("n_queries", "n_keys", "causal"), [(5, 7, False), (5, 7, True), (7, 4, True)])
def test_gradients_of_the_output_and_of_the_log_sum_exp_are_right(n_queries: int, n_keys: int, causal: bool) -> None:
    leaves = [each.requires_grad_() for each in inputs(n_queries, n_keys, 3, 2, 2)]
    sees = [i for i in range(n_queries) if i + n_keys - n_queries >= 0 or not causal]

    def attention(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        output, logsumexp = flash_attention(*tensors, causal=causal, blocks=(3, 2))
        return output, logsumexp[..., sees]  # of a query that sees nothing it is −inf, and no difference of it is taken

    assert torch.autograd.gradcheck(attention, leaves)  # of each of the two by itself, the other not used
    together = [each.detach().requires_grad_() for each in leaves]
    output, logsumexp = attention(*together)
    (output.sum() + 3 * logsumexp.sum()).backward()
    parts = (attention(*leaves)[0].sum(), 3 * attention(*leaves)[1].sum())
    for each, one, other in zip(together, *(torch.autograd.grad(part, leaves) for part in parts), strict=True):
        torch.testing.assert_close(each.grad, one + other)


def test_gradients_are_of_first_order_only() -> None:
    leaves = [each.requires_grad_() for each in inputs(5, 7, 3, 2)]
    (gradient,) = torch.autograd.grad(flash_attention(*leaves)[0].square().sum(), leaves[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_any_input_may_go_without_a_gradient() -> None:
    whole = with_gradients(lambda q, k, v: flash_attention(q, k, v)[0], inputs(5, 7, 3, 2), randn(5, 2, seed=7))
    for position in range(3):
        tensors = inputs(5, 7, 3, 2)
        tensors[position].requires_grad_()
        flash_attention(*tensors)[0].backward(randn(5, 2, seed=7))
        torch.testing.assert_close(tensors[position].grad, whole[position + 1])


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_a_query_that_sees_nothing_has_zeros_and_passes_nothing_back() -> None:
    tensors = [each.requires_grad_() for each in inputs(11, 4, 3, 2, 2)]  # the first seven see nothing
    for blocks in ((3, 2), (16, 16), (1, 1)):
        output, logsumexp = flash_attention(*tensors, causal=True, blocks=blocks)
        assert (output[..., :7, :] == 0).all()
        assert logsumexp[..., :7].isneginf().all()
        assert logsumexp[..., 7:].isfinite().all()
        with torch.autograd.detect_anomaly():
            gradients = torch.autograd.grad(output.square().sum() + logsumexp[..., 7:].sum(), tensors)
        assert all(each.isfinite().all() for each in gradients)
        assert (gradients[0][..., :7, :] == 0).all()
        assert (gradients[0][..., 7:, :] != 0).any(-1).all()


def test_without_keys_or_without_queries_there_is_nothing_to_see() -> None:
    query, key, value = (each.requires_grad_() for each in inputs(5, 0, 3, 2))
    output, logsumexp = flash_attention(query, key, value)
    assert output.tolist() == [[0, 0]] * 5
    assert logsumexp.isneginf().all()
    output.sum().backward()
    assert (query.grad == 0).all()
    assert flash_attention(*inputs(0, 5, 3, 2))[0].shape == (0, 2)


def test_a_later_key_changes_nothing_before_it() -> None:
    query, key, value = inputs(9, 13, 3, 2)
    output, logsumexp = flash_attention(query, key, value, causal=True, blocks=(4, 3))
    for last in range(13):
        key[last:], value[last:] = 50.0, -1e6
        changed, moved = flash_attention(query, key, value, causal=True, blocks=(4, 3))
        before = max(last - 4, 0)  # query i sees the keys up to i + 4
        assert torch.equal(changed[:before], output[:before])
        assert torch.equal(moved[:before], logsumexp[:before])
        assert not torch.isclose(changed[before:], output[before:]).any()
        query, key, value = inputs(9, 13, 3, 2)


def test_every_head_is_computed_by_itself_and_inputs_may_be_strided() -> None:
    query, key, value = inputs(17, 23, 7, 5, 3, 2)
    output, logsumexp = flash_attention(query, key, value, causal=True, blocks=(8, 8))
    for b in range(3):
        for h in range(2):
            one = flash_attention(query[b, h], key[b, h], value[b, h], causal=True, blocks=(8, 8))
            torch.testing.assert_close(one, (output[b, h], logsumexp[b, h]))
    strided = [each.transpose(-2, -1).contiguous().transpose(-2, -1) for each in (query, key, value)]
    upstream = randn(3, 2, 1, 5, seed=7).expand(3, 2, 17, 5)
    torch.testing.assert_close(
        with_gradients(lambda q, k, v: flash_attention(q, k, v, blocks=(8, 8))[0], strided, upstream),
        with_gradients(lambda q, k, v: reference(q, k, v, False), [query, key, value], upstream),
    )


def test_inputs_stay_as_they_were_and_a_second_call_gives_the_same() -> None:
    tensors = inputs(17, 23, 7, 5, 2)
    copies = [each.clone() for each in tensors]
    upstream = randn(2, 17, 5, seed=7)
    memory = SlowMemory()

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return flash_attention(q, k, v, causal=True, blocks=(8, 8), memory=memory)[0]

    first, second = (with_gradients(attention, tensors, upstream) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(tensors, copies, strict=True))


def test_large_scores_break_a_sum_of_powers_and_not_this() -> None:
    query, key, value = torch.tensor([[1.0]]), torch.tensor([[89.0], [88.0], [-300.0]]), torch.tensor([[1.0], [2], [3]])
    assert key[:, 0].exp().isinf().any()
    output, logsumexp = flash_attention(query, key, value, blocks=(1, 1))
    truth = reference(*(each.double() for each in (query, key, value)), False)
    torch.testing.assert_close(output.double(), truth, rtol=1e-6, atol=0)
    assert logsumexp.item() == pytest.approx(89 + math.log1p(math.exp(-1)), rel=1e-6)


# --- Softmax in one pass ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block_size", [1, 2, 3, 7, 8, 100])
def test_online_softmax_is_softmax(block_size: int) -> None:
    scores = 30 * randn(3, 5, 7)
    scores[0, 1, 2:5], scores[0, 2, :3], scores[0, 3, 3:] = -math.inf, -math.inf, -math.inf
    torch.testing.assert_close(online_softmax(scores, block_size), scores.softmax(-1), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(online_softmax(scores[0, 0], block_size), scores[0, 0].softmax(-1))
    torch.testing.assert_close(online_softmax(scores.float() + 1e4, block_size), (scores.float() + 1e4).softmax(-1))


def test_online_softmax_of_nothing_but_minus_infinity_is_zero() -> None:
    scores = torch.full((2, 5), -math.inf)
    scores[1, 3] = 7.0
    assert online_softmax(scores, 2).tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 1, 0]]


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_online_softmax_and_a_merge_can_be_differentiated() -> None:
    scores, value = randn(3, 7).requires_grad_(), randn(7, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: online_softmax(s, 3), scores)

    def halves(s: Tensor, v: Tensor) -> Tensor:
        return merge_softmax(partial_softmax(s[:, :4], v[:4]), partial_softmax(s[:, 4:], v[4:])).output()

    assert torch.autograd.gradcheck(halves, (scores, value))


def split(scores: Tensor, value: Tensor, sizes: list[int]) -> list[Partial]:
    return [partial_softmax(s, v) for s, v in zip(scores.split(sizes, -1), value.split(sizes, -2), strict=True)]


def merged(parts: list[Partial], choose: random.Random) -> Partial:
    """Any two at a time, in any order, until one is left."""
    parts = list(parts)
    while len(parts) > 1:
        first = parts.pop(choose.randrange(len(parts)))
        second = parts.pop(choose.randrange(len(parts)))
        parts.append(merge_softmax(first, second))
    return parts[0]


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=7),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([0.1, 1.0, 30.0, 700.0]),
    hidden=st.floats(0, 1),
)
def test_parts_may_be_merged_in_any_order_and_any_tree(
    sizes: list[int], seed: int, scale: float, hidden: float
) -> None:
    generator, n_keys = torch.Generator().manual_seed(seed), sum(sizes)
    scores = scale * torch.randn(3, n_keys, generator=generator, dtype=torch.float64)
    unseen = torch.rand(3, n_keys, generator=generator) < hidden
    scores = scores.masked_fill(unseen, -math.inf)
    value = torch.randn(n_keys, 2, generator=generator, dtype=torch.float64)
    parts = split(scores, value, sizes)
    found = merged(parts, random.Random(seed))
    whole = partial_softmax(scores, value)
    assert torch.equal(found.maximum, whole.maximum)
    torch.testing.assert_close(found, whole, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(found, merged(parts, random.Random(seed + 1)), rtol=1e-11, atol=1e-11)
    nothing = unseen.all(-1)
    weights = scores.masked_fill(nothing[:, None], 0).softmax(-1).masked_fill(nothing[:, None], 0)
    torch.testing.assert_close(found.output(), weights @ value, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(found.logsumexp(), scores.logsumexp(-1), rtol=1e-12, atol=1e-12)
    one, other = merge_softmax(parts[0], parts[-1]), merge_softmax(parts[-1], parts[0])
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_part_that_saw_nothing_changes_nothing() -> None:
    part = partial_softmax(randn(3, 5), randn(5, 2))
    nothing = partial_softmax(torch.full((3, 4), -math.inf, dtype=torch.float64), randn(4, 2))
    assert nothing.output().tolist() == [[0, 0]] * 3
    assert nothing.logsumexp().isneginf().all()
    assert all(torch.equal(a, b) for a, b in zip(merge_softmax(nothing, part), part, strict=True))
    both = merge_softmax(nothing, nothing)
    assert both.output().tolist() == [[0, 0]] * 3
    assert both.maximum.isneginf().all()


def test_parts_worked_by_hand() -> None:
    log = math.log
    first = partial_softmax(torch.tensor([[log(2.0), log(6.0)]]), torch.tensor([[3.0], [9.0]]))
    assert [each.item() for each in first] == pytest.approx([log(6), 2 / 6 + 1, 3 * 2 / 6 + 9])
    second = partial_softmax(torch.tensor([[log(12.0)]]), torch.tensor([[1.0]]))
    both = merge_softmax(first, second)
    assert [each.item() for each in both] == pytest.approx([log(12), (2 + 6 + 12) / 12, (2 * 3 + 6 * 9 + 12) / 12])
    assert both.output().item() == pytest.approx((2 * 3 + 6 * 9 + 12 * 1) / 20)
    assert both.logsumexp().item() == pytest.approx(log(20))


# --- What is loaded, stored, made and kept ------------------------------------------------------------------------

SIZES = [(17, 17, 3, 3), (5, 23, 3, 4), (23, 5, 6, 2), (1, 9, 2, 2), (9, 1, 2, 5), (20, 31, 8, 8)]  # Q, K, D, V


@pytest.mark.parametrize("blocks", [(1, 1), (4, 3), (3, 8), (16, 16), (100, 100)])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_traffic_is_that_of_the_formula_to_the_byte(blocks: tuple[int, int], causal: bool, dtype: torch.dtype) -> None:
    for sizes in SIZES:
        for batch in ((), (2, 3)):
            memory = SlowMemory()
            leaves = [each.requires_grad_() for each in inputs(*sizes, *batch, dtype=dtype)]
            output, _ = flash_attention(*leaves, causal=causal, blocks=blocks, memory=memory)
            heads, element_size = math.prod(batch), leaves[0].element_size()
            forward, backward = (
                tile_traffic(*sizes, blocks, causal=causal, backward=direction, element_size=element_size, heads=heads)
                for direction in (False, True)
            )
            assert (memory.loaded, memory.stored) == (forward.loaded, forward.stored)
            output.sum().backward()
            assert memory.loaded == forward.loaded + backward.loaded
            assert memory.stored == forward.stored + backward.stored


def test_a_gradient_of_the_log_sum_exp_is_loaded_once() -> None:
    memory, leaves = SlowMemory(), [each.requires_grad_() for each in inputs(17, 23, 3, 4, 2)]
    output, logsumexp = flash_attention(*leaves, blocks=(4, 5), memory=memory)
    forward = memory.loaded
    (output.sum() + logsumexp.sum()).backward()
    moved = tile_traffic(17, 23, 3, 4, (4, 5), backward=True, element_size=8, heads=2)
    assert memory.loaded - forward == moved.loaded + 2 * 17 * 8


@pytest.mark.parametrize("causal", [False, True])
def test_tiles_are_those_with_a_pair_that_is_seen(causal: bool) -> None:
    for n_queries, n_keys, width, value_width in SIZES:
        seen = seen_by(n_queries, n_keys, causal)
        for blocks in ((1, 1), (4, 3), (3, 8), (16, 16), (100, 100)):
            brute = sum(int(part.any()) for rows in seen.split(blocks[0]) for part in rows.split(blocks[1], dim=1))
            assert visited_tiles(n_queries, n_keys, blocks, causal=causal) == brute
            memory = SlowMemory()
            leaves = [each.requires_grad_() for each in inputs(n_queries, n_keys, width, value_width, 2)]
            output, _ = flash_attention(*leaves, causal=causal, blocks=blocks, memory=memory)
            assert memory.tiles == brute
            output.sum().backward()
            assert memory.tiles == 2 * brute


def test_a_causal_mask_halves_the_tiles() -> None:
    assert visited_tiles(8192, 8192, (64, 64)) == 128 * 128
    assert visited_tiles(8192, 8192, (64, 64), causal=True) == 128 * 129 // 2
    assert visited_tiles(0, 10, (4, 4)) == visited_tiles(10, 0, (4, 4), causal=True) == 0


@pytest.mark.parametrize("causal", [False, True])
def test_operations_are_those_of_the_tiles_and_of_the_papers(causal: bool) -> None:
    for n_queries, n_keys, width, heads in ((17, 17, 3, 1), (5, 23, 4, 6), (23, 5, 8, 2)):
        seen, blocks = seen_by(n_queries, n_keys, causal), (4, 3)
        parts = [part for rows in seen.split(blocks[0]) for part in rows.split(blocks[1], dim=1)]
        pairs = sum(part.numel() for part in parts if part.any())
        leaves = [each.requires_grad_() for each in inputs(n_queries, n_keys, width, width, heads)]
        forward = flops(lambda: flash_attention(*leaves, causal=causal, blocks=blocks))  # noqa: B023
        both = flops(lambda: flash_attention(*leaves, causal=causal, blocks=blocks)[0].sum().backward())  # noqa: B023
        assert forward == heads * 4 * pairs * width
        assert both - forward == 2.5 * forward, "five products for two"
        if not causal:
            assert forward == attention_flops(n_queries, n_keys, width, heads=heads)
            assert both - forward == attention_flops(n_queries, n_keys, width, heads=heads, backward=True)
            assert flops(lambda: naive_attention(*leaves)) == forward  # noqa: B023


def test_slow_memory_counts_what_crosses() -> None:
    memory, tensor = SlowMemory(), torch.arange(24.0).reshape(2, 4, 3)
    assert torch.equal(memory.load(tensor, slice(1, 3)), tensor[:, 1:3])
    assert (memory.loaded, memory.stored, memory.tiles) == (2 * 2 * 3 * 4, 0, 0)
    memory.store(tensor, slice(3, 4), torch.full((2, 1, 3), -1.0, dtype=torch.float64))
    assert (memory.loaded, memory.stored) == (48, 2 * 3 * 4)
    assert tensor[:, 3].tolist() == [[-1, -1, -1]] * 2
    assert tensor[:, 2].tolist() == [[6, 7, 8], [18, 19, 20]]


def test_the_largest_tensor_grows_with_the_length_and_not_with_its_square() -> None:
    def tiled(length: int) -> int:
        leaves = [each.requires_grad_() for each in inputs(length, length, 64, 64, dtype=torch.float32)]
        return largest_tensor(lambda: flash_attention(*leaves, causal=True, blocks=(128, 128))[0].sum().backward())

    def naive(length: int) -> int:
        tensors = inputs(length, length, 4, 4, dtype=torch.float32)
        return largest_tensor(lambda: naive_attention(*tensors))

    assert tiled(512) == 512 * 64 * 4, "queries, keys, values, output and gradients; a tile is not larger"
    assert math.log(tiled(8192) / tiled(512), 16) == pytest.approx(1, abs=0.02)
    assert naive(512) == 512 * 512 * 4
    assert math.log(naive(8192) / naive(512), 16) == pytest.approx(2, abs=0.02)


def test_nothing_of_size_n_by_n_is_kept_for_the_backward() -> None:
    n, heads, width = 600, 2, 8
    leaves = [each.requires_grad_() for each in inputs(n, n, width, width, heads, dtype=torch.float32)]
    kept = heads * n * (4 * width * 4 + 8)  # queries, keys, values, output, and one float64 a query
    assert saved_bytes(lambda: flash_attention(*leaves, causal=True)) == kept
    assert saved_bytes(lambda: naive_attention(*leaves)) > heads * n * n * 4
    output, _ = flash_attention(*leaves)
    assert not any(isinstance(each, Tensor) for each in vars(output.grad_fn).values()), "nothing else is put by"


def test_nothing_of_size_n_by_n_is_there_at_any_moment() -> None:
    def peak(length: int, attention: Callable[..., Tensor]) -> int:
        leaves = [each.requires_grad_() for each in inputs(length, length, 16, 16, dtype=torch.float32)]
        return peak_memory(lambda: attention(*leaves).sum().backward())

    def tiled(*tensors: Tensor) -> Tensor:
        return flash_attention(*tensors, causal=True, blocks=(64, 64))[0]

    short, middle, long = (peak(length, tiled) for length in (512, 640, 768))
    assert long - middle == middle - short, "so many bytes a query, and a tile: the same for any length"
    assert short < 512 * 512 * 4 / 2
    assert peak(512, naive_attention) > 2 * 512 * 512 * 4


# --- What cannot work ---------------------------------------------------------------------------------------------

Q, K, V = inputs(5, 7, 3, 2, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f(Q, K[..., :2], V), "key width 2 differs from query width 3"),
        (lambda f: f(Q, K, V[..., :6, :]), "6 values for 7 keys"),
        (lambda f: f(Q[0, 0], K, V), "query needs at least 2 dimensions [length, width], got shape (3,)"),
        (lambda f: f(Q[0], K, V), "key: expected batch dimensions () as the query, got (4,)"),
        (lambda f: f(Q, K, V[:1]), "value: expected batch dimensions (4,) as the query, got (1,)"),
        (lambda f: f(Q, K.float(), V), "key: expected torch.float64 on cpu as the query, got torch.float32 on cpu"),
        (lambda f: f(Q.long(), K.long(), V.long()), "query: expected floating-point numbers, got torch.int64"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(call: Callable[[Attention], object], message: str) -> None:
    for attention in (flash_attention, naive_attention):
        with pytest.raises(ValueError, match=f"^{attention.__name__}: {re.escape(message)}$"):
            call(attention)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flash_attention(Q, K, V, blocks=(0, 4)), "flash_attention: blocks[0]: expected at least 1, got 0"),
        (lambda: flash_attention(Q, K, V, blocks=(4, -1)), "flash_attention: blocks[1]: expected at least 1, got -1"),
        (lambda: visited_tiles(5, 7, (4, 0)), "visited_tiles: blocks[1]: expected at least 1, got 0"),
        (
            lambda: visited_tiles(-1, 7, (4, 4)),
            "visited_tiles: expected lengths of at least 0, got -1 queries and 7 keys",
        ),
        (lambda: online_softmax(Q, 0), "online_softmax: block_size: expected at least 1, got 0"),
        (lambda: online_softmax(Q[..., :0]), "online_softmax: scores: expected at least 1, got 0"),
        (lambda: partial_softmax(Q, V), "partial_softmax: 7 values for 3 keys"),
        (
            lambda: partial_softmax(Q[..., :0], V[..., :0, :]),
            "partial_softmax: scores: expected at least one key, got none",
        ),
    ],
)
def test_sizes_that_cannot_work_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
