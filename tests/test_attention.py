"""Attention against torch's own, forward and backward, in float64; all sizes differ."""

import pytest
import torch
from torch import Tensor

from course_utils import checks
from course_utils.attention import (
    AdditiveAttention,
    MultiHeadAttention,
    MultiplicativeAttention,
    attend,
    masked_softmax,
    scaled_dot_product_attention,
)
from course_utils.masks import causal_mask, padding_mask, sliding_window_mask

B, H, Q, K, D, V, E = 2, 3, 5, 7, 11, 13, 21


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def some_mask() -> Tensor:
    """Odd entries forbidden at random, and one row that may attend to nothing."""
    mask = torch.rand(B, H, Q, K, generator=torch.Generator().manual_seed(3)) < 0.6
    mask[..., 0] = True
    mask[1, 2, 3] = False
    return mask


def test_masked_softmax_equals_softmax_over_the_allowed_scores_alone() -> None:
    scores, mask = randn(B, H, Q, K), some_mask()
    weights = masked_softmax(scores, mask)
    for index in torch.cartesian_prod(torch.arange(B), torch.arange(H), torch.arange(Q)).tolist():
        allowed = mask[tuple(index)]
        torch.testing.assert_close(weights[tuple(index)][allowed], scores[tuple(index)][allowed].softmax(0))
        assert (weights[tuple(index)][~allowed] == 0).all()


def test_a_row_that_may_attend_to_nothing_has_zero_weights_and_zero_gradient() -> None:
    scores = randn(B, H, Q, K).requires_grad_()
    (masked_softmax(scores, some_mask()) * randn(B, H, Q, K, seed=1)).sum().backward()
    assert (masked_softmax(scores, some_mask())[1, 2, 3] == 0).all()
    assert scores.grad.isfinite().all()
    assert (scores.grad[1, 2, 3] == 0).all()


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_no_nan_arises_on_the_way_to_the_gradient() -> None:
    scores = randn(B, H, Q, K).requires_grad_()
    with torch.autograd.detect_anomaly():
        masked_softmax(scores, some_mask()).square().sum().backward()


def test_nothing_leaks_when_the_allowed_scores_are_very_low() -> None:
    scores, mask = randn(B, H, Q, K), some_mask()
    torch.testing.assert_close(
        masked_softmax(scores - 1e9 * mask, mask), masked_softmax(scores, mask), rtol=0, atol=1e-6
    )


def test_scores_of_minus_infinity_count_as_forbidden() -> None:
    scores, mask = randn(B, H, Q, K), some_mask()
    torch.testing.assert_close(masked_softmax(scores.masked_fill(~mask, -torch.inf)), masked_softmax(scores, mask))


@pytest.mark.parametrize("huge", [200.0, 1e4, 3e38])
def test_huge_scores_do_not_overflow(huge: float) -> None:
    assert masked_softmax(torch.tensor([[huge, 0.0, -huge]])).tolist() == [[1, 0, 0]]


def test_masked_softmax_passes_the_properties_and_gradcheck() -> None:
    scores, mask = randn(3, 5, seed=2), randn(3, 5, seed=4) > -0.5
    mask[1] = False
    checks.check_rows_sum_to_one(masked_softmax(scores, mask), mask)
    checks.check_shift_invariant(masked_softmax, scores)
    assert torch.autograd.gradcheck(lambda s: masked_softmax(s, mask), scores.requires_grad_())


def kinds_of_mask() -> dict[str, Tensor | None]:
    """Every kind of mask, over ``[B, H, Q, K]``, under which each query may attend to something."""
    mixed = some_mask()
    mixed[1, 2, 3, 4] = True
    lengths = padding_mask(torch.tensor([K, 1]), K).unsqueeze(1)
    return {
        "none": None,
        "causal": causal_mask(Q, K),
        "padding": lengths,
        "causal and padding": causal_mask(Q, K) & lengths,
        "sliding window": sliding_window_mask(Q, K, 3),
        "one of its own for each head": mixed,
    }


