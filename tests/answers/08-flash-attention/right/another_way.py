"""Other ways: everything joined at once, NumPy, automatic differentiation of a tile, counting by intervals."""

FAILS = []

# %% online
def take(largest, total, block):
    # The old total is one more key.
    kept = torch.where(total > 0, largest + torch.log2(total), -torch.inf)
    both = torch.cat([kept[None], block])
    new = torch.cat([largest[None], block]).amax(0)
    return new, torch.exp2(both - new).nan_to_num(nan=0.0).sum(0)


def shares(largest, total, block):
    return torch.exp2(block - largest - torch.log2(total)).nan_to_num(nan=0.0)

# %% merge
import numpy as np


def merge(parts):
    c = np.stack([part[0].numpy() for part in parts], axis=-1).astype(np.float64)
    o = np.stack([part[1].numpy() for part in parts], axis=-1).astype(np.float64)
    top = c.max(-1, keepdims=True)
    p = np.where(np.isinf(top), 0.0, np.exp2(c - np.where(np.isinf(top), 0.0, top)))
    total = p.sum(-1, keepdims=True)
    weights = p / np.maximum(total, 1e-300)
    with np.errstate(divide="ignore"):
        log_total = np.where(total > 0, top + np.log2(total), -np.inf)[..., 0]
    kind = parts[0][1].dtype
    return torch.tensor(log_total).to(kind), torch.tensor((o * weights[..., None, :]).sum(-1)).to(kind)

# %% accumulate
def absorb(state, query, key, value, seen):
    largest, total, mixture = (each.double() for each in state)
    x = LOG2E * torch.einsum("qhd,khd->qhk", query.double(), key.double()) / query.shape[-1] ** 0.5
    x = torch.where(seen[:, None, :], x, -math.inf)
    new = torch.maximum(largest, x.max(-1).values)
    seen_any = new > -math.inf
    old = torch.where(seen_any, torch.exp2(largest - new), 0.0)
    powers = torch.where(seen_any[..., None], torch.exp2(x - new[..., None]), 0.0)
    total = old * total + powers.sum(-1)
    mixture = old[..., None] * mixture + (powers[..., None] * value.double().transpose(0, 1)).sum(2)
    return new.float(), total.float(), mixture.float()


def finish(state, sink):
    largest, total, mixture = (each.double() for each in state)
    log_total = torch.where(total > 0, largest + torch.log2(total), -math.inf)
    average = mixture / torch.where(total > 0, total, 1.0)[..., None]
    sink = sink.double() + torch.zeros_like(log_total)
    high, low = torch.maximum(log_total, sink), torch.minimum(log_total, sink)
    ratio = torch.where(low > -math.inf, torch.exp2(low - high), 0.0)
    c = high + torch.log2(1 + ratio)
    share = torch.where(log_total > -math.inf, torch.exp2(log_total - c), 0.0)
    return (share[..., None] * average).float(), c.float()

