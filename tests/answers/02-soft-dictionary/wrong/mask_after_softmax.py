"""Sets weights to 0 after the softmax: the rest no longer sums to one."""

FAILS = ["masked-lookup-visible", "masked-lookup-hidden"]

# %% masked-lookup
def masked_lookup(scores, values, mask, default):
    weights = torch.softmax(scores, dim=-1) * mask
    return torch.where(~mask.any(dim=-1, keepdim=True), default, weights @ values)