@pytest.mark.parametrize("kind", kinds_of_mask())
def test_scaled_dot_product_attention_equals_torch_forward_and_backward(kind: str) -> None:
    mask = kinds_of_mask()[kind]
    inputs = [randn(B, H, Q, D), randn(B, H, K, D), randn(B, H, K, V)]
    upstream = randn(B, H, Q, V, seed=1)

    def run(attention) -> tuple[Tensor, ...]:
        leaves = [x.clone().requires_grad_() for x in inputs]
        output = attention(*leaves)
        return output, *torch.autograd.grad((output * upstream).sum(), leaves)

    ours = run(lambda q, k, v: scaled_dot_product_attention(q, k, v, mask)[0])
    torchs = run(lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask))
    torch.testing.assert_close(ours, torchs, rtol=1e-10, atol=1e-10)


def test_weights_are_those_that_give_the_output_and_inputs_stay_as_they_were() -> None:
    query, key, value = randn(B, H, Q, D), randn(B, H, K, D), randn(B, H, K, V)
    copies = [x.clone() for x in (query, key, value)]
    output, weights = scaled_dot_product_attention(query, key, value, some_mask())
    torch.testing.assert_close(torch.einsum("bhqk,bhkv->bhqv", weights, value), output)
    checks.check_rows_sum_to_one(weights, some_mask())
    assert all(torch.equal(x, copy) for x, copy in zip((query, key, value), copies, strict=True))


def test_attention_is_a_dictionary_without_order_inside_the_hull_of_its_values() -> None:
    query, key, value = randn(Q, D), randn(K, D), randn(K, V)

    def attention(key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        return scaled_dot_product_attention(query, key, value, mask)[0]

    checks.check_permutation_invariant(attention, key, value)
    checks.check_padding_invariant(attention, key, value)
    checks.check_convex_hull(attention(key, value), value)
    checks.check_permutation_equivariant(lambda x: scaled_dot_product_attention(x, x, x)[0], query)


def test_causal_attention_does_not_see_the_future() -> None:
    checks.check_causal(lambda x: scaled_dot_product_attention(x, x, x, causal_mask(Q))[0], randn(B, Q, D))


def test_additive_attention_equals_the_formula_and_trains_every_parameter() -> None:
    module = AdditiveAttention(query_width=D, key_width=E, hidden_width=9).double()
    query, key, value = randn(B, Q, D), randn(B, K, E), randn(B, K, V)
    w, u, v = module.query_map.weight, module.key_map.weight, module.v
    scores = torch.stack([torch.tanh(query @ w.T + (key @ u.T)[:, j, None]) @ v for j in range(K)], dim=-1)
    output, weights = module(query, key, value)
    torch.testing.assert_close(weights, scores.softmax(-1))
    torch.testing.assert_close(output, scores.softmax(-1) @ value)
    output.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())
    assert len(list(module.parameters())) == 3


def test_multiplicative_attention_equals_the_bilinear_form() -> None:
    module = MultiplicativeAttention(query_width=D, key_width=E).double()
    query, key, value = randn(B, Q, D), randn(B, K, E), randn(B, K, V)
    expected = torch.einsum("bqd,de,bke->bqk", query, module.weight, key).softmax(-1)
    output, weights = module(query, key, value)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(output, expected @ value)


