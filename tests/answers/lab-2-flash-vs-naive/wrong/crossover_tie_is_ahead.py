"""Takes a tie for being ahead."""

FAILS = ["crossover-hidden"]

# %% crossover
def crossover(lengths: list[int], first: list[float], second: list[float]) -> float | None:
    """The length from which on the second is faster; None if there is none."""
    points = sorted((length, math.log(a / b)) for length, a, b in zip(lengths, first, second, strict=True))
    behind = [place for place, (_, gain) in enumerate(points) if gain < 0]
    if not behind:
        return points[0][0]
    if behind[-1] == len(points) - 1:
        return None
    (n0, g0), (n1, g1) = points[behind[-1]], points[behind[-1] + 1]
    return math.exp(math.log(n0) + (math.log(n1) - math.log(n0)) * -g0 / (g1 - g0))
