"""Scores against float64 loops over pairs, forward and backward; every width, length and batch is different."""

import math

import pytest
import torch
from torch import Tensor

from course_utils import scores

B, Q, K, D, DK, A = 2, 3, 5, 7, 11, 13


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def dot(q: Tensor, k: Tensor) -> Tensor:
    return sum(a * b for a, b in zip(q, k, strict=True))


W, U, V, G = randn(A, D), randn(A, DK), randn(A), randn(D, DK)
C = randn(A, D + DK)

# name → (score of matrices, key width, the same for one pair, written another way)
PAIRS = {
    "dot": (scores.dot_score, D, dot),
    "scaled": (scores.scaled_dot_score, D, lambda q, k: dot(q, k) / math.sqrt(D)),
    "cosine": (scores.cosine_score, D, lambda q, k: dot(q, k) / (dot(q, q) * dot(k, k)).sqrt()),
    "distance": (scores.negative_squared_distance_score, D, lambda q, k: -dot(q, q) + 2 * dot(q, k) - dot(k, k)),
    "general": (
        lambda q, k: scores.general_score(q, k, G),
        DK,
        lambda q, k: sum(q[i] * G[i, j] * k[j] for i in range(D) for j in range(DK)),
    ),
    "additive": (
        lambda q, k: scores.additive_score(q, k, W, U, V),
        DK,
        lambda q, k: sum(V[a] * torch.tanh(dot(W[a], q) + dot(U[a], k)) for a in range(A)),
    ),
    "concat": (
        lambda q, k: scores.concat_score(q, k, C, V),
        DK,
        lambda q, k: sum(V[a] * torch.tanh(dot(C[a], torch.cat([q, k]))) for a in range(A)),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_score_equals_the_loop_over_pairs(name: str) -> None:
    score, key_width, pair = PAIRS[name]
    query, key = randn(B, Q, D), randn(B, K, key_width)
    expected = torch.stack(
        [torch.stack([torch.stack([pair(q, k) for k in key[b]]) for q in query[b]]) for b in range(B)]
    )
    torch.testing.assert_close(score(query, key), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_gradient_equals_the_loop_over_pairs(name: str) -> None:
    score, key_width, pair = PAIRS[name]
    upstream = randn(Q, K, seed=1)

    def gradients(loss) -> tuple[Tensor, ...]:
        query, key = randn(Q, D).requires_grad_(), randn(K, key_width).requires_grad_()
        return torch.autograd.grad(loss(query, key), (query, key))

    ours = gradients(lambda q, k: (score(q, k) * upstream).sum())
    loop = gradients(lambda q, k: sum(pair(q[i], k[j]) * upstream[i, j] for i in range(Q) for j in range(K)))
    torch.testing.assert_close(ours, loop, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_batch_dimensions_broadcast(name: str) -> None:
    score, key_width, _ = PAIRS[name]
    query, key = randn(B, 1, Q, D), randn(4, K, key_width)
    assert score(query, key).shape == (B, 4, Q, K)
    torch.testing.assert_close(score(query, key)[1, 3], score(query[1, 0], key[3]))


def test_scaled_dot_score_has_the_variance_of_one_coordinate_product() -> None:
    query, key = randn(1, 400, 257), randn(1, 300, 257)
    assert scores.scaled_dot_score(query, key).var().item() == pytest.approx(1, abs=0.05)


def test_cosine_ignores_length_and_survives_a_zero_vector() -> None:
    query, key = randn(Q, D), randn(K, D)
    torch.testing.assert_close(scores.cosine_score(query * 100, key * 0.01), scores.cosine_score(query, key))
    zero = torch.zeros(1, D, dtype=torch.float64, requires_grad=True)
    scores.cosine_score(zero, key).sum().backward()
    assert torch.equal(scores.cosine_score(zero, key), torch.zeros(1, K, dtype=torch.float64))
    assert zero.grad.isfinite().all()


def test_concat_is_additive_with_its_matrix_split_forward_and_backward() -> None:
    query, key, upstream = randn(B, Q, D), randn(B, K, DK), randn(B, Q, K, seed=1)
    weight, v = C.clone().requires_grad_(), V.clone().requires_grad_()
    w_query, w_key = (part.clone().detach().requires_grad_() for part in C.split([D, DK], 1))
    joined, split = scores.concat_score(query, key, weight, v), scores.additive_score(query, key, w_query, w_key, v)
    torch.testing.assert_close(joined, split, rtol=1e-13, atol=1e-13)
    (whole, inner), parts = (
        torch.autograd.grad((joined * upstream).sum(), (weight, v)),
        torch.autograd.grad((split * upstream).sum(), (w_query, w_key, v)),
    )
    torch.testing.assert_close(whole, torch.cat(parts[:2], 1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(inner, parts[2], rtol=1e-12, atol=1e-12)


def test_squared_distance_of_near_neighbours_does_not_cancel() -> None:
    near = torch.tensor([[1000.0, 0.0]])
    query = near + torch.tensor([[0.0, 1e-3]])
    assert scores.negative_squared_distance_score(query, near).item() == pytest.approx(-1e-6, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scores.dot_score(randn(3, 8), randn(5, 7)), "dot_score: key width 7 differs from query width 8"),
        (lambda: scores.scaled_dot_score(randn(3, 8), randn(5, 7)), "scaled_dot_score: key width 7 differs"),
        (lambda: scores.cosine_score(randn(3, 8), randn(5, 7)), "cosine_score: key width 7 differs"),
        (lambda: scores.negative_squared_distance_score(randn(3, 8), randn(5, 1)), "key width 1 differs"),
        (lambda: scores.dot_score(randn(8), randn(5, 8)), r"dot_score: query needs at least 2 dimensions .* \(8,\)"),
        (lambda: scores.general_score(randn(3, 8), randn(5), G), "general_score: key needs at least 2 dimensions"),
        (
            lambda: scores.general_score(randn(3, D), randn(5, DK), G.T),
            r"general_score: weight needs shape \(7, 11\), got \(11, 7\)",
        ),
        (
            lambda: scores.additive_score(randn(3, D), randn(5, DK), W.T, U, V),
            r"additive_score: v needs shape \(7,\), got \(13,\)",
        ),
        (
            lambda: scores.additive_score(randn(3, D), randn(5, DK), W, U.T, V),
            r"additive_score: w_key needs shape \(13, 11\), got \(11, 13\)",
        ),
        (
            lambda: scores.additive_score(randn(3, DK), randn(5, DK), W, U, V),
            r"additive_score: w_query needs shape \(13, 11\), got \(13, 7\)",
        ),
        (
            lambda: scores.concat_score(randn(3, D), randn(5, DK), W, V),
            r"concat_score: weight needs shape \(13, 18\), got \(13, 7\)",
        ),
        (
            lambda: scores.concat_score(randn(3, D), randn(5, DK), C.T, V),
            r"concat_score: v needs shape \(18,\), got \(13,\)",
        ),
        (lambda: scores.concat_score(randn(D), randn(5, DK), C, V), "concat_score: query needs at least 2 dimensions"),
    ],
)
def test_input_that_cannot_work_is_refused_by_name(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
