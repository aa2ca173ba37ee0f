"""Puts the reading as it stands before the one a quarter turn ahead."""

FAILS = ["dials-visible", "dials-hidden"]

# %% dials
def dials(positions: Tensor, n_dials: int, shortest: float, longest: float, wave) -> Tensor:
    """Table [T, 2N] in float64: each dial read a quarter turn ahead, then as it stands."""
    share = torch.arange(n_dials, dtype=torch.float64) / max(n_dials - 1, 1)
    turns = positions.double()[:, None] / (shortest * (longest / shortest) ** share)
    return wave(torch.stack([turns, turns + 0.25], dim=-1)).flatten(-2)
