"""Returns the intercept, the logarithm of the factor."""

FAILS = ["fit-visible", "fit-hidden"]

# %% fit
def fit(points: list[tuple[int, list[float]]]) -> tuple[float, float]:
    """Exponent p and factor c of c * N ** p, by least squares in logarithms."""
    x = [math.log(length) for length, _ in points]
    y = [math.log(statistics.median(samples)) for _, samples in points]
    line = statistics.linear_regression(x, y)
    return line.slope, line.intercept
