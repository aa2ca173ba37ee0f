"""Takes the reward for a loss that is to fall: a minus sign too many."""

FAILS = ["looks-visible", "looks-hidden"]

# %% looks
def look_gradient(scores, looks, rewards, temperature):
    odds = np.exp(scores / temperature)
    weights = odds / odds.sum()
    before = np.arange(len(rewards))
    references = (np.cumsum(rewards) - rewards) / np.maximum(before, 1)
    chosen = np.eye(len(scores))[looks]
    return -((rewards - references)[:, None] * (chosen - weights)).mean(axis=0) / temperature
