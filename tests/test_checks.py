"""Each check passes what has the property and rejects, in words, what lacks it."""

import pytest
import torch
from torch import Tensor

from course_utils import checks

K, V = 5, 3


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def test_close_reports_shape_then_nan_then_the_worst_entry() -> None:
    expected = randn(2, K)
    checks.check_close(expected + 1e-7, expected, "the output")
    with pytest.raises(AssertionError, match=r"the output: got shape \[5, 2\], expected \[2, 5\]"):
        checks.check_close(expected.T, expected, "the output")
    with pytest.raises(AssertionError, match="the output: got a list, expected a tensor"):
        checks.check_close(expected.tolist(), expected, "the output")
    wrong = expected.clone()
    wrong[1, 3] = torch.nan
    with pytest.raises(AssertionError, match=r"the output: NaN at \[1, 3\] \(1 of 10 entries\)"):
        checks.check_close(wrong, expected, "the output")
    wrong[1, 3], wrong[0, 2] = expected[1, 3] + 1, expected[0, 2] + 2
    with pytest.raises(AssertionError, match=r"at \[0, 2\], expected .* \(2 of 10 entries differ\)"):
        checks.check_close(wrong, expected, "the output")
    with pytest.raises(AssertionError, match="the output: got complex numbers"):
        checks.check_close(expected + 1j, expected, "the output")
    with pytest.raises(AssertionError, match=r"^the loss: got 1, expected 2\. Add it up\.$"):
        checks.check_close(torch.tensor(1.0), torch.tensor(2.0), "the loss", hint="Add it up.")


def test_close_accepts_infinities_in_the_same_places_only() -> None:
    expected = torch.tensor([torch.inf, 0.0, -torch.inf])
    checks.check_close(expected.clone(), expected, "the score")
    with pytest.raises(AssertionError, match=r"the score: got inf at \[2\], expected -inf"):
        checks.check_close(torch.tensor([torch.inf, 0.0, torch.inf]), expected, "the score")


def test_rows_sum_to_one() -> None:
    weights = randn(2, 4, K).softmax(-1)
    checks.check_rows_sum_to_one(weights)
    with pytest.raises(AssertionError, match=r"weights of row \[0, 0\] sum to .*softmax goes over the keys"):
        checks.check_rows_sum_to_one(randn(2, 4, K).softmax(-2))
    with pytest.raises(AssertionError, match="negative"):
        checks.check_rows_sum_to_one(torch.tensor([[1.5, -0.5]]))
    with pytest.raises(AssertionError, match="not finite"):
        checks.check_rows_sum_to_one(torch.tensor([[torch.nan, 1.0]]))
    mask = torch.ones(4, K, dtype=torch.bool)
    mask[2] = False
    checks.check_rows_sum_to_one(weights * mask, mask)
    with pytest.raises(AssertionError, match=r"row \[0, 2\] sum to 1, expected 0"):
        checks.check_rows_sum_to_one(weights, mask)


def test_convex_hull() -> None:
    value = randn(K, V)
    checks.check_convex_hull(randn(4, K).softmax(-1) @ value, value)
    with pytest.raises(AssertionError, match="output 0 lies outside the convex hull"):
        checks.check_convex_hull(1.2 * value[value.norm(dim=-1).argmax()][None], value)


def test_convex_hull_is_more_than_a_box() -> None:
    triangle = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(AssertionError, match="outside"):
        checks.check_convex_hull(torch.tensor([[0.9, 0.9]]), triangle)


def test_causal() -> None:
    x = randn(2, 6, V)
    checks.check_causal(lambda x: x.cumsum(-2), x)
    with pytest.raises(AssertionError, match=r"after position 0 .* saw the future"):
        checks.check_causal(lambda x: x.flip(-2).cumsum(-2).flip(-2), x)
    with pytest.raises(AssertionError, match="after position 4 "):
        checks.check_causal(lambda x: x.cumsum(-2) + (torch.arange(6) == 4)[:, None] * x[..., 5:, :], x)
    with pytest.raises(AssertionError, match="saw the future"):
        checks.check_causal(lambda x: x * torch.nan, x)


@pytest.mark.parametrize("length", [2, 3, 4, 5, 8])
def test_permutation_equivariant(length: int) -> None:
    checks.check_permutation_equivariant(lambda x: x - x.mean(-2, keepdim=True), randn(length, V))
    with pytest.raises(AssertionError, match="reordered inputs"):
        checks.check_permutation_equivariant(lambda x: x + torch.arange(length)[:, None], randn(length, V))


def test_a_shift_does_not_pass_for_an_equivariant_map() -> None:
    with pytest.raises(AssertionError, match="reordered inputs"):
        checks.check_permutation_equivariant(lambda x: x.roll(1, -2), randn(K, V))


def test_permutation_invariant() -> None:
    key, value = randn(K, V), randn(K, 2)
    checks.check_permutation_invariant(lambda k, v: k.T @ v, key, value)
    with pytest.raises(AssertionError, match="reordered key–value pairs"):
        checks.check_permutation_invariant(lambda k, v: k.cumsum(0).T @ v, key, value)


def test_shift_invariant() -> None:
    checks.check_shift_invariant(lambda s: s.softmax(-1), randn(2, K))
    with pytest.raises(AssertionError, match="shifted by 37"):
        checks.check_shift_invariant(lambda s: s / s.sum(-1, keepdim=True), randn(2, K))


def test_padding_invariant() -> None:
    key, value = randn(K, V), randn(K, 2)

    def right(key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        return key.sum(-1).masked_fill(~mask, -torch.inf).softmax(-1) @ value

    def masked_after_the_softmax(key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        return (key.sum(-1).softmax(-1) * mask) @ value

    checks.check_padding_invariant(right, key, value)
    with pytest.raises(AssertionError, match="masked padding"):
        checks.check_padding_invariant(masked_after_the_softmax, key, value)
