"""Finds the nucleus before the temperature."""

FAILS = ["nucleus-visible", "nucleus-hidden"]

# %% nucleus
def nucleus(logits: Tensor, p: float) -> Tensor:
    """Which tokens [N] belong to the smallest set that has a probability of at least p."""
    shares, order = torch.softmax(logits, dim=0).sort(descending=True)
    above = shares.cumsum(0) - shares  # what the likelier ones have together
    kept = torch.empty_like(order, dtype=torch.bool).scatter(0, order, above < p)
    return (kept if p < 1 else torch.ones_like(kept)) & (logits > -torch.inf)


def draw_token(logits: Tensor, p: float, temperature: float, u: float) -> int:
    """The token of the nucleus on which u falls, the tokens in the order of their numbers."""
    tokens = nucleus(logits, p).nonzero().flatten()
    logits = logits / temperature
    sums = torch.softmax(logits[tokens], dim=0).cumsum(0)
    return tokens[min(int((sums <= u).sum()), len(tokens) - 1)].item()
