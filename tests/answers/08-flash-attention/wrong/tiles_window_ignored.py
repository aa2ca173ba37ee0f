"""Causal, but without the window."""

FAILS = ["tiles-visible", "tiles-hidden"]

# %% tiles
def windowed_attention(
    load, store, sizes: tuple[int, int, int], blocks: tuple[int, int], window: int
) -> None:
    """Attention in a sliding window, from slow memory to slow memory, block of keys by block of keys."""
    (n_queries, n_keys, width), (b_q, b_k) = sizes, blocks

    def sees(q0: int, q1: int, k0: int, k1: int) -> Tensor:
        back = torch.arange(q0, q1)[:, None] + n_keys - n_queries - torch.arange(k0, k1)
        return back >= 0

    def merged(output, log_total, x, value):
        largest = torch.maximum(log_total, x.amax(dim=1))
        footing = largest.masked_fill(largest.isneginf(), 0.0)
        old, powers = torch.exp2(log_total - footing), torch.exp2(x - footing[:, None])
        total = old + powers.sum(dim=1)
        mixed = output * old[:, None] + powers @ value
        return mixed / torch.where(total > 0, total, 1.0)[:, None], footing + torch.log2(total)

    for k0 in range(0, n_keys, b_k):
        k1 = min(k0 + b_k, n_keys)
        rows = [(q0, min(q0 + b_q, n_queries)) for q0 in range(0, n_queries, b_q)]
        rows = [(q0, q1) for q0, q1 in rows if sees(q0, q1, k0, k1).any()]
        if not rows:
            continue
        key, value = load("key", k0, k1), load("value", k0, k1)
        for q0, q1 in rows:
            query, output, log_total = (load(name, q0, q1) for name in ("query", "output", "log_total"))
            x = query @ key.T * (LOG2E / math.sqrt(width))
            x = x.masked_fill(~sees(q0, q1, k0, k1), -torch.inf)
            output, log_total = merged(output, log_total, x, value)
            store("output", q0, output)
            store("log_total", q0, log_total)
