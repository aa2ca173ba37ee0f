"""As a student: the first thing that the text suggests."""

FAILS = []

# %% dials
def dials(positions, n_dials, shortest, longest, wave):
    n = torch.arange(n_dials, dtype=torch.float64)
    if n_dials == 1:
        lam = torch.tensor([shortest], dtype=torch.float64)
    else:
        lam = shortest * (longest / shortest) ** (n / (n_dials - 1))
    u = positions.double().unsqueeze(1) / lam
    out = torch.empty(len(positions), 2 * n_dials, dtype=torch.float64)
    out[:, ::2] = wave(u + 1 / 4)
    out[:, 1::2] = wave(u)
    return out

# %% shift
def shift_matrix(offset, lengths):
    blocks = []
    for lam in lengths:
        a = 2 * math.pi * offset / lam
        blocks.append(torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]], dtype=torch.float64))
    return torch.block_diag(*blocks)


def shifted(table, offset, lengths):
    return (shift_matrix(offset, lengths) @ table.T).T

# %% rotate
def rotate(x, positions, lengths):
    N = len(lengths)
    theta = 2 * math.pi * positions.double()[..., None] / lengths
    cos, sin = theta.cos()[:, :, None].to(x.dtype), theta.sin()[:, :, None].to(x.dtype)
    a, b = x[..., :N], x[..., N : 2 * N]
    y = x.clone()
    y[..., :N] = a * cos - b * sin
    y[..., N : 2 * N] = a * sin + b * cos
    return y

# %% step
def rotary_step(queries, keys, values, positions, cache, turn):
    q = turn(queries, positions)
    k = turn(keys, positions)
    v = values
    C = 0
    if cache is not None:
        C = cache[0].shape[1]
        k = torch.cat([cache[0], k], dim=1)
        v = torch.cat([cache[1], v], dim=1)
    s = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    Q = q.shape[1]
    late = torch.arange(C + Q) > C + torch.arange(Q)[:, None]
    w = torch.softmax(s.masked_fill(late, -math.inf), -1)
    return w @ v, (k, v)

# %% bias
def slopes(n_heads):
    def power(n):
        return [2 ** (-8 * (i + 1) / n) for i in range(n)]

    P = 2 ** (n_heads.bit_length() - 1)
    return torch.tensor(power(P) + power(2 * P)[::2][: n_heads - P]).sort(descending=True).values


def distance_bias(n_heads, n_queries, n_keys):
    place = torch.arange(n_queries) + n_keys - n_queries
    d = place[:, None] - torch.arange(n_keys)
    b = -slopes(n_heads)[:, None, None] * d
    return torch.where(d >= 0, b, -math.inf)

# %% offsets
def rows(R, back, Q, K):
    p = torch.arange(Q) + K - Q
    return (torch.arange(K) - p[:, None]).clamp(-back, R - 1 - back) + back


def offset_bias(table, back, n_queries, n_keys):
    return table[rows(len(table), back, n_queries, n_keys)].permute(2, 0, 1)


def offset_output(weights, table, back):
    r = rows(len(table), back, weights.shape[2], weights.shape[3])
    return torch.einsum("bhqk,qkv->bhqv", weights, table[r])

# %% reading
import numpy as np


def perplexities(losses):
    return {s: {n: float(np.exp(np.mean(runs))) for n, runs in d.items()} for s, d in losses.items()}


def ratios(table, train_length):
    return {s: d[max(d)] / d[train_length] for s, d in table.items()}


def verdicts(table, train_length, tolerance, factor):
    out = {}
    best = min(d[train_length] for d in table.values())
    for s, d in table.items():
        longer = [n for n in d if n > train_length]
        if not longer:
            out[s] = "not tested"
        elif max(d[n] for n in longer) / d[train_length] > tolerance:
            out[s] = "breaks"
        elif d[train_length] > factor * best:
            out[s] = "poor"
        else:
            out[s] = "holds"
    return out
