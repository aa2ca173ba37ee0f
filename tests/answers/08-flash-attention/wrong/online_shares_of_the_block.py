"""Divides by the sum of the block, so that every block sums to one."""

FAILS = ["online-visible", "online-hidden"]

# %% online
def take(largest: Tensor, total: Tensor, block: Tensor) -> tuple[Tensor, Tensor]:
    """Largest exponent and total [R] after one more block of exponents [n, R]."""
    new = torch.maximum(largest, block.amax(dim=0))
    footing = new.masked_fill(new.isneginf(), 0.0)
    return new, total * torch.exp2(largest - footing) + torch.exp2(block - footing).sum(dim=0)


def shares(largest: Tensor, total: Tensor, block: Tensor) -> Tensor:
    """The shares [n, R] of the keys of a block, given the final largest exponent and total [R]."""
    footing = largest.masked_fill(largest.isneginf(), 0.0)
    powers = torch.exp2(block - footing)
    return powers / powers.sum(dim=0).clamp(min=1e-30)
