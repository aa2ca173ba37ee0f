"""Collects keys and values and computes everything at the end."""

FAILS = ["tiled-visible", "tiled-hidden"]

# %% tiled
def absorb(state, queries, keys, values):
    kind = torch.promote_types(queries.dtype, torch.float32)
    queries, keys, values = queries.to(kind), keys.to(kind), values.to(kind)
    if state is not None:
        keys, values = torch.cat([state[1], keys]), torch.cat([state[2], values])
    return queries, keys, values


def finish(state):
    queries, keys, values = state
    scores = torch.einsum("qhd,khd->qhk", queries, keys) / math.sqrt(queries.shape[-1])
    return torch.einsum("qhk,khv->qhv", scores.softmax(-1), values)
