"""Takes the reward of the look just before for a reference, not the mean of all before."""

FAILS = ["looks-hidden"]

# %% looks
def look_gradient(scores, looks, rewards, temperature):
    odds = np.exp(scores / temperature)
    weights = odds / odds.sum()
    before = np.arange(len(rewards))
    references = np.concatenate([[0.0], rewards[:-1]])
    chosen = np.eye(len(scores))[looks]
    return ((rewards - references)[:, None] * (chosen - weights)).mean(axis=0) / temperature
