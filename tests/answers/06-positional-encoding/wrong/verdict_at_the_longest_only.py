"""Looks at the longest length only."""

FAILS = ["reading-visible", "reading-hidden"]

# %% reading
def perplexities(losses: dict[str, dict[int, list[float]]]) -> dict[str, dict[int, float]]:
    """Perplexity of each scheme at each length, from the losses of its runs in nats."""
    return {
        scheme: {length: math.exp(sum(runs) / len(runs)) for length, runs in by_length.items()}
        for scheme, by_length in losses.items()
    }


def ratios(table: dict[str, dict[int, float]], train_length: int) -> dict[str, float]:
    """For each scheme its perplexity at its longest length over that at the training length."""
    return {scheme: row[max(row)] / row[train_length] for scheme, row in table.items()}


def verdicts(
    table: dict[str, dict[int, float]], train_length: int, tolerance: float, factor: float
) -> dict[str, str]:
    """For each scheme "not tested", "breaks", "poor" or "holds", the first that fits."""
    best = min(row[train_length] for row in table.values())

    def verdict(row: dict[int, float]) -> str:
        longer = [value for length, value in row.items() if length > train_length]
        if not longer:
            return "not tested"
        if row[max(row)] > tolerance * row[train_length]:
            return "breaks"
        return "poor" if row[train_length] > factor * best else "holds"

    return {scheme: verdict(row) for scheme, row in table.items()}
