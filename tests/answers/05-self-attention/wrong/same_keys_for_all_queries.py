"""Draws one set of keys for all queries."""

FAILS = ["square-root-visible", "square-root-hidden"]

# %% square-root
def exact_divisor(query_mean: Tensor, query_variance: Tensor, key_mean: Tensor, key_variance: Tensor) -> Tensor:
    """What to divide the scores by, so that their variance is 1; all arguments are [D], the result is []."""
    from_both = query_variance * key_variance
    from_one = query_variance * key_mean.square() + query_mean.square() * key_variance
    return (from_both + from_one).sum().sqrt()


def saturation(draw, n: int, n_keys: int, width: int, divisor: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Variance of the scores; mean entropy, mean largest weight and mean slope of the softmax; each []."""
    queries = draw(n, width)
    keys = draw(n_keys, width).expand(n, -1, -1)
    scores = torch.einsum("nd,nkd->nk", queries, keys) / divisor
    weights = torch.softmax(scores, dim=-1)
    variance = (scores - scores.mean()).square().mean()
    entropy = -torch.special.xlogy(weights, weights).sum(dim=-1).mean()
    slope = (weights * (1 - weights)).sum(dim=-1).mean()
    return variance, entropy, weights.amax(dim=-1).mean(), slope
