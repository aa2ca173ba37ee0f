"""Calls the wave in a loop over the positions."""

FAILS = ["dials-visible", "dials-hidden"]

# %% dials
def dials(positions: Tensor, n_dials: int, shortest: float, longest: float, wave) -> Tensor:
    """Table [T, 2N] in float64: each dial read a quarter turn ahead, then as it stands."""
    share = torch.arange(n_dials, dtype=torch.float64) / max(n_dials - 1, 1)
    turns = positions.double()[:, None] / (shortest * (longest / shortest) ** share)
    return torch.stack([wave(torch.stack([row + 0.25, row], dim=-1)).flatten() for row in turns])
