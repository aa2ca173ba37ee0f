"""Keeps keys and values in a list beside the state, which is empty."""

FAILS = ["tiled-visible", "tiled-hidden"]

# %% tiled
seen = []


def absorb(state, queries, keys, values):
    if state is None:
        seen.clear()
    kind = torch.promote_types(queries.dtype, torch.float32)
    seen.append([each.to(kind) for each in (queries, keys, values)])
    return len(seen)


def finish(state):
    queries = seen[-1][0]
    keys, values = torch.cat([each[1] for each in seen]), torch.cat([each[2] for each in seen])
    scores = torch.einsum("qhd,khd->qhk", queries, keys) / math.sqrt(queries.shape[-1])
    return torch.einsum("qhk,khv->qhv", scores.softmax(-1), values)
