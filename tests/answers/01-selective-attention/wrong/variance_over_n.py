"""Divides the squared deviations by n, NumPy's default, not by n - 1."""

FAILS = ["partial-report-visible", "partial-report-hidden"]

# %% partial-report
def letters_available(reported, lengths, guess):
    estimate, variance = 0.0, 0.0
    for right, length in zip(reported, lengths):
        available = (right - guess * length) / (1 - guess)
        estimate += available.mean()
        variance += available.var() / len(available)
    return estimate, math.sqrt(variance)
