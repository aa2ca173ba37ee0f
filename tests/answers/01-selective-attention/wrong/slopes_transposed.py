"""Exchanges the axes of the slopes."""

FAILS = ["selection-visible", "selection-hidden"]

# %% selection
def weights_of(scores, temperature):
    odds = np.exp((scores - scores.max()) / temperature)
    return odds / odds.sum()


def soft_select(scores, contents, temperature):
    return weights_of(scores, temperature) @ contents


def soft_slopes(scores, contents, temperature):
    answer = soft_select(scores, contents, temperature)
    return ((contents - answer) * weights_of(scores, temperature)[:, None]) / temperature


def hard_slopes(scores, contents, step):
    steps = step * np.eye(len(scores))
    up, down = (scores + steps).argmax(axis=1), (scores - steps).argmax(axis=1)
    return (contents[up] - contents[down]).T / (2 * step)
