"""Adds through an index with repeats, which NumPy carries out once."""

FAILS = ["looks-visible", "looks-hidden"]

# %% looks
def look_gradient(scores, looks, rewards, temperature):
    odds = np.exp(scores / temperature)
    weights = odds / odds.sum()
    before = np.arange(len(rewards))
    references = (np.cumsum(rewards) - rewards) / np.maximum(before, 1)
    surprise = rewards - references
    gradient = -weights * surprise.sum()
    gradient[looks] += surprise
    return gradient / (len(looks) * temperature)
