"""Pairs feature n with n + D / 2, whatever the number of wave lengths."""

FAILS = ["rotate-visible", "rotate-hidden"]

# %% rotate
def rotate(x: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
    """Queries or keys [B, T, H, D], the first 2N features of each turned in pairs (n, n + N)."""
    n = len(lengths)
    angles = 2 * math.pi * positions.double()[:, :, None, None] / lengths
    c, s = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    half = x.shape[-1] // 2
    first, second = x[..., :n], x[..., half : half + n]
    turned = [first * c - second * s, x[..., n:half], first * s + second * c, x[..., half + n :]]
    return torch.cat(turned, dim=-1)
