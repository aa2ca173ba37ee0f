"""Searches up to 3,000 queries and gives up."""

FAILS = ["roof-hidden"]

# %% roof
def read_roof(work: dict[str, float], card: dict[str, float]) -> dict[str, float | str]:
    """Least time, what bounds it, FLOP a second at that time, and the ridge in FLOP a byte."""
    times = {
        "memory": work["bytes"] / card["bandwidth"],
        "arithmetic": work["flops"] / card["flops"],
        "exponentials": work["exps"] / card["exps"],
    }
    bound = max(times, key=times.__getitem__)  # of equals, max gives the first
    others = max(times["arithmetic"], times["exponentials"])
    return {
        "seconds": times[bound],
        "bound": bound,
        "attainable": work["flops"] / times[bound],
        "ridge": work["flops"] / (others * card["bandwidth"]),
    }


def queries_needed(
    n_keys: int, width: int, value_width: int, small: int, card: dict[str, float]
) -> int | None:
    """The smallest number of queries for which the memory does not decide; None if there is none."""
    both = width + value_width
    others = n_keys * max(2 * both / card["flops"], 1 / card["exps"])  # seconds, for each query
    moving = small * both / card["bandwidth"]  # seconds, for each query and for each key
    if others <= moving:
        return None
    least = max(1, math.ceil(moving * n_keys / (others - moving)))
    return least if least <= 3000 else None
