"""Attention: weights from scores, and the weighted sum of the values.

Shapes: ``...`` any batch dimensions, ``B`` batch, ``H`` heads, ``Q`` queries, ``K`` keys, ``D`` head width,
``V`` value width, ``E`` model width. Masks are boolean, True = may attend (:mod:`course_utils.masks`).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils import _require
from course_utils.scores import additive_score, general_score, scaled_dot_score


def masked_softmax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax over the last axis in which forbidden positions get weight 0.

    A forbidden score is −inf before the softmax; a score that is −inf already counts as forbidden. A row
    that may attend to nothing gives zeros (and zero gradients), not NaN.

    Args:
        scores: ``[..., Q, K]``, floating point.
        mask: boolean, broadcastable to the scores' shape.

    Returns:
        Weights ≥ 0, shape of ``scores``; each row sums to 1, or to 0 if all of it is forbidden.

    Raises:
        ValueError: if the scores are not floating point, or the mask is not boolean or does not broadcast.
    """
    if not scores.is_floating_point():
        raise ValueError(f"masked_softmax: scores need a floating-point type, got {scores.dtype}")
    forbidden = scores.isneginf()
    if mask is not None:
        _require.mask("masked_softmax", mask, scores.shape)
        forbidden = forbidden | ~mask
    empty = forbidden.all(-1, keepdim=True)
    # Empty rows go through the softmax with finite scores: autograd's anomaly mode stops at a NaN, even a masked one.
    filled = scores.masked_fill(forbidden, -torch.inf).masked_fill(empty, 0.0)
    return filled.softmax(-1).masked_fill(empty, 0.0)


