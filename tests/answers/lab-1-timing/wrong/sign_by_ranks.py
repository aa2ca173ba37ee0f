"""The rank test of the package: every sample against every sample."""

FAILS = ["sign-visible", "sign-hidden"]

# %% sign
def sign_test(first: list[float], second: list[float], margin: float) -> float:
    """p-value of the one-sided sign test for: the first is faster by more than the margin."""
    import numpy as np

    a, b = np.asarray(first, dtype=float) * (1 + margin), np.asarray(second, dtype=float)
    wins = (a[:, None] < b).sum() + (a[:, None] == b).sum() / 2
    _, ties = np.unique(np.concatenate([a, b]), return_counts=True)
    n = a.size + b.size
    variance = a.size * b.size / 12 * (n + 1 - (ties**3 - ties).sum() / max(n * (n - 1), 1))
    if variance <= 0:
        return 1.0
    return math.erfc((wins - a.size * b.size / 2 - 0.5) / math.sqrt(2 * variance)) / 2


def verdict(first: list[float], second: list[float], margin: float, alpha: float) -> str:
    """Who is faster: "first", "second" or "cannot tell"."""
    if sign_test(first, second, margin) <= alpha:
        return "first"
    return "second" if sign_test(second, first, margin) <= alpha else "cannot tell"


def fewest_rounds(alpha: float) -> int:
    """The smallest number of rounds, all won, for which p is at most alpha."""
    rounds = 1
    while 0.5**rounds > alpha:
        rounds += 1
    return rounds
