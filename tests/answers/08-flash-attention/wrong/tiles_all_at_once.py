"""Loads everything and builds the whole matrix of scores."""

FAILS = ["tiles-visible", "tiles-hidden"]

# %% tiles
def windowed_attention(load, store, sizes, blocks, window) -> None:
    """Attention in a sliding window."""
    n_queries, n_keys, width = sizes
    query, key, value = load("query", 0, n_queries), load("key", 0, n_keys), load("value", 0, n_keys)
    back = torch.arange(n_keys - n_queries, n_keys)[:, None] - torch.arange(n_keys)
    x = query @ key.T * (LOG2E / math.sqrt(width))
    x = x.masked_fill((back < 0) | (back >= window), -torch.inf)
    largest = x.amax(dim=1, keepdim=True)
    footing = largest.masked_fill(largest.isneginf(), 0.0)
    powers = torch.exp2(x - footing)
    total = powers.sum(dim=1, keepdim=True)
    store("output", 0, powers @ value / torch.where(total > 0, total, 1.0))
    store("log_total", 0, (footing + torch.log2(total)).squeeze(1))
