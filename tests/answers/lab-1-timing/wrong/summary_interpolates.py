"""Takes the quartiles of NumPy."""

FAILS = ["summary-visible", "summary-hidden"]

# %% summary
def summary(samples: list[float]) -> dict[str, float]:
    """Median, lower and upper quartile (medians of the halves, without the middle), and spread."""
    import numpy as np

    ordered = sorted(samples)
    median = statistics.median(ordered)
    lower, upper = (float(np.quantile(ordered, q)) for q in (0.25, 0.75))
    return {"median": median, "lower": lower, "upper": upper, "spread": (upper - lower) / median}


def good_enough(samples: list[float], fewest: int, limit: float) -> bool:
    """Whether there are enough samples and they lie close enough together."""
    return len(samples) >= fewest and summary(samples)["spread"] <= limit
