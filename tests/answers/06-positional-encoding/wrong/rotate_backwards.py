"""Turns by minus the angle."""

FAILS = ["rotate-visible", "rotate-hidden"]

# %% rotate
def rotate(x: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
    """Queries or keys [B, T, H, D], the first 2N features of each turned in pairs (n, n + N)."""
    n = len(lengths)
    angles = 2 * math.pi * positions.double()[:, :, None, None] / lengths
    c, s = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second, rest = x[..., :n], x[..., n : 2 * n], x[..., 2 * n :]
    return torch.cat([first * c + second * s, second * c - first * s, rest], dim=-1)
