"""Takes True for "may not be looked at"."""

FAILS = ["masked-lookup-visible", "masked-lookup-hidden"]

# %% masked-lookup
def masked_lookup(scores, values, mask, default):
    nothing = mask.all(dim=-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(mask & ~nothing, -torch.inf), dim=-1)
    return torch.where(nothing, default, weights @ values)
