"""Another measure, 1 / sum of squares: equal for equal weights, different otherwise."""

FAILS = ["temperature-visible", "temperature-hidden"]

# %% temperature
def effective_number(weights):
    return 1 / weights.square().sum(-1)


def find_temperature(scores, target):
    scores = scores.double()
    low, high = 1e-9, 1e9
    for _ in range(100):
        middle = math.sqrt(low * high)
        weights = torch.softmax(scores / middle, dim=-1)
        if torch.special.entr(weights).sum().exp().item() < target:
            low = middle
        else:
            high = middle
    return high
