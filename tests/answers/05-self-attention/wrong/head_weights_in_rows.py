"""Returns the weights with a row for each query."""

FAILS = ["one-head-visible", "one-head-hidden"]

# %% one-head
def one_head(
    x: np.ndarray, query_map: np.ndarray, key_map: np.ndarray, value_map: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Output [V, T] and weights [T, T] of one head that looks at x [E, T]; a column belongs to a query."""
    queries, keys, values = query_map @ x, key_map @ x, value_map @ x
    scores = keys.T @ queries / math.sqrt(len(queries))
    weights = np.exp(scores - scores.max(axis=0, keepdims=True))
    weights = weights / weights.sum(axis=0, keepdims=True)
    return values @ weights, weights.T
