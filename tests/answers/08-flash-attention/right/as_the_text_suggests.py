"""As a student: step by step, in the order of the text."""

FAILS = []

# %% online
def take(largest, total, block):
    m = torch.maximum(largest, block.max(dim=0).values)
    base = torch.where(m == -torch.inf, torch.zeros_like(m), m)
    l = total * 2 ** (largest - base)
    for row in block:
        l = l + 2 ** (row - base)
    return m, l


def shares(largest, total, block):
    out = torch.zeros_like(block)
    for r in range(block.shape[1]):
        if total[r] > 0:
            out[:, r] = torch.exp2(block[:, r] - largest[r]) / total[r]
    return out

# %% merge
def merge_two(a, b):
    (ca, oa), (cb, ob) = a, b
    top = torch.maximum(ca, cb)
    top = torch.where(top == -torch.inf, torch.zeros_like(top), top)
    pa, pb = torch.exp2(ca - top), torch.exp2(cb - top)
    total = pa + pb
    safe = torch.where(total == 0, torch.ones_like(total), total)
    return top + torch.log2(total), (pa / safe)[..., None] * oa + (pb / safe)[..., None] * ob


def merge(parts):
    result = parts[0]
    for part in parts[1:]:
        result = merge_two(result, part)
    return result

# %% accumulate
def absorb(state, query, key, value, seen):
    m, l, u = state
    D = query.shape[2]
    for j in range(key.shape[0]):
        x = (query * key[j]).sum(-1) / D**0.5 * LOG2E
        x = x.masked_fill(~seen[:, j : j + 1], -math.inf)
        new = torch.maximum(m, x)
        base = new.masked_fill(new == -math.inf, 0.0)
        old, power = torch.exp2(m - base), torch.exp2(x - base)
        l = l * old + power
        u = u * old[..., None] + power[..., None] * value[j]
        m = new
    return m, l, u


def finish(state, sink):
    m, l, u = state
    new = torch.maximum(m, sink.expand_as(m))
    base = new.masked_fill(new == -math.inf, 0.0)
    total = l * torch.exp2(m - base) + torch.exp2(sink - base)
    output = u * torch.exp2(m - base)[..., None] / total[..., None]
    output = torch.where(total[..., None] > 0, output, torch.zeros_like(output))
    return output, base + torch.log2(total)

# %% tiles
def windowed_attention(load, store, sizes, blocks, window):
    Q, K, D = sizes
    bq, bk = blocks
    for k0 in range(0, K, bk):
        k1 = min(K, k0 + bk)
        keys = None
        for q0 in range(0, Q, bq):
            q1 = min(Q, q0 + bq)
            p = torch.arange(q0, q1)[:, None] + K - Q
            j = torch.arange(k0, k1)
            seen = (p - window < j) & (j <= p)
            if not seen.any():
                continue
            if keys is None:
                keys, values = load("key", k0, k1), load("value", k0, k1)
            q, o, c = load("query", q0, q1), load("output", q0, q1), load("log_total", q0, q1)
            x = (q @ keys.T / math.sqrt(D) * LOG2E).masked_fill(~seen, -math.inf)
            m = x.max(1).values
            m0 = m.masked_fill(m == -math.inf, 0.0)
            w = torch.exp2(x - m0[:, None])
            l = w.sum(1)
            c_tile = m0 + torch.log2(l)
            o_tile = w @ values / l.clamp(min=1e-30)[:, None]
            top = torch.maximum(c, c_tile)
            top = top.masked_fill(top == -math.inf, 0.0)
            a, b = torch.exp2(c - top), torch.exp2(c_tile - top)
            both = (a + b).clamp(min=1e-30)
            store("log_total", q0, top + torch.log2(a + b))
            store("output", q0, (a / both)[:, None] * o + (b / both)[:, None] * o_tile)

# %% backward
def row_products(output, d_output):
    return torch.einsum("qhv,qhv->qh", output, d_output)


def tile_gradients(query, key, value, d_output, log_total, products, seen, cap):
    D = query.shape[-1]
    q, k, v, do = (each.transpose(0, 1) for each in (query, key, value, d_output))
    t = torch.tanh(q @ k.transpose(1, 2) / math.sqrt(D) / cap)
    x = LOG2E * cap * t
    p = torch.exp2(x - log_total.T[..., None])
    p = torch.where(seen, p, torch.zeros_like(p))
    ds = p * (do @ v.transpose(1, 2) - products.T[..., None]) * (1 - t**2) / math.sqrt(D)
    dq, dk, dv = ds @ k, ds.transpose(1, 2) @ q, p.transpose(1, 2) @ do
    return dq.transpose(0, 1), dk.transpose(0, 1), dv.transpose(0, 1)

# %% traffic
def sees(q0, q1, k0, k1, shift, window):
    first, last = q0 + shift, q1 - 1 + shift
    return last >= k0 and first - window + 1 <= k1 - 1


def walk(Q, K, blocks, window):
    for k0 in range(0, K, blocks[1]):
        for q0 in range(0, Q, blocks[0]):
            q1, k1 = min(q0 + blocks[0], Q), min(k0 + blocks[1], K)
            if sees(q0, q1, k0, k1, K - Q, window):
                yield q0, q1, k0, k1


def visited_tiles(n_queries, n_keys, blocks, window):
    return len(list(walk(n_queries, n_keys, blocks, window)))


def tile_bytes(n_queries, n_keys, width, value_width, blocks, window, small):
    loaded, stored, last = 0, 0, None
    for q0, q1, k0, k1 in walk(n_queries, n_keys, blocks, window):
        if k0 != last:
            loaded += small * (k1 - k0) * (width + value_width)
            last = k0
        loaded += (q1 - q0) * (small * width + 4 * value_width + 4)
        stored += (q1 - q0) * (4 * value_width + 4)
    return loaded, stored

# %% blocks
def best_plan(n_queries, n_keys, width, value_width, fast, step):
    best, plan = None, None
    for b_q in range(step, n_queries + step, step):
        for b_k in range(step, n_keys + step, step):
            if b_q * (width + value_width + 1) + b_k * (width + value_width) + b_q * b_k > fast:
                break
            t_q, t_k = math.ceil(n_queries / b_q), math.ceil(n_keys / b_k)
            one = n_queries * (width + value_width + 1) + t_q * n_keys * (width + value_width)
            two = n_keys * (width + value_width) + t_k * n_queries * (width + 2 * value_width + 2)
            for order, moved in (("queries", one), ("keys", two)):
                if best is None or moved < best:
                    best, plan = moved, (order, b_q, b_k)
    return plan

# %% roof
def read_roof(work, card):
    t_mem = work["bytes"] / card["bandwidth"]
    t_flop = work["flops"] / card["flops"]
    t_exp = work["exps"] / card["exps"]
    t = max(t_mem, t_flop, t_exp)
    if t == t_mem:
        bound = "memory"
    elif t == t_flop:
        bound = "arithmetic"
    else:
        bound = "exponentials"
    ridge_bytes = max(t_flop, t_exp) * card["bandwidth"]
    return {"seconds": t, "bound": bound, "attainable": work["flops"] / t, "ridge": work["flops"] / ridge_bytes}


def queries_needed(n_keys, width, value_width, small, card):
    def decides(Q):
        moving = small * (Q + n_keys) * (width + value_width) / card["bandwidth"]
        flops = 2 * Q * n_keys * (width + value_width) / card["flops"]
        return moving > flops and moving > Q * n_keys / card["exps"]

    for Q in range(1, 10_001):
        if not decides(Q):
            return Q
    return None
