"""The package's code, for which the batch is the first axis."""

FAILS = ["two-masks-visible", "two-masks-hidden"]

# %% two-masks
def attend_masked(queries, keys, values, real):
    scores = queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5
    forbidden = ~(torch.ones(scores.shape[-2:], dtype=torch.bool).tril() & real[:, None, :])
    empty = forbidden.all(-1, keepdim=True)
    filled = scores.masked_fill(forbidden, -torch.inf).masked_fill(empty, 0.0)
    weights = filled.softmax(-1).masked_fill(empty, 0.0)
    return weights @ values, weights
