"""Counts how a score moves its own weight, and not how it moves the others."""

FAILS = ["selection-visible", "selection-hidden"]

# %% selection
def weights_of(scores, temperature):
    odds = np.exp((scores - scores.max()) / temperature)
    return odds / odds.sum()


def soft_select(scores, contents, temperature):
    return weights_of(scores, temperature) @ contents


def soft_slopes(scores, contents, temperature):
    weights = weights_of(scores, temperature)
    return (contents * (weights * (1 - weights))[:, None]).T / temperature


def hard_slopes(scores, contents, step):
    steps = step * np.eye(len(scores))
    up, down = (scores + steps).argmax(axis=1), (scores - steps).argmax(axis=1)
    return (contents[up] - contents[down]).T / (2 * step)
