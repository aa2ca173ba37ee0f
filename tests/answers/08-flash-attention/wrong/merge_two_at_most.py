"""Merges the first two parts and forgets the others."""

FAILS = ["merge-visible", "merge-hidden"]

# %% merge
def merge(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """One (log total [Q, H], output [Q, H, V]) from those of several sets of keys."""
    totals = torch.stack([log_total for log_total, _ in parts[:2]])
    outputs = torch.stack([output for _, output in parts[:2]])
    largest = totals.amax(dim=0)
    footing = largest.masked_fill(largest.isneginf(), 0.0)
    powers = torch.exp2(totals - footing)
    total = powers.sum(dim=0)
    weights = powers / torch.where(total > 0, total, 1.0)
    return footing + torch.log2(total), (weights[..., None] * outputs).sum(dim=0)
