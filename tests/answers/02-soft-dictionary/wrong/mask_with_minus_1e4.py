"""Fills with -10 000 instead of minus infinity: leaks when the allowed scores are lower."""

FAILS = ["masked-lookup-hidden"]

# %% masked-lookup
def masked_lookup(scores, values, mask, default):
    weights = torch.softmax(scores.masked_fill(~mask, -1e4), dim=-1)
    return torch.where(~mask.any(dim=-1, keepdim=True), default, weights @ values)
