"""Forgets T in the softmax."""

FAILS = ["looks-visible", "looks-hidden"]

# %% looks
def look_gradient(scores, looks, rewards, temperature):
    odds = np.exp(scores)
    weights = odds / odds.sum()
    before = np.arange(len(rewards))
    references = (np.cumsum(rewards) - rewards) / np.maximum(before, 1)
    chosen = np.eye(len(scores))[looks]
    return ((rewards - references)[:, None] * (chosen - weights)).mean(axis=0) / temperature