@pytest.mark.parametrize("module", [AdditiveAttention(D, E, 9), MultiplicativeAttention(D, E)])
def test_attention_modules_obey_the_mask(module) -> None:
    module = module.double()
    query = randn(B, Q, D)

    def attention(key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        return module(query, key, value, mask)[0]

    checks.check_padding_invariant(attention, randn(B, K, E), randn(B, K, V))


@pytest.mark.parametrize("kind", kinds_of_mask())
def test_multi_head_attention_equals_torch_forward_and_backward(kind: str) -> None:
    ours = MultiHeadAttention(E, H).double()
    torchs = torch.nn.MultiheadAttention(E, H, bias=False, batch_first=True).double()
    with torch.no_grad():
        maps = [ours.query_map.weight, ours.key_map.weight, ours.value_map.weight]
        torchs.in_proj_weight.copy_(torch.cat(maps))
        torchs.out_proj.weight.copy_(ours.output_map.weight)
    mask = kinds_of_mask()[kind]
    # torch's module has the opposite polarity, True = may not attend, and wants batch and heads as one axis.
    theirs = None if mask is None else ~mask.expand(B, H, Q, K).flatten(0, 1)
    upstream = randn(B, Q, E, seed=2)

    def run(module: torch.nn.Module, **options) -> tuple[Tensor, ...]:
        leaves = [x.requires_grad_() for x in (randn(B, Q, E), randn(B, K, E), randn(B, K, E, seed=1))]
        output, weights = module(*leaves, **options)
        (output * upstream).sum().backward()
        return output, weights, *(leaf.grad for leaf in leaves)

    found, expected = run(ours, mask=mask), run(torchs, attn_mask=theirs, average_attn_weights=False)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    gradients = [m.weight.grad for m in (ours.query_map, ours.key_map, ours.value_map)]
    torch.testing.assert_close(torch.cat(gradients), torchs.in_proj_weight.grad, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.output_map.weight.grad, torchs.out_proj.weight.grad, rtol=1e-10, atol=1e-10)


def test_a_query_that_may_attend_to_nothing_changes_no_other_in_torch_or_here() -> None:
    mask = some_mask()  # torch gives zeros or NaN for such a row, by its version and kernel; we give zeros
    query, key, value = randn(B, H, Q, D), randn(B, H, K, D), randn(B, H, K, V)
    output = scaled_dot_product_attention(query, key, value, mask)[0]
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    some = mask.any(-1).expand(B, H, Q)
    assert not some.all()
    torch.testing.assert_close(output[some], expected[some], rtol=1e-10, atol=1e-10)
    assert output[~some].eq(0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: scaled_dot_product_attention(randn(3, 8), randn(5, 7), randn(5, 2)),
            "scaled_dot_product_attention: key width 7 differs from query width 8",
        ),
        (
            lambda: scaled_dot_product_attention(randn(3, 8), randn(5, 8), randn(4, 2)),
            "scaled_dot_product_attention: 4 values for 5 keys",
        ),
        (
            lambda: scaled_dot_product_attention(randn(3, 8), randn(5, 8), randn(5)),
            "value needs at least 2 dimensions",
        ),
        (lambda: attend(randn(3, 5), randn(4, 2)), "attend: 4 values for 5 keys"),
        (lambda: masked_softmax(torch.ones(2, 3, dtype=torch.int64)), "floating-point type, got torch.int64"),
        (
            lambda: masked_softmax(randn(2, 3), torch.zeros(2, 3)),
            r"mask needs to be boolean \(True = may attend\), got torch.float32",
        ),
        (
            lambda: masked_softmax(randn(2, 3), torch.ones(3, 2, dtype=torch.bool)),
            r"mask of shape \(3, 2\) does not broadcast to scores \(2, 3\)",
        ),
        (
            lambda: masked_softmax(randn(2, 3), torch.ones(4, 2, 3, dtype=torch.bool)),
            r"mask of shape \(4, 2, 3\) does not broadcast",
        ),
        (lambda: MultiHeadAttention(20, 3), "3 heads do not divide the model width 20"),
        (lambda: MultiHeadAttention(20, 0), "0 heads do not divide"),
        (
            lambda: MultiHeadAttention(6, 3)(randn(2, 6), randn(2, 5), randn(2, 6)),
            "MultiHeadAttention: key width 5 differs from model width 6",
        ),
    ],
)
def test_input_that_cannot_work_is_refused_by_name(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
