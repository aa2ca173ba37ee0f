"""Lets a query see one key more at the far end."""

FAILS = ["traffic-visible", "traffic-hidden"]

# %% traffic
def visited(n_queries: int, n_keys: int, blocks: tuple[int, int], window: int):
    """For each block of keys: its rows, and those of the query blocks that are visited with it."""
    b_q, b_k = blocks
    back = n_keys - n_queries
    for k0 in range(0, n_keys, b_k):
        k1, rows = min(k0 + b_k, n_keys), []
        for q0 in range(0, n_queries, b_q):
            q1 = min(q0 + b_q, n_queries)
            if q1 - 1 + back >= k0 and q0 + back - window <= k1 - 1:
                rows.append(q1 - q0)
        yield k1 - k0, rows


def visited_tiles(n_queries: int, n_keys: int, blocks: tuple[int, int], window: int) -> int:
    """How many tiles have a query that sees a key."""
    return sum(len(rows) for _, rows in visited(n_queries, n_keys, blocks, window))


def tile_bytes(
    n_queries: int,
    n_keys: int,
    width: int,
    value_width: int,
    blocks: tuple[int, int],
    window: int,
    small: int,
) -> tuple[int, int]:
    """Bytes loaded and bytes stored by the loop."""
    keys = queries = 0
    for n, rows in visited(n_queries, n_keys, blocks, window):
        keys += n if rows else 0
        queries += sum(rows)
    stored = 4 * queries * (value_width + 1)
    return small * (keys * (width + value_width) + queries * width) + stored, stored
