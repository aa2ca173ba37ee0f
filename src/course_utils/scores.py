"""Similarity of queries and keys: the first of the three steps of attention.

Shapes: ``...`` any batch dimensions, ``Q`` queries, ``K`` keys, ``D`` width, ``A`` width of a hidden layer.
Every function maps queries ``[..., Q, D]`` and keys ``[..., K, D]`` to scores ``[..., Q, K]``; a higher score
means more alike. Batch dimensions broadcast. Nothing is masked or normalised here.
"""

import torch
from torch import Tensor

from course_utils import _require


def dot_score(query: Tensor, key: Tensor) -> Tensor:
    """Dot product of every query with every key.

    Luong, Pham & Manning (2015), Section 3.1, *dot*: their ``h_t`` is the query, ``h_s`` the key.

    Args:
        query: ``[..., Q, D]``.
        key: ``[..., K, D]``.

    Returns:
        ``query @ keyᵀ``, shape ``[..., Q, K]``, unbounded.

    Raises:
        ValueError: if an argument has fewer than two dimensions, or the widths differ.
    """
    _require.same_width("dot_score", query, key)
    return query @ key.transpose(-2, -1)


def scaled_dot_score(query: Tensor, key: Tensor) -> Tensor:
    """Dot product divided by √D, so that its variance does not grow with the width.

    Vaswani et al. (2017), Equation 1, without the softmax.

    Args:
        query: ``[..., Q, D]``.
        key: ``[..., K, D]``.

    Returns:
        ``query @ keyᵀ / √D``, shape ``[..., Q, K]``, unbounded.

    Raises:
        ValueError: if an argument has fewer than two dimensions, or the widths differ.
    """
    _require.same_width("scaled_dot_score", query, key)
    return query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5


def cosine_score(query: Tensor, key: Tensor, *, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between every query and every key: direction counts, length does not.

    Graves, Wayne & Danihelka (2014), Equation 6.

    Args:
        query: ``[..., Q, D]``.
        key: ``[..., K, D]``.
        eps: smallest length that is divided by, so that a zero vector scores 0.

    Returns:
        Scores in [−1, 1], shape ``[..., Q, K]``.

    Raises:
        ValueError: if an argument has fewer than two dimensions, or the widths differ.
    """
    _require.same_width("cosine_score", query, key)
    unit_query = torch.nn.functional.normalize(query, dim=-1, eps=eps)
    unit_key = torch.nn.functional.normalize(key, dim=-1, eps=eps)
    return unit_query @ unit_key.transpose(-2, -1)


def negative_squared_distance_score(query: Tensor, key: Tensor) -> Tensor:
    """Minus the squared Euclidean distance between every query and every key.

    With a softmax at temperature 2h² this is the Gaussian kernel of bandwidth h: Nadaraya (1964), Watson (1964).

    Args:
        query: ``[..., Q, D]``.
        key: ``[..., K, D]``.

    Returns:
        ``−‖q − k‖²``, shape ``[..., Q, K]``, never positive.

    Raises:
        ValueError: if an argument has fewer than two dimensions, or the widths differ.
    """
    _require.same_width("negative_squared_distance_score", query, key)
    # The difference is formed before it is squared: q² − 2qk + k² would cancel for near neighbours.
    return -(query.unsqueeze(-2) - key.unsqueeze(-3)).square().sum(-1)


def general_score(query: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    """Bilinear form qᵀ W k: a dot product after one learned map; the two widths may differ.

    Luong, Pham & Manning (2015), Section 3.1, *general*: their ``W_a`` is ``weight``.

    Args:
        query: ``[..., Q, Dq]``.
        key: ``[..., K, Dk]``.
        weight: ``[Dq, Dk]``.

    Returns:
        ``query @ weight @ keyᵀ``, shape ``[..., Q, K]``, unbounded.

    Raises:
        ValueError: if an argument has fewer than two dimensions, or ``weight`` is not ``[Dq, Dk]``.
    """
    _require.matrices("general_score", query=query, key=key)
    _require.shape("general_score", "weight", weight, (query.shape[-1], key.shape[-1]))
    return query @ weight @ key.transpose(-2, -1)


def additive_score(query: Tensor, key: Tensor, w_query: Tensor, w_key: Tensor, v: Tensor) -> Tensor:
    """One hidden layer over query and key: vᵀ tanh(W q + U k).

    Bahdanau, Cho & Bengio (2014), Section 3.1 and Appendix A.1.2: their ``W_a`` is ``w_query``, ``U_a`` is
    ``w_key``, ``v_a`` is ``v``.

    Args:
        query: ``[..., Q, Dq]``.
        key: ``[..., K, Dk]``.
        w_query: W, ``[A, Dq]``.
        w_key: U, ``[A, Dk]``.
        v: ``[A]``.

    Returns:
        Shape ``[..., Q, K]``, bounded by the sum of ``|v|``.

    Raises:
        ValueError: if query or key has fewer than two dimensions, or a parameter's shape does not fit.
    """
    name = "additive_score"
    _require.matrices(name, query=query, key=key)
    _require.shape(name, "v", v, (w_query.shape[0],))
    _require.shape(name, "w_query", w_query, (v.shape[0], query.shape[-1]))
    _require.shape(name, "w_key", w_key, (v.shape[0], key.shape[-1]))
    hidden = torch.tanh((query @ w_query.T).unsqueeze(-2) + (key @ w_key.T).unsqueeze(-3))
    return hidden @ v


def concat_score(query: Tensor, key: Tensor, weight: Tensor, v: Tensor) -> Tensor:
    """One hidden layer over query and key, one behind the other: vᵀ tanh(W [q; k]).

    Luong, Pham & Manning (2015), Section 3.1, *concat*: their ``W_a`` is ``weight``, ``v_a`` is ``v``. This is
    :func:`additive_score` under another name: with W = [W₁ W₂], split behind column Dq, W [q; k] = W₁ q + W₂ k.

    Args:
        query: ``[..., Q, Dq]``.
        key: ``[..., K, Dk]``.
        weight: W, ``[A, Dq + Dk]``.
        v: ``[A]``.

    Returns:
        Shape ``[..., Q, K]``, bounded by the sum of ``|v|``.

    Raises:
        ValueError: if query or key has fewer than two dimensions, or a parameter's shape does not fit.
    """
    name = "concat_score"
    _require.matrices(name, query=query, key=key)
    query_width, key_width = query.shape[-1], key.shape[-1]
    _require.shape(name, "v", v, (weight.shape[0],))
    _require.shape(name, "weight", weight, (v.shape[0], query_width + key_width))
    # No pair is ever put behind each other: [..., Q, K, Dq + Dk] would be the largest tensor by far.
    return additive_score(query, key, weight[:, :query_width], weight[:, query_width:], v)
