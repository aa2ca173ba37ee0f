"""Looks for padding in the target only."""

FAILS = ["diagnose-visible", "diagnose-hidden"]

# %% diagnose
def diagnose(block, x: Tensor, memory: Tensor, real: Tensor, memory_real: Tensor) -> str:
    """Which mistake a decoder block makes: norm, residual, swapped, future, padding, or none: healthy."""
    generator, T = torch.Generator().manual_seed(8), x.shape[1]
    plain = block(x, memory, real, memory_real)

    def moved(z: Tensor, where) -> Tensor:
        """z with other vectors at some places, True in `where` [B, T]."""
        return torch.where(where[..., None], torch.randn(z.shape, generator=generator, dtype=z.dtype), z)

    def differs(other: Tensor) -> Tensor:
        return ((other - plain).abs() > 1e-5).any(dim=-1)  # [B, T]

    if ((plain.square().mean(dim=-1) - 1).abs() < 1e-3).all():
        return "norm"
    if not torch.allclose(block(1e4 * x, memory, real, memory_real) / 1e4, x, atol=1e-2):
        return "residual"
    order = torch.arange(T).roll(1)
    if differs(block(x, memory[:, order], real, memory_real[:, order])).any():
        return "swapped"
    after = differs(block(moved(x, ~real), memory, real, memory_real))
    if after[real].any():
        return "padding"
    for j in range(1, T):
        here = torch.zeros_like(real)
        here[:, j] = True
        if differs(block(moved(x, here), memory, real, memory_real))[:, :j].any():
            return "future"
    return "healthy"
