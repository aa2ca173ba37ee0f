"""Keeps state between calls: right for the first three, wrong from then on."""

FAILS = ["masked-lookup-hidden"]

# %% masked-lookup
SEEN = []


def masked_lookup(scores, values, mask, default):
    SEEN.append(scores)
    nothing = ~mask.any(dim=-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(~mask & ~nothing, -torch.inf), dim=-1)
    return torch.where(nothing, default, weights @ values) + (len(SEEN) > 3)
