"""Compares a raised score with the score as it is."""

FAILS = ["selection-visible", "selection-hidden"]

# %% selection
def weights_of(scores, temperature):
    odds = np.exp((scores - scores.max()) / temperature)
    return odds / odds.sum()


def soft_select(scores, contents, temperature):
    return weights_of(scores, temperature) @ contents


def soft_slopes(scores, contents, temperature):
    answer = soft_select(scores, contents, temperature)
    return ((contents - answer) * weights_of(scores, temperature)[:, None]).T / temperature


def hard_slopes(scores, contents, step):
    steps = step * np.eye(len(scores))
    up, down = (scores + steps).argmax(axis=1), scores.argmax()
    return (contents[up] - contents[down]).T / step
