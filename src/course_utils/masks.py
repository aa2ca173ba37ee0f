"""Who may attend to whom: boolean masks, **True = may attend**.

The polarity is that of ``torch.nn.functional.scaled_dot_product_attention``; ``torch.nn.MultiheadAttention``
has the opposite one. Shapes: ``B`` batch, ``Q`` queries, ``K`` keys. Masks combine with ``&``.
"""

import torch
from torch import Tensor


def causal_mask(n_queries: int, n_keys: int | None = None) -> Tensor:
    """Allow every query its own position and the past.

    The last query stands at the last key: with fewer queries than keys the mask is aligned bottom-right, as in
    FlashAttention since version 2.1. ``is_causal=True`` of torch's attention is aligned top-left. With more
    queries than keys, the first ``n_queries − n_keys`` rows may attend to nothing.

    Args:
        n_queries: Q.
        n_keys: K; Q if not given.

    Returns:
        Boolean ``[Q, K]``, True where ``j ≤ i + K − Q``.

    Raises:
        ValueError: if a length is negative.
    """
    n_keys = n_queries if n_keys is None else n_keys
    return _offsets("causal_mask", n_queries, n_keys) <= 0


def sliding_window_mask(n_queries: int, n_keys: int, window: int) -> Tensor:
    """Allow every query the keys fewer than ``window`` positions away, on both sides.

    Combine with :func:`causal_mask` for the causal window of Beltagy, Peters & Cohan (2020), Section 3.1.

    Args:
        n_queries: Q.
        n_keys: K; the last query stands at the last key.
        window: positions; 1 allows the query's own position only.

    Returns:
        Boolean ``[Q, K]``, True where ``|j − (i + K − Q)| < window``.

    Raises:
        ValueError: if a length is negative or ``window`` is less than 1.
    """
    if window < 1:
        raise ValueError(f"sliding_window_mask: window needs to be at least 1, got {window}")
    return _offsets("sliding_window_mask", n_queries, n_keys).abs() < window


def padding_mask(lengths: Tensor, n_keys: int) -> Tensor:
    """Allow the first ``lengths[b]`` keys of each sequence of a batch; the rest is padding.

    Args:
        lengths: integers ``[B]``, each between 0 and K.
        n_keys: K, the padded length.

    Returns:
        Boolean ``[B, 1, K]``: the same for every query; ``unsqueeze(1)`` adds an axis for heads.

    Raises:
        ValueError: if ``lengths`` is not one-dimensional, not of an integer type, or out of range.
    """
    if lengths.ndim != 1 or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ValueError(
            f"padding_mask: lengths needs to be integers of shape [B], got {lengths.dtype} {tuple(lengths.shape)}"
        )
    if lengths.numel() and not 0 <= int(lengths.min()) <= int(lengths.max()) <= n_keys:
        raise ValueError(f"padding_mask: lengths need to lie between 0 and {n_keys}, got {lengths.tolist()}")
    return (torch.arange(n_keys, device=lengths.device) < lengths[:, None])[:, None, :]


def _offsets(name: str, n_queries: int, n_keys: int) -> Tensor:
    """Position of key j minus position of query i, ``[Q, K]``; the last query stands at the last key."""
    if n_queries < 0 or n_keys < 0:
        raise ValueError(f"{name}: lengths cannot be negative, got {n_queries} queries and {n_keys} keys")
    return torch.arange(n_keys) - (torch.arange(n_queries)[:, None] + n_keys - n_queries)
