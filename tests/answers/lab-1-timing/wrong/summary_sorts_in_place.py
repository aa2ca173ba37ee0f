"""Sorts the list that it was given."""

FAILS = ["summary-visible", "summary-hidden"]

# %% summary
def summary(samples: list[float]) -> dict[str, float]:
    """Median, lower and upper quartile (medians of the halves, without the middle), and spread."""
    samples.sort()
    ordered, half = samples, len(samples) // 2
    median = statistics.median(ordered)
    lower, upper = statistics.median(ordered[:half]), statistics.median(ordered[-half:])
    return {"median": median, "lower": lower, "upper": upper, "spread": (upper - lower) / median}


def good_enough(samples: list[float], fewest: int, limit: float) -> bool:
    """Whether there are enough samples and they lie close enough together."""
    return len(samples) >= fewest and summary(samples)["spread"] <= limit
