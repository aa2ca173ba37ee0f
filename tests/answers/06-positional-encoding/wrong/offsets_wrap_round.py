"""Leaves + back out, so that negative rows count from the end."""

FAILS = ["offsets-visible", "offsets-hidden"]

# %% offsets
def offset_bias(table: Tensor, back: int, n_queries: int, n_keys: int) -> Tensor:
    """A number [H, Q, K] for each head and pair, from a table [R, H]."""
    offset = torch.arange(n_keys) - torch.arange(n_keys - n_queries, n_keys)[:, None]
    rows = offset.clamp(-back, len(table) - 1 - back)
    return table[rows].permute(2, 0, 1)


def offset_output(weights: Tensor, table: Tensor, back: int) -> Tensor:
    """Output [B, H, Q, V]: vectors of a table [R, V], weighted by weights [B, H, Q, K]."""
    n_queries, n_keys = weights.shape[-2:]
    offset = torch.arange(n_keys) - torch.arange(n_keys - n_queries, n_keys)[:, None]
    rows = offset.clamp(-back, len(table) - 1 - back)
    by_row = weights.new_zeros(*weights.shape[:-1], len(table))
    return by_row.scatter_add(-1, (rows % len(table)).expand(weights.shape), weights) @ table
