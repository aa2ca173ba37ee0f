"""Writes minus infinity into the scores that were passed in."""

FAILS = ["masked-lookup-visible", "masked-lookup-hidden"]

# %% masked-lookup
def masked_lookup(scores, values, mask, default):
    nothing = ~mask.any(dim=-1, keepdim=True)
    scores.masked_fill_(~mask & ~nothing, -torch.inf)
    return torch.where(nothing, default, torch.softmax(scores, dim=-1) @ values)
