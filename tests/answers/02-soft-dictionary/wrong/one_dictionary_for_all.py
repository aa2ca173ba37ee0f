"""Answers every query from the first dictionary of the batch."""

FAILS = ["soft-lookup-hidden"]

# %% soft-lookup
def soft_lookup(queries, keys, values):
    scores = queries @ keys[0].T / queries.shape[-1] ** 0.5
    return torch.einsum("bqk,k...->bq...", torch.softmax(scores, dim=-1), values[0])
