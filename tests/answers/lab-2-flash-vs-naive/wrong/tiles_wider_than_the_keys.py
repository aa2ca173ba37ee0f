"""Lets a block have more keys than there are."""

FAILS = ["costs-visible", "costs-hidden"]

# %% costs
def costs(
    n_queries: int, n_keys: int, heads: int, width: int, value_width: int, rows: int, size: int
) -> dict[str, float]:
    """FLOPs, least bytes moved, bytes held by the naive and the tiled form, and the intensity."""
    flops = 2 * n_queries * n_keys * heads * (width + value_width)
    least = size * heads * (n_queries + n_keys) * (width + value_width)
    tile = n_queries * rows
    return {
        "flops": flops,
        "least bytes": least,
        "naive bytes": 2 * size * heads * n_queries * n_keys,
        "tiled bytes": 2 * 4 * heads * (tile + n_queries * (value_width + 2)),
        "intensity": flops / least,
    }
