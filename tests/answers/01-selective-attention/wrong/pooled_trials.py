"""Means over all trials together, times the number of rows: rows cued often count more."""

FAILS = ["partial-report-visible", "partial-report-hidden"]

# %% partial-report
def letters_available(reported, lengths, guess):
    held = np.concatenate([(right - guess * length) / (1 - guess) for right, length in zip(reported, lengths)])
    return len(reported) * held.mean(), len(reported) * held.std(ddof=1) / math.sqrt(len(held))
