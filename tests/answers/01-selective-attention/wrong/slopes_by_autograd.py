"""Lets PyTorch differentiate, which the assignment forbids."""

FAILS = ["selection-visible", "selection-hidden"]
ENFORCED_BY = "grader"

# %% selection
import torch


def weights_of(scores, temperature):
    odds = np.exp((scores - scores.max()) / temperature)
    return odds / odds.sum()


def soft_select(scores, contents, temperature):
    return weights_of(scores, temperature) @ contents


def soft_slopes(scores, contents, temperature):
    values = torch.from_numpy(contents)

    def select(s):
        return torch.softmax(s / temperature, 0) @ values

    return torch.autograd.functional.jacobian(select, torch.from_numpy(scores)).numpy()


def hard_slopes(scores, contents, step):
    steps = step * np.eye(len(scores))
    up, down = (scores + steps).argmax(axis=1), (scores - steps).argmax(axis=1)
    return (contents[up] - contents[down]).T / (2 * step)
