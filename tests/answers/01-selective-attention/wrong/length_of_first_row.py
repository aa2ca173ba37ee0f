"""Takes all rows to be as long as the first."""

FAILS = ["partial-report-visible", "partial-report-hidden"]

# %% partial-report
def letters_available(reported, lengths, guess):
    estimate, variance = 0.0, 0.0
    for right, length in zip(reported, lengths):
        available = (right - guess * lengths[0]) / (1 - guess)
        estimate += available.mean()
        variance += available.var(ddof=1) / len(available)
    return estimate, math.sqrt(variance)
