"""Subtracts the square of the mean of the dot product, not of each coordinate"s product."""

FAILS = ["square-root-visible", "square-root-hidden"]

# %% square-root
def exact_divisor(query_mean: Tensor, query_variance: Tensor, key_mean: Tensor, key_variance: Tensor) -> Tensor:
    """What to divide the scores by, so that their variance is 1; all arguments are [D], the result is []."""
    ### BEGIN SOLUTION
    squares = (query_variance + query_mean.square()) * (key_variance + key_mean.square())
    return (squares.sum() - (query_mean * key_mean).sum().square()).abs().sqrt()
    ### END SOLUTION


def saturation(draw, n: int, n_keys: int, width: int, divisor: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Variance of the scores; mean entropy, mean largest weight and mean slope of the softmax; each []."""
    ### BEGIN SOLUTION
    queries = draw(n, width)
    keys = draw(n, n_keys, width)
    scores = torch.einsum("nd,nkd->nk", queries, keys) / divisor
    weights = torch.softmax(scores, dim=-1)
    variance = (scores - scores.mean()).square().mean()
    entropy = -torch.special.xlogy(weights, weights).sum(dim=-1).mean()
    slope = (weights * (1 - weights)).sum(dim=-1).mean()
    return variance, entropy, weights.amax(dim=-1).mean(), slope
    ### END SOLUTION
