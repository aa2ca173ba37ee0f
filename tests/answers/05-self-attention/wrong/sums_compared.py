"""Compares the sums of the outputs, in which entries may cancel."""

FAILS = ["leaks-hidden"]

# %% leaks
def find_leaks(attention, x: Tensor, tolerance: float) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, where the output at i depends on what x [B, T, E] holds at j."""
    generator = torch.Generator().manual_seed(5)
    before, leaks = attention(x), []
    for j in range(1, x.shape[1]):
        changed = x.clone()
        changed[:, j] = torch.randn(x[:, j].shape, generator=generator, dtype=x.dtype)
        moved = ((attention(changed) - before).sum(dim=2).abs() > tolerance).any(dim=0)
        leaks += [(i, j) for i in range(j) if moved[i]]
    return sorted(leaks)
