"""Writes the softmax out without subtracting the maximum, which overflows."""

FAILS = ["step-visible", "step-hidden"]

# %% step
def rotary_step(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    positions: Tensor,
    cache: tuple[Tensor, Tensor] | None,
    turn,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Output [H, Q, V] of Q new words, and the cache of turned keys [H, C + Q, D] and values [H, C + Q, V]."""
    queries, keys = turn(queries, positions), turn(keys, positions)
    if cache is not None:
        keys, values = torch.cat([cache[0], keys], dim=1), torch.cat([cache[1], values], dim=1)
    n_queries, n_keys = queries.shape[1], keys.shape[1]
    scores = queries @ keys.transpose(1, 2) / math.sqrt(queries.shape[-1])
    future = torch.arange(n_keys) > torch.arange(n_keys - n_queries, n_keys)[:, None]
    shares = scores.exp().masked_fill(future, 0.0)
    weights = shares / shares.sum(dim=-1, keepdim=True)
    return weights @ values, (keys, values)
