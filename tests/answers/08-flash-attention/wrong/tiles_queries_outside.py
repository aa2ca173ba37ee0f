"""The chapter's loops: queries outside, keys loaded for every tile."""

FAILS = ["tiles-visible", "tiles-hidden"]

# %% tiles
def windowed_attention(load, store, sizes, blocks, window) -> None:
    """Attention in a sliding window."""
    (n_queries, n_keys, width), (b_q, b_k) = sizes, blocks
    for q0 in range(0, n_queries, b_q):
        q1, query = min(q0 + b_q, n_queries), None
        for k0 in range(0, n_keys, b_k):
            k1 = min(k0 + b_k, n_keys)
            back = torch.arange(q0, q1)[:, None] + n_keys - n_queries - torch.arange(k0, k1)
            seen = (back >= 0) & (back < window)
            if not seen.any():
                continue
            key, value = load("key", k0, k1), load("value", k0, k1)
            if query is None:
                query, output, log_total = (load(name, q0, q1) for name in ("query", "output", "log_total"))
            x = (query @ key.T * (LOG2E / math.sqrt(width))).masked_fill(~seen, -torch.inf)
            largest = torch.maximum(log_total, x.amax(dim=1))
            footing = largest.masked_fill(largest.isneginf(), 0.0)
            old, powers = torch.exp2(log_total - footing), torch.exp2(x - footing[:, None])
            total = old + powers.sum(dim=1)
            output = (output * old[:, None] + powers @ value) / torch.where(total > 0, total, 1.0)[:, None]
            log_total = footing + torch.log2(total)
        if query is not None:
            store("output", q0, output)
            store("log_total", q0, log_total)