# %% tiles
def windowed_attention(load, store, sizes, blocks, window):
    Q, K, D = sizes
    back = K - Q

    def pieces(n, size):
        return [(i * size, min(n, (i + 1) * size)) for i in range(-(-n // size))]

    for k0, k1 in reversed(pieces(K, blocks[1])):  # the order of the keys does not matter
        rows = [(a, b) for a, b in pieces(Q, blocks[0]) if b - 1 + back >= k0 and a + back - window + 1 <= k1 - 1]
        if rows:
            value, key = load("value", k0, k1).double(), load("key", k0, k1).double()
        for a, b in rows:
            log_total, output = load("log_total", a, b).double(), load("output", a, b).double()
            x = load("query", a, b).double() @ key.T / math.sqrt(D) * LOG2E
            ahead = torch.arange(k0, k1) - torch.arange(a + back, b + back)[:, None]
            x[(ahead > 0) | (ahead <= -window)] = -torch.inf
            # What was there before is one more key, with the output as its value.
            x = torch.cat([log_total[:, None], x], dim=1)
            top = x.amax(1, keepdim=True)
            powers = torch.exp2(x - top).nan_to_num(nan=0.0)
            total = powers.sum(1, keepdim=True)
            mixed = (powers[:, :1] * output + powers[:, 1:] @ value) / total.clamp(min=0.5)
            store("output", a, mixed.float())
            store("log_total", a, (top + torch.log2(total)).nan_to_num(nan=-torch.inf).squeeze(1).float())

# %% backward
def row_products(output, d_output):
    return (output.double() * d_output.double()).sum(2).to(output.dtype)


def tile_gradients(query, key, value, d_output, log_total, products, seen, cap):
    # The gradient of sum p (dp - product), with dp and product held constant, is p (dp - product) for each exponent.
    q, k = query.detach().clone().requires_grad_(), key.detach().clone().requires_grad_()
    with torch.enable_grad():
        capped = cap * torch.tanh(torch.einsum("qhd,khd->qhk", q, k) / math.sqrt(q.shape[-1]) / cap)
    c = torch.where(log_total.isinf(), 0.0, log_total)
    p = torch.exp2(torch.where(seen[:, None], capped.detach() * LOG2E - c[..., None], -torch.inf))
    dp = torch.einsum("qhv,khv->qhk", d_output, value)
    dq, dk = torch.autograd.grad(capped, (q, k), p * (dp - products[..., None]))
    return dq, dk, torch.einsum("qhk,qhv->khv", p, d_output)

# %% traffic
def spans(n_queries, n_keys, blocks, window):
    """For each block of queries: its rows, and the first and last block of keys that it meets."""
    for q0 in range(0, n_queries, blocks[0]):
        q1 = min(q0 + blocks[0], n_queries)
        low, high = max(0, q0 + n_keys - n_queries - window + 1), q1 - 1 + n_keys - n_queries
        if high >= 0:
            yield q1 - q0, low // blocks[1], high // blocks[1]


def visited_tiles(n_queries, n_keys, blocks, window):
    return sum(last - first + 1 for _, first, last in spans(n_queries, n_keys, blocks, window))


def tile_bytes(n_queries, n_keys, width, value_width, blocks, window, small):
    rows, met = 0, set()
    for n, first, last in spans(n_queries, n_keys, blocks, window):
        rows += n * (last - first + 1)
        met |= set(range(first, last + 1))
    keys = sum(min(blocks[1], n_keys - i * blocks[1]) for i in met)
    stored = 4 * rows * (value_width + 1)
    return small * (rows * width + keys * (width + value_width)) + stored, stored

# %% blocks
def best_plan(n_queries, n_keys, width, value_width, fast, step):
    plans = []
    b_q = step
    while (b_q - step) < n_queries:
        room = fast - b_q * (width + value_width + 1)
        b_k = room // (width + value_width + b_q) // step * step
        if b_k < step:
            break
        t_q, t_k = -(-n_queries // b_q), -(-n_keys // b_k)
        plans.append((n_queries * (width + value_width + 1) + t_q * n_keys * (width + value_width), "queries", b_q, b_k))
        plans.append((n_keys * (width + value_width) + t_k * n_queries * (width + 2 * value_width + 2), "keys", b_q, b_k))
        b_q += step
    return min(plans)[1:] if plans else None

# %% roof
def read_roof(work, card):
    intensity = work["flops"] / work["bytes"]
    density = work["flops"] / work["exps"] if work["exps"] else math.inf
    roofs = [("memory", intensity * card["bandwidth"]), ("arithmetic", card["flops"]), ("exponentials", density * card["exps"])]
    bound, rate = min(roofs, key=lambda roof: roof[1])
    return {
        "seconds": work["flops"] / rate,
        "bound": bound,
        "attainable": rate,
        "ridge": min(card["flops"], density * card["exps"]) / card["bandwidth"],
    }


def queries_needed(n_keys, width, value_width, small, card):
    per_byte = small * (width + value_width) / card["bandwidth"]
    answers = []
    for seconds in (2 * n_keys * (width + value_width) / card["flops"], n_keys / card["exps"]):
        if seconds > per_byte:
            Q = n_keys * per_byte / (seconds - per_byte)
            answers.append(max(1, math.ceil(Q)))
    return min(answers, default=None)
