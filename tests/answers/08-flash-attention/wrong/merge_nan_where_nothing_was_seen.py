"""Gives NaN where no part has seen a key."""

FAILS = ["merge-visible", "merge-hidden"]

# %% merge
def merge(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """One (log total [Q, H], output [Q, H, V]) from those of several sets of keys."""
    totals = torch.stack([log_total for log_total, _ in parts])
    outputs = torch.stack([output for _, output in parts])
    largest = totals.amax(dim=0)
    footing = largest
    powers = torch.exp2(totals - footing)
    total = powers.sum(dim=0)
    weights = powers / torch.where(total > 0, total, 1.0)
    return footing + torch.log2(total), (weights[..., None] * outputs).sum(dim=0)
