"""Reads the clock before the work is done."""

FAILS = ["timer-visible", "timer-hidden"]

# %% timer
def batch_seconds(launch, synchronise, clock, n: int) -> float:
    """Seconds between two readings of the clock around n launches and one synchronise."""
    synchronise()
    began = clock()
    for _ in range(n):
        launch()
    return clock() - began


def launch_seconds(launch, synchronise, clock, n: int, warmup: int) -> float:
    """Seconds that one call takes, by the difference of two batches, after a warm-up."""
    for _ in range(warmup):
        launch()
    once, twice = (batch_seconds(launch, synchronise, clock, size) for size in (n, 2 * n))
    return (twice - once) / n
