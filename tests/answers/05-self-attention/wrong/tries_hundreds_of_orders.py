"""Tries one order after the other, up to three hundred."""

FAILS = ["symmetries-visible", "symmetries-hidden"]

# %% symmetries
import itertools


def symmetries(layer, x: Tensor, tolerance: float) -> tuple[bool, bool]:
    """Whether reordering the positions of x [B, T, E] reorders the output, and whether it leaves the output alone."""
    generator = torch.Generator().manual_seed(7)
    before = layer(x)
    equivariant = invariant = True
    for each in itertools.islice(itertools.permutations(range(x.shape[1])), 300):
        order = torch.tensor(each)
        after = layer(x[:, order])
        equivariant = equivariant and bool(((after - before[:, order]).abs() <= tolerance).all())
        invariant = invariant and bool(((after - before).abs() <= tolerance).all())
    return equivariant, invariant
