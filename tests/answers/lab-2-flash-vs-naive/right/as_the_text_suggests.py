"""As a student: the first thing that the text suggests."""

FAILS = []

# %% tiled
def absorb(state, queries, keys, values):
    if queries.dtype in (torch.float16, torch.bfloat16):
        queries, keys, values = queries.float(), keys.float(), values.float()
    Q, H, D = queries.shape
    if state is None:
        m = torch.full((Q, H), -math.inf, dtype=queries.dtype, device=queries.device)
        state = {"m": m, "l": torch.zeros_like(m), "o": values.new_zeros(Q, H, values.shape[2])}
    s = torch.einsum("qhd,bhd->qhb", queries, keys) / D**0.5
    m = torch.maximum(state["m"], s.amax(-1))
    p = torch.exp(s - m[..., None])
    r = torch.exp(state["m"] - m)
    return {
        "m": m,
        "l": r * state["l"] + p.sum(-1),
        "o": r[..., None] * state["o"] + torch.einsum("qhb,bhv->qhv", p, values),
    }


def finish(state):
    return state["o"] / state["l"][..., None]

# %% costs
def costs(n_queries, n_keys, heads, width, value_width, rows, size):
    Q, K, H, D, V = n_queries, n_keys, heads, width, value_width
    B = min(rows, K)
    out = {}
    out["flops"] = H * (2 * Q * D * K + 2 * Q * K * V)
    out["least bytes"] = H * (Q * D + K * D + K * V + Q * V) * size
    out["naive bytes"] = H * (Q * K + Q * K) * size
    out["tiled bytes"] = H * (Q * B + Q * B + Q * (V + 2) + Q * (V + 2)) * 4
    out["intensity"] = out["flops"] / out["least bytes"]
    return out

# %% predictions
def predictions():
    return {
        "growth of flops": 64, "growth of naive bytes": 64, "growth of tiled bytes": 8, "growth of intensity": 8,
        "flops for the width": 2, "naive bytes for the width": 1, "naive MiB": 128, "tiled MiB": 6.06,
        "longest naive": 32768,
    }

# %% fit
import numpy as np


def fit(points):
    x = np.log([n for n, _ in points])
    y = np.log([np.median(s) for _, s in points])
    slope, intercept = np.polyfit(x, y, 1)
    return float(slope), float(np.exp(intercept))

# %% roof
import numpy as np


def roof(samples, flops, moved, peak, bandwidth):
    t = float(np.median(samples)) / 1000
    rate = flops / t
    peak_flops, bytes_per_second = peak * 1e12, bandwidth * 1e9
    memory = flops / moved * bytes_per_second
    bound = "memory" if memory < peak_flops else "compute"
    return {
        "rate": rate / 1e12,
        "share of peak": rate / peak_flops,
        "bound": bound,
        "share of roof": rate / (memory if bound == "memory" else peak_flops),
    }

# %% faster
import numpy as np


def p_value(first, second, margin):
    a, b = np.array(first)[:, None] * (1 + margin), np.array(second)[None]
    m, n = len(first), len(second)
    W = (a < b).sum() + (a == b).sum() / 2
    sigma = (m * n * (m + n + 1) / 12) ** 0.5
    return 0.5 * math.erfc((W - m * n / 2) / sigma / 2**0.5)


def verdict(first, second, margin, level):
    if p_value(first, second, margin) < level:
        return "first"
    elif p_value(second, first, margin) < level:
        return "second"
    else:
        return "undecided"

# %% crossover
def crossover(lengths, first, second):
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    n = [lengths[i] for i in order]
    g = [math.log(first[i]) - math.log(second[i]) for i in order]
    if g[-1] <= 0:
        return None
    i = len(n) - 1
    while i >= 0 and g[i] > 0:
        i -= 1
    if i < 0:
        return n[0]
    t = g[i] / (g[i] - g[i + 1])
    return n[i] ** (1 - t) * n[i + 1] ** t

# %% record
def table(record, dtype, width):
    out = {}
    for e in record["entries"]:
        if e["dtype"] != dtype or e["shape"][2] != width:
            continue
        if e["implementation"] not in out:
            out[e["implementation"]] = {}
        out[e["implementation"]][e["shape"][0]] = (statistics.median(e["seconds"]), e["peak_bytes"])
    return out

# %% findings
import numpy as np


def findings(record):
    t, p = {}, {}
    for e in record["entries"]:
        if e["dtype"] == "float32":
            N, _, D = e["shape"]
            t[e["implementation"], N, D] = float(np.median(e["seconds"]))
            p[e["implementation"], N, D] = e["peak_bytes"]

    def best(d):
        return min((v, name) for (name, N, D), v in d.items() if N == 4096 and D == 64)[1]

    def slope(d, which):
        n = sorted(N for name, N, D in d if name == which and D == 64)
        return float(np.polyfit(np.log(n), np.log([d[which, N, 64] for N in n]), 1)[0])

    return {
        "fastest": best(t),
        "leanest": best(p),
        "slope of naive's time": slope(t, "naive"),
        "slope of naive's memory": slope(p, "naive"),
        "slope of tiled's memory": slope(p, "tiled"),
        "memory ratio": p["naive", 4096, 64] / p["tiled", 4096, 64],
        "time ratio": t["tiled", 4096, 64] / t["naive", 4096, 64],
        "width ratio": t["naive", 4096, 128] / t["naive", 4096, 64],
    }
