"""Of equal scores takes the last."""

FAILS = ["selection-hidden"]

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
    steps, last = step * np.eye(len(scores)), len(scores) - 1
    up, down = (last - (scores + sign * steps)[:, ::-1].argmax(axis=1) for sign in (1, -1))
    return (contents[up] - contents[down]).T / (2 * step)
