"""Measures all rounds of one candidate, then all of the next."""

FAILS = ["rounds-visible", "rounds-hidden"]

# %% rounds
def in_rounds(calls: dict, measure, shuffle, rounds: int) -> dict[str, list[float]]:
    """Seconds of every candidate in every round, after a warm-up."""
    for call in calls.values():
        measure(call)
    samples = {name: [] for name in calls}
    for name in shuffle(list(calls)):
        samples[name] = [measure(calls[name]) for _ in range(rounds)]
    return samples


def relative(samples: dict[str, list[float]], baseline: str) -> dict[str, float]:
    """Median over the rounds of each candidate's seconds over the baseline's seconds."""
    return {
        name: statistics.median(x / y for x, y in zip(mine, samples[baseline], strict=True))
        for name, mine in samples.items()
    }