def attend(scores: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Turn scores into weights and mix the values with them: steps two and three of attention.

    Args:
        scores: ``[..., Q, K]`` from any function of :mod:`course_utils.scores`.
        value: ``[..., K, V]``.
        mask: boolean, broadcastable to ``[..., Q, K]``.

    Returns:
        ``(output, weights)``: ``[..., Q, V]`` and ``[..., Q, K]``.

    Raises:
        ValueError: if the number of values differs from the number of scores in a row, or the mask does not fit.
    """
    _require.one_value_per_key("attend", value, scores.shape[-1])
    weights = masked_softmax(scores, mask)
    return weights @ value, weights


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """softmax(Q Kᵀ / √D) V: Vaswani et al. (2017), Equation 1.

    Args:
        query: ``[..., Q, D]``.
        key: ``[..., K, D]``.
        value: ``[..., K, V]``.
        mask: boolean, broadcastable to ``[..., Q, K]``.

    Returns:
        ``(output, weights)``: ``[..., Q, V]`` and ``[..., Q, K]``.

    Raises:
        ValueError: if widths or lengths do not fit, or the mask is not boolean or does not broadcast.
    """
    _require.same_width("scaled_dot_product_attention", query, key)
    _require.one_value_per_key("scaled_dot_product_attention", value, key.shape[-2])
    return attend(scaled_dot_score(query, key), value, mask)


class AdditiveAttention(nn.Module):
    """Attention with the score vᵀ tanh(W q + U k): Bahdanau, Cho & Bengio (2014), Appendix A.1.2.

    Args:
        query_width: width of a query.
        key_width: width of a key.
        hidden_width: A, width of the hidden layer.
    """

    def __init__(self, query_width: int, key_width: int, hidden_width: int) -> None:
        super().__init__()
        self.query_map = nn.Linear(query_width, hidden_width, bias=False)
        self.key_map = nn.Linear(key_width, hidden_width, bias=False)
        self.v = nn.Parameter(torch.empty(hidden_width).uniform_(-1, 1) / hidden_width**0.5)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``(output [..., Q, V], weights [..., Q, K])`` for query, key and value as in :func:`attend`."""
        scores = additive_score(query, key, self.query_map.weight, self.key_map.weight, self.v)
        return attend(scores, value, mask)


class MultiplicativeAttention(nn.Module):
    """Attention with the score qᵀ W k: Luong, Pham & Manning (2015), Section 3.1, *general*.

    Args:
        query_width: width of a query.
        key_width: width of a key.
    """

    def __init__(self, query_width: int, key_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(query_width, key_width)))

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``(output [..., Q, V], weights [..., Q, K])`` for query, key and value as in :func:`attend`."""
        return attend(general_score(query, key, self.weight), value, mask)


class MultiHeadAttention(nn.Module):
    """Several scaled dot-product attentions side by side: Vaswani et al. (2017), Section 3.2.2.

    The maps of all heads are stacked: rows ``h·D`` to ``(h + 1)·D`` of ``query_map.weight`` are the transpose
    of the paper's W_h^Q. Like the paper, unlike ``torch.nn.MultiheadAttention``'s default, there is no bias.

    Args:
        model_width: E, width of queries, keys, values and output.
        n_heads: H; each head is D = E / H wide.
        score: what gives ``[..., H, Q, K]`` for queries ``[..., H, Q, D]`` and keys ``[..., H, K, D]``; another than
            the scaled dot product can tell where they stand (:mod:`course_utils.positional`).

    Raises:
        ValueError: if H does not divide E.
    """

    def __init__(
        self, model_width: int, n_heads: int, *, score: Callable[[Tensor, Tensor], Tensor] = scaled_dot_score
    ) -> None:
        super().__init__()
        if n_heads < 1 or model_width % n_heads:
            raise ValueError(f"MultiHeadAttention: {n_heads} heads do not divide the model width {model_width}")
        self.n_heads = n_heads
        self.score = score
        self.query_map = nn.Linear(model_width, model_width, bias=False)
        self.key_map = nn.Linear(model_width, model_width, bias=False)
        self.value_map = nn.Linear(model_width, model_width, bias=False)
        self.output_map = nn.Linear(model_width, model_width, bias=False)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Attend with every head and mix the heads' outputs.

        Args:
            query: ``[..., Q, E]``.
            key: ``[..., K, E]``.
            value: ``[..., K, E]``.
            mask: boolean, broadcastable to ``[..., H, Q, K]``: a mask per batch needs an axis for the heads.

        Returns:
            ``(output, weights)``: ``[..., Q, E]`` and ``[..., H, Q, K]``.

        Raises:
            ValueError: if widths or lengths do not fit, or the mask is not boolean or does not broadcast.
        """
        return self.look(query, *self.keys_and_values(key, value), mask)

    def keys_and_values(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """What each head looks at, ``[..., H, K, D]`` twice: all of the past that a cache has to keep.

        Args:
            key: ``[..., K, E]``.
            value: ``[..., K, E]``.

        Raises:
            ValueError: if a width does not fit.
        """
        self._require_width(key=key, value=value)
        return self._split(self.key_map(key)), self._split(self.value_map(value))

    def look(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Attend to what :meth:`keys_and_values` gave: ``(output, weights)`` as from :meth:`forward`.

        Args:
            query: ``[..., Q, E]``.
            key: ``[..., H, K, D]``.
            value: ``[..., H, K, D]``.
            mask: boolean, broadcastable to ``[..., H, Q, K]``.

        Raises:
            ValueError: if widths or lengths do not fit, or the mask is not boolean or does not broadcast.
        """
        self._require_width(query=query)
        _require.one_value_per_key("MultiHeadAttention", value, key.shape[-2])
        heads, weights = attend(self.score(self._split(self.query_map(query)), key), value, mask)
        return self.output_map(heads.transpose(-3, -2).flatten(-2)), weights

    def _require_width(self, **tensors: Tensor) -> None:
        _require.matrices("MultiHeadAttention", **tensors)
        for argument, tensor in tensors.items():
            if tensor.shape[-1] != self.query_map.in_features:
                raise ValueError(
                    f"MultiHeadAttention: {argument} width {tensor.shape[-1]} differs from model width "
                    f"{self.query_map.in_features}"
                )

    def _split(self, x: Tensor) -> Tensor:
        """``[..., T, E]`` → ``[..., H, T, D]``."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(-3, -2)
