"""Asks the attention anew for each pair of positions."""

FAILS = ["leaks-visible", "leaks-hidden"]

# %% leaks
def find_leaks(attention, x: Tensor, tolerance: float) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, where the output at i depends on what x [B, T, E] holds at j."""
    generator = torch.Generator().manual_seed(5)
    before, leaks = attention(x), []
    for j in range(1, x.shape[1]):
        changed = x.clone()
        changed[:, j] = torch.randn(x[:, j].shape, generator=generator, dtype=x.dtype)
        for i in range(j):
            moved = ((attention(changed) - before)[:, i].abs() > tolerance).any()
            leaks += [(i, j)] if moved else []
    return sorted(leaks)
