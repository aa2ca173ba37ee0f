"""Leaves the slopes in the order of the published code: pasted from the package, but for the mask."""

FAILS = ["bias-visible", "bias-hidden"]

# %% bias
def slopes(n_heads: int) -> Tensor:
    """ALiBi's slopes [H] for any number of heads, the steepest first."""
    below = 2 ** (n_heads.bit_length() - 1)
    exponents = [8 * h / below for h in range(1, below + 1)]
    exponents += [4 * h / below for h in range(1, 2 * (n_heads - below), 2)]
    return torch.tensor([2.0**-exponent for exponent in exponents])


def distance_bias(n_heads: int, n_queries: int, n_keys: int) -> Tensor:
    """Bias [H, Q, K]: minus slope times distance for keys behind the query, minus infinity for those after it."""
    distance = torch.arange(n_keys - n_queries, n_keys)[:, None] - torch.arange(n_keys)
    return (-slopes(n_heads)[:, None, None] * distance).masked_fill(distance < 0, -torch.inf)
