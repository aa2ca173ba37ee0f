"""Puts NaN in: 0 times NaN is NaN, and a correct mask is accused."""

FAILS = ["leaks-visible", "leaks-hidden"]

# %% leaks
def find_leaks(attention, x: Tensor, tolerance: float) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, where the output at i depends on what x [B, T, E] holds at j."""
    generator = torch.Generator().manual_seed(5)
    before, leaks = attention(x), []
    for j in range(1, x.shape[1]):
        changed = x.clone()
        changed[:, j] = torch.nan
        moved = (~((attention(changed) - before).abs() <= tolerance)).any(dim=2).any(dim=0)
        leaks += [(i, j) for i in range(j) if moved[i]]
    return sorted(leaks)
