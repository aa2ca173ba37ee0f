"""Measures the soft slopes with small steps, which lose digits."""

FAILS = ["selection-hidden"]

# %% selection
def weights_of(scores, temperature):
    odds = np.exp((scores - scores.max()) / temperature)
    return odds / odds.sum()


def soft_select(scores, contents, temperature):
    return weights_of(scores, temperature) @ contents


def soft_slopes(scores, contents, temperature):
    columns = []
    for step in 1e-3 * np.eye(len(scores)):
        up, down = soft_select(scores + step, contents, temperature), soft_select(scores - step, contents, temperature)
        columns.append((up - down) / 2e-3)
    return np.array(columns).T


def hard_slopes(scores, contents, step):
    steps = step * np.eye(len(scores))
    up, down = (scores + steps).argmax(axis=1), (scores - steps).argmax(axis=1)
    return (contents[up] - contents[down]).T / (2 * step)
