"""Gives the margin to the first instead of asking it of it."""

FAILS = ["sign-visible", "sign-hidden"]

# %% sign
def sign_test(first: list[float], second: list[float], margin: float) -> float:
    """p-value of the one-sided sign test for: the first is faster by more than the margin."""
    pairs = [(x, y * (1 + margin)) for x, y in zip(first, second, strict=True)]
    decided, wins = sum(x != y for x, y in pairs), sum(x < y for x, y in pairs)
    return sum(math.comb(decided, k) for k in range(wins, decided + 1)) / 2**decided


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
