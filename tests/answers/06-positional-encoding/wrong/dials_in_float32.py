"""Computes the turns in float32, and makes them float64 only then."""

FAILS = ["dials-visible", "dials-hidden"]

# %% dials
def dials(positions: Tensor, n_dials: int, shortest: float, longest: float, wave) -> Tensor:
    """Table [T, 2N] in float64: each dial read a quarter turn ahead, then as it stands."""
    share = torch.arange(n_dials, dtype=torch.float32) / max(n_dials - 1, 1)
    turns = positions.float()[:, None] / (shortest * (longest / shortest) ** share)
    return wave(torch.stack([turns + 0.25, turns], dim=-1).double()).flatten(-2)
