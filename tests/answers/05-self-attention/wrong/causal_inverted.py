"""A query may look at itself and what comes after it."""

FAILS = ["two-masks-visible", "two-masks-hidden"]

# %% two-masks
def attend_masked(queries: Tensor, keys: Tensor, values: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Output [Q, B, V] and weights [Q, K, B] of the last Q of K positions, which see the real past and themselves."""
    n_queries, n_keys = len(queries), len(keys)
    scores = torch.einsum("qbd,kbd->qkb", queries, keys) / math.sqrt(queries.shape[-1])
    positions = torch.arange(n_keys - n_queries, n_keys)
    past = torch.arange(n_keys) >= positions[:, None]
    allowed = past[:, :, None] & real
    nothing = ~allowed.any(dim=1, keepdim=True)
    # Rows that may look at nothing go through the softmax unmasked, so that no NaN arises, and are zeroed after it.
    scores = scores.masked_fill(~(allowed | nothing), -torch.inf)
    weights = torch.softmax(scores, dim=1).masked_fill(nothing, 0.0)
    return torch.einsum("qkb,kbv->qbv", weights, values), weights
