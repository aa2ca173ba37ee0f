"""Takes powers of two as they are, and divides by that of the maximum afterwards."""

FAILS = ["online-visible", "online-hidden"]

# %% online
def take(largest: Tensor, total: Tensor, block: Tensor) -> tuple[Tensor, Tensor]:
    """Largest exponent and total [R] after one more block of exponents [n, R]."""
    new = torch.maximum(largest, block.amax(dim=0))
    footing = new.masked_fill(new.isneginf(), 0.0)
    return new, total * torch.exp2(largest - footing) + torch.exp2(block).sum(dim=0) / torch.exp2(footing)


def shares(largest: Tensor, total: Tensor, block: Tensor) -> Tensor:
    """The shares [n, R] of the keys of a block, given the final largest exponent and total [R]."""
    footing = largest.masked_fill(largest.isneginf(), 0.0)
    return torch.exp2(block - footing) / torch.where(total > 0, total, 1.0)
