"""Lets PyTorch add in the logarithm."""

FAILS = ["merge-visible", "merge-hidden"]
ENFORCED_BY = "grader"

# %% merge
def merge(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """One (log total [Q, H], output [Q, H, V]) from those of several sets of keys."""
    log_total, output = parts[0]
    for c, o in parts[1:]:
        both = torch.logaddexp2(log_total, c)
        footing = both.masked_fill(both.isneginf(), 0.0)
        output = output * torch.exp2(log_total - footing)[..., None] + o * torch.exp2(c - footing)[..., None]
        log_total = both
    return log_total, output
