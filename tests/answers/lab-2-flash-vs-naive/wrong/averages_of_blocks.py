"""Normalises each block by itself and takes the mean."""

FAILS = ["tiled-visible", "tiled-hidden"]

# %% tiled
def absorb(state, queries, keys, values):
    kind = torch.promote_types(queries.dtype, torch.float32)
    scores = torch.einsum("qhd,bhd->qhb", queries.to(kind), keys.to(kind)) / math.sqrt(queries.shape[-1])
    output = torch.einsum("qhb,bhv->qhv", scores.softmax(-1), values.to(kind))
    if state is None:
        return output, 1
    return state[0] + output, state[1] + 1


def finish(state):
    return state[0] / state[1]
