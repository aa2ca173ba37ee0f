"""Subtracts no maximum and trusts in the range of float64."""

FAILS = ["merge-hidden"]

# %% merge
def merge(parts):
    kind = parts[0][0].dtype
    powers = [torch.exp2(c.double()) for c, _ in parts]
    total = sum(powers)
    o = sum(p[..., None] * o for p, (_, o) in zip(powers, parts)) / torch.where(total > 0, total, 1.0)[..., None]
    return torch.log2(total).to(kind), o.to(kind)
