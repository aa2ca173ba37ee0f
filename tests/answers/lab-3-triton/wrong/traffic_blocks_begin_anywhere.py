"""Counts from the first key that is seen, not from its block's."""

FAILS = ["traffic-visible", "traffic-hidden"]

# %% traffic
def traffic(
    heads: int, n_queries: int, n_keys: int, width: int, value_width: int, window: int, queries: int, keys: int, size: int
) -> tuple[int, int]:
    """Bytes that attention through a window loads and stores, over all heads."""
    behind, rows, programs = n_keys - n_queries, 0, 0
    for first in range(0, n_queries, queries):
        programs += 1
        last = min(first + queries, n_queries) - 1
        lowest, highest = max(first + behind - window + 1, 0), last + behind
        if highest >= lowest:
            begin = lowest
            rows += min(highest // keys * keys + keys, n_keys) - begin
    loaded = size * (n_queries * width + rows * (width + value_width)) + 4 * programs
    stored = size * n_queries * value_width + 4 * n_queries
    return heads * loaded, heads * stored
