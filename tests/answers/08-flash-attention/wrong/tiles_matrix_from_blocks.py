"""Loads block by block, but keeps all of them and builds the whole matrix of scores."""

FAILS = ["tiles-visible", "tiles-hidden"]

# %% tiles
def windowed_attention(load, store, sizes, blocks, window) -> None:
    """Attention in a sliding window."""
    (n_queries, n_keys, width), (b_q, b_k) = sizes, blocks

    def all_of(name, n, block):
        return torch.cat([load(name, i, min(i + block, n)) for i in range(0, n, block)])

    key, value = all_of("key", n_keys, b_k), all_of("value", n_keys, b_k)
    for q0 in range(0, n_queries, b_q):
        q1 = min(q0 + b_q, n_queries)
        query = load("query", q0, q1)
        back = torch.arange(q0, q1)[:, None] + n_keys - n_queries - torch.arange(n_keys)
        x = query @ key.T * (LOG2E / math.sqrt(width))
        x = x.masked_fill((back < 0) | (back >= window), -torch.inf)
        largest = x.amax(dim=1, keepdim=True)
        footing = largest.masked_fill(largest.isneginf(), 0.0)
        powers = torch.exp2(x - footing)
        total = powers.sum(dim=1, keepdim=True)
        store("output", q0, powers @ value / torch.where(total > 0, total, 1.0))
        store("log_total", q0, (footing + torch.log2(total)).squeeze(1))
