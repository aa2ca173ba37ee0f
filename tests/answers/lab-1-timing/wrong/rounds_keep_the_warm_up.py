"""Keeps the first measurement of each candidate."""

FAILS = ["rounds-visible", "rounds-hidden"]

# %% rounds
def in_rounds(calls: dict, measure, shuffle, rounds: int) -> dict[str, list[float]]:
    """Seconds of every candidate in every round, after a warm-up."""
    samples = {name: [measure(call)] for name, call in calls.items()}
    for _ in range(rounds):
        for name in shuffle(list(calls)):
            samples[name].append(measure(calls[name]))
    return samples


def relative(samples: dict[str, list[float]], baseline: str) -> dict[str, float]:
    """Median over the rounds of each candidate's seconds over the baseline's seconds."""
    return {
        name: statistics.median(x / y for x, y in zip(mine, samples[baseline], strict=True))
        for name, mine in samples.items()
    }
