"""Pasted from the package: sines first, wave lengths from the base 10,000."""

FAILS = ["dials-visible", "dials-hidden"]

# %% dials
def dials(positions: Tensor, n_dials: int, shortest: float, longest: float, wave) -> Tensor:
    frequencies = 10_000.0 ** (-torch.arange(0, 2 * n_dials, 2, dtype=torch.float64) / (2 * n_dials))
    angles = positions.double()[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
