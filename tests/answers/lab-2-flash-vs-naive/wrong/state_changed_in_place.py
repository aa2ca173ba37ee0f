"""Adds to the tensors of the old state."""

FAILS = ["tiled-visible", "tiled-hidden"]

# %% tiled
def absorb(state, queries, keys, values):
    kind = torch.promote_types(queries.dtype, torch.float32)
    scores = torch.einsum("qhd,bhd->hqb", queries.to(kind), keys.to(kind)) / math.sqrt(queries.shape[-1])
    largest = scores.amax(-1, keepdim=True)
    if state is not None:
        largest = torch.maximum(largest, state[0])
    weights = (scores - largest).exp()
    total, mixed = weights.sum(-1, keepdim=True), weights @ values.to(kind).transpose(0, 1)
    if state is None:
        return largest, total, mixed
    shrink = (state[0] - largest).exp()
    state[0].copy_(largest)
    state[1].mul_(shrink).add_(total)
    state[2].mul_(shrink).add_(mixed)
    return state


def finish(state):
    return (state[2] / state[1]).transpose(0, 1)
