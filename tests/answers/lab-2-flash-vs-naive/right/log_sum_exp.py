"""Keeps the output so far and a log-sum-exp, head by head; plain loops elsewhere."""

FAILS = []

# %% tiled
def one_block(queries, keys, values):
    """Output and log-sum-exp of one block."""
    kind = torch.promote_types(queries.dtype, torch.float32)
    q, k, v = (x.to(kind).permute(1, 0, 2) for x in (queries, keys, values))
    scores = q @ k.mT * (q.shape[-1] ** -0.5)
    logs = scores.logsumexp(-1, keepdim=True)
    return [(scores - logs).exp() @ v, logs]


def absorb(state, queries, keys, values):
    new = one_block(queries, keys, values)
    if not state:
        return new
    logs = torch.logaddexp(state[1], new[1])
    return [state[0] * (state[1] - logs).exp() + new[0] * (new[1] - logs).exp(), logs]


def finish(state):
    return state[0].permute(1, 0, 2)

# %% costs
def costs(n_queries, n_keys, heads, width, value_width, rows, size):
    flops = bytes_ = 0
    for _ in range(heads):
        flops += 2 * n_queries * width * n_keys
        flops += 2 * n_queries * n_keys * value_width
        bytes_ += size * (n_queries * width + n_keys * width)
        bytes_ += size * (n_keys * value_width + n_queries * value_width)
    block = rows if rows < n_keys else n_keys
    return {
        "flops": float(flops),
        "least bytes": float(bytes_),
        "naive bytes": heads * n_queries * n_keys * size * 2,
        "tiled bytes": heads * n_queries * (block + value_width + 2) * 8,
        "intensity": flops / bytes_,
    }

# %% predictions
def predictions():
    def held(n):
        return 8 * n * (128 + 64 + 2)

    n = 1
    while 8 * (2 * n) ** 2 <= 2**34:
        n *= 2
    return {
        "growth of flops": (4096 / 512) ** 2, "growth of naive bytes": (4096 / 512) ** 2,
        "growth of tiled bytes": held(4096) / held(512), "growth of intensity": 4096 / 512,
        "flops for the width": 128 / 64, "naive bytes for the width": 1.0, "naive MiB": 8 * 4096**2 / 2**20,
        "tiled MiB": held(4096) / 2**20, "longest naive": n,
    }

# %% fit
def fit(points):
    xs, ys = [], []
    for n, samples in points:
        s = sorted(samples)
        middle = s[len(s) // 2] if len(s) % 2 else (s[len(s) // 2 - 1] + s[len(s) // 2]) / 2
        xs.append(math.log2(n))
        ys.append(math.log2(middle))
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    p = sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sum((x - mx) ** 2 for x in xs)
    return [p, 2 ** (my - p * mx)]

# %% crossover
def crossover(lengths, first, second):
    rows = sorted(zip(lengths, first, second), reverse=True)
    if rows[0][1] <= rows[0][2]:
        return None
    for (n1, a1, b1), (n0, a0, b0) in zip(rows, rows[1:]):
        if a0 <= b0:
            up, down = math.log2(a1 / b1), math.log2(b0 / a0)
            return 2 ** ((down * math.log2(n1) + up * math.log2(n0)) / (up + down))
    return rows[-1][0]
