"""Pairs neighbours, the other convention."""

FAILS = ["rotate-visible", "rotate-hidden"]

# %% rotate
def rotate(x: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
    """Queries or keys [B, T, H, D], the first 2N features of each turned in pairs (n, n + N)."""
    n = len(lengths)
    angles = 2 * math.pi * positions.double()[:, :, None, None] / lengths
    c, s = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second, rest = x[..., 0 : 2 * n : 2], x[..., 1 : 2 * n : 2], x[..., 2 * n :]
    pairs = torch.stack([first * c - second * s, first * s + second * c], dim=-1).flatten(-2)
    return torch.cat([pairs, rest], dim=-1)
