"""A hard lookup: the value of the best key."""

FAILS = ["soft-lookup-visible", "soft-lookup-hidden"]

# %% soft-lookup
def soft_lookup(queries, keys, values):
    best = (queries @ keys.transpose(1, 2)).argmax(-1)
    return torch.stack([v[i] for v, i in zip(values, best)])
