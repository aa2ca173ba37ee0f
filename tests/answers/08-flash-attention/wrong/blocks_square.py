"""Takes the largest square block."""

FAILS = ["blocks-visible", "blocks-hidden"]

# %% blocks
def best_plan(
    n_queries: int, n_keys: int, width: int, value_width: int, fast: int, step: int
) -> tuple[str, int, int] | None:
    """Order of the loops and sizes of the blocks that move the fewest numbers; None if nothing fits."""
    both, b = width + value_width, 0
    while (b + step) * (2 * both + 1) + (b + step) ** 2 <= fast:
        b += step
    if not b:
        return None
    by_queries = n_queries * (both + 1) + math.ceil(n_queries / b) * n_keys * both
    by_keys = n_keys * both + math.ceil(n_keys / b) * n_queries * (both + value_width + 2)
    return ("queries" if by_queries <= by_keys else "keys", b, b)
