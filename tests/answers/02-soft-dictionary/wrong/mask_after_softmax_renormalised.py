"""Masks after the softmax and divides by the sum: 0 / 0 when a forbidden score is huge."""

FAILS = ["masked-lookup-hidden"]

# %% masked-lookup
def masked_lookup(scores, values, mask, default):
    nothing = ~mask.any(dim=-1, keepdim=True)
    weights = torch.softmax(scores, dim=-1) * mask
    weights = weights / weights.sum(-1, keepdim=True).masked_fill(nothing, 1.0)
    return torch.where(nothing, default, weights @ values)
