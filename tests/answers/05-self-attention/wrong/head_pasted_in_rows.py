"""The usual code, for which vectors are rows."""

FAILS = ["one-head-visible", "one-head-hidden"]

# %% one-head
def one_head(x, query_map, key_map, value_map):
    queries, keys, values = x @ query_map.T, x @ key_map.T, x @ value_map.T
    scores = queries @ keys.T / math.sqrt(queries.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ values, weights
