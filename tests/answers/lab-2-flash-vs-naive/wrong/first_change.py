"""Takes the first change, not the last."""

FAILS = ["crossover-hidden"]

# %% crossover
def crossover(lengths, first, second):
    points = sorted((length, math.log(a / b)) for length, a, b in zip(lengths, first, second))
    if points[-1][1] <= 0:
        return None
    if all(gain > 0 for _, gain in points):
        return points[0][0]
    for (n0, g0), (n1, g1) in zip(points, points[1:]):
        if g0 <= 0 < g1:
            return math.exp(math.log(n0) + (math.log(n1) - math.log(n0)) * -g0 / (g1 - g0))
