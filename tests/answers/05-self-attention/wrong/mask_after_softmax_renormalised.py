"""Sets weights to 0 after the softmax and divides by what is left: nothing, where a forbidden score is huge."""

FAILS = ["two-masks-hidden"]

# %% two-masks
def attend_masked(queries: Tensor, keys: Tensor, values: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Output [Q, B, V] and weights [Q, K, B] of the last Q of K positions, which see the real past and themselves."""
    n_queries, n_keys = len(queries), len(keys)
    scores = torch.einsum("qbd,kbd->qkb", queries, keys) / math.sqrt(queries.shape[-1])
    positions = torch.arange(n_keys - n_queries, n_keys)
    past = torch.arange(n_keys) <= positions[:, None]
    allowed = past[:, :, None] & real
    weights = torch.softmax(scores, dim=1).masked_fill(~allowed, 0.0)
    total = weights.sum(dim=1, keepdim=True)
    weights = weights / total.masked_fill(total == 0, 1.0)
    return torch.einsum("qkb,kbv->qbv", weights, values), weights
