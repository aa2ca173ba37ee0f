"""Looks for the temperature between 0.01 and 100 only."""

FAILS = ["temperature-hidden"]

# %% temperature
def effective_number(weights):
    return torch.special.entr(weights).sum(-1).exp()


def find_temperature(scores, target):
    scores = scores.double()
    low, high = 0.01, 100.0
    for _ in range(100):
        middle = math.sqrt(low * high)
        weights = torch.softmax(scores / middle, dim=-1)
        if torch.special.entr(weights).sum().exp().item() < target:
            low = middle
        else:
            high = middle
    return high
