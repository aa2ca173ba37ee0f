"""Sets what a trial held to 0 where the correction makes it negative."""

FAILS = ["partial-report-visible", "partial-report-hidden"]

# %% partial-report
def letters_available(reported, lengths, guess):
    estimate, variance = 0.0, 0.0
    for right, length in zip(reported, lengths):
        available = np.maximum((right - guess * length) / (1 - guess), 0)
        estimate += available.mean()
        variance += available.var(ddof=1) / len(available)
    return estimate, math.sqrt(variance)
