"""Never considers the other order."""

FAILS = ["blocks-visible", "blocks-hidden"]

# %% blocks
def best_plan(
    n_queries: int, n_keys: int, width: int, value_width: int, fast: int, step: int
) -> tuple[str, int, int] | None:
    """Order of the loops and sizes of the blocks that move the fewest numbers; None if nothing fits."""
    per_query, per_key = width + value_width + 1, width + value_width
    # Only the outer block counts, so the inner one is as small as it may be.
    b_q = (fast - step * per_key) // (per_query + step) // step * step
    b_k = (fast - step * per_query) // (per_key + step) // step * step
    if b_q < step or b_k < step:
        return None
    by_queries = n_queries * per_query + math.ceil(n_queries / b_q) * n_keys * per_key
    by_keys = n_keys * per_key + math.ceil(n_keys / b_k) * n_queries * (width + 2 * value_width + 2)
    return ("queries", b_q, step) if by_queries or by_keys else None
