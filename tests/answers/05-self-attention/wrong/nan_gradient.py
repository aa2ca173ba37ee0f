"""Adds -inf to scores and replaces the NaN of empty rows after the softmax: the gradient stays NaN."""

FAILS = ["two-masks-visible", "two-masks-hidden"]

# %% two-masks
def attend_masked(queries: Tensor, keys: Tensor, values: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Output [Q, B, V] and weights [Q, K, B] of the last Q of K positions, which see the real past and themselves."""
    n_queries, n_keys = len(queries), len(keys)
    scores = torch.einsum("qbd,kbd->qkb", queries, keys) / math.sqrt(queries.shape[-1])
    positions = torch.arange(n_keys - n_queries, n_keys)
    past = torch.arange(n_keys) <= positions[:, None]
    allowed = past[:, :, None] & real
    penalty = torch.zeros_like(scores).masked_fill(~allowed, -torch.inf)
    weights = torch.softmax(scores + penalty, dim=1).nan_to_num()
    return torch.einsum("qkb,kbv->qbv", weights, values), weights
