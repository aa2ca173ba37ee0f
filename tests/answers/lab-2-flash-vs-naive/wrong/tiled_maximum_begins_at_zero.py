"""Begins with a largest score of 0, which rows far below never reach."""

FAILS = ["tiled-visible", "tiled-hidden"]

# %% tiled
def absorb(state, queries: Tensor, keys: Tensor, values: Tensor):
    """The state after one more block of keys [B, H, D] and values [B, H, V]."""
    kind = torch.promote_types(queries.dtype, torch.float32)
    scores = torch.einsum("qhd,bhd->hqb", queries.to(kind), keys.to(kind)) / math.sqrt(queries.shape[-1])
    largest = scores.amax(-1, keepdim=True).clamp(min=0)
    if state is not None:
        largest = torch.maximum(largest, state[0])
    weights = (scores - largest).exp()
    total, mixed = weights.sum(-1, keepdim=True), weights @ values.to(kind).transpose(0, 1)
    if state is not None:
        shrink = (state[0] - largest).exp()
        total, mixed = total + state[1] * shrink, mixed + state[2] * shrink
    return largest, total, mixed


def finish(state) -> Tensor:
    """The output [Q, H, V] of all that was absorbed."""
    _, total, mixed = state
    return (mixed / total).transpose(0, 1)
