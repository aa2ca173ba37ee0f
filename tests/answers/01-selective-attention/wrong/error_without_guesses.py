"""Corrects the estimate for guesses, and not its error."""

FAILS = ["partial-report-visible", "partial-report-hidden"]

# %% partial-report
def letters_available(reported, lengths, guess):
    estimate, variance = 0.0, 0.0
    for right, length in zip(reported, lengths):
        available = (right - guess * length) / (1 - guess)
        estimate += available.mean()
        variance += right.var(ddof=1) / len(available)
    return estimate, math.sqrt(variance)
