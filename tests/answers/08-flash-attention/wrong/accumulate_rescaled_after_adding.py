"""Adds the new values first, and then rescales them, too."""

FAILS = ["accumulate-visible", "accumulate-hidden"]

# %% accumulate
def absorb(
    state: tuple[Tensor, Tensor, Tensor], query: Tensor, key: Tensor, value: Tensor, seen: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The accumulator (largest [Q, H], total [Q, H], mixture [Q, H, V]) after one more block of keys."""
    largest, total, mixture = state
    x = torch.einsum("qhd,khd->qhk", query, key) * (LOG2E / math.sqrt(query.shape[-1]))
    x = x.masked_fill(~seen[:, None], -torch.inf)
    new = torch.maximum(largest, x.amax(dim=-1))
    footing = new.masked_fill(new.isneginf(), 0.0)
    shrink, powers = torch.exp2(largest - footing), torch.exp2(x - footing[..., None])
    mixed = torch.einsum("qhk,khv->qhv", powers, value)
    return new, (total + powers.sum(dim=-1)) * shrink, (mixture + mixed) * shrink[..., None]


def finish(state: tuple[Tensor, Tensor, Tensor], sink: Tensor) -> tuple[Tensor, Tensor]:
    """Output [Q, H, V] and log total [Q, H], with the sink's exponent [H] in both."""
    largest, total, mixture = state
    new = torch.maximum(largest, sink)
    footing = new.masked_fill(new.isneginf(), 0.0)
    shrink = torch.exp2(largest - footing)
    whole = total * shrink + torch.exp2(sink - footing)
    share = shrink / torch.where(whole > 0, whole, 1.0)
    return mixture * share[..., None], footing + torch.log2(whole)
