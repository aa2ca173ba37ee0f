"""Counts a tie as lost."""

FAILS = ["faster-visible", "faster-hidden"]

# %% faster
def p_value(first: list[float], second: list[float], margin: float) -> float:
    """The chance that luck alone lets the first win so many pairs."""
    m, n = len(first), len(second)
    wins = sum((a * (1 + margin) < b) for a in first for b in second)
    spread = math.sqrt(m * n * (m + n + 1) / 12)
    return math.erfc((wins - m * n / 2) / (spread * math.sqrt(2))) / 2


def verdict(first: list[float], second: list[float], margin: float, level: float) -> str:
    """Which of the two is faster by more than the margin: "first", "second" or "undecided"."""
    if p_value(first, second, margin) < level:
        return "first"
    return "second" if p_value(second, first, margin) < level else "undecided"
