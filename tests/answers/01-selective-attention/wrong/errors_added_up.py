"""Adds standard errors where variances add."""

FAILS = ["partial-report-visible", "partial-report-hidden"]

# %% partial-report
def letters_available(reported, lengths, guess):
    estimate, variance = 0.0, 0.0
    for right, length in zip(reported, lengths):
        available = (right - guess * length) / (1 - guess)
        estimate += available.mean()
        variance += available.std(ddof=1) / math.sqrt(len(available))
    return estimate, variance
