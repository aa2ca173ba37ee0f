"""Keeps every block of keys and makes the whole row again at each tile."""

FAILS = ["tiles-visible", "tiles-hidden"]

# %% tiles
def windowed_attention(load, store, sizes, blocks, window):
    Q, K, D = sizes
    b_q, b_k = blocks
    everything = []
    for k0 in range(0, K, b_k):
        k1 = min(k0 + b_k, K)
        key = None
        for q0 in range(0, Q, b_q):
            q1 = min(q0 + b_q, Q)
            p = torch.arange(q0, q1)[:, None] + K - Q
            j = torch.arange(k0, k1)
            if not ((j <= p) & (j > p - window)).any():
                continue
            if key is None:
                key, value = load("key", k0, k1), load("value", k0, k1)
                everything.append((j, key, value))
            query = load("query", q0, q1)
            load("output", q0, q1), load("log_total", q0, q1)
            places, keys, values = (torch.cat(each) for each in zip(*everything))
            seen = (places <= p) & (places > p - window)
            x = (LOG2E / math.sqrt(D) * (query @ keys.T)).masked_fill(~seen, -torch.inf)
            top = x.amax(dim=-1)
            base = top.masked_fill(top.isneginf(), 0.0)
            powers = torch.exp2(x - base[:, None])
            whole = powers.sum(dim=-1)
            store("output", q0, powers @ values / torch.where(whole > 0, whole, 1.0)[:, None])
            store("log_total", q0, base + torch.log2(whole))
