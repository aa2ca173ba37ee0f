"""Looks at the first sentence only."""

FAILS = ["symmetries-hidden"]

# %% symmetries
def symmetries(layer, x: Tensor, tolerance: float) -> tuple[bool, bool]:
    """Whether reordering the positions of x [B, T, E] reorders the output, and whether it leaves the output alone."""
    generator = torch.Generator().manual_seed(7)
    before = layer(x)
    equivariant = invariant = True
    for _ in range(10):
        order = torch.randperm(x.shape[1], generator=generator)
        after = layer(x[:, order])
        equivariant = equivariant and bool(((after - before[:, order])[0].abs() <= tolerance).all())
        invariant = invariant and bool(((after - before)[0].abs() <= tolerance).all())
    return equivariant, invariant
