"""Spreads the smoothing over all tokens, the right one and the padding among them."""

FAILS = ["smoothing-visible", "smoothing-hidden"]

# %% smoothing
def smoothed_targets(target: Tensor, n_tokens: int, smoothing: float, padding: int) -> Tensor:
    """Shares [T, B, N] of all tokens, for targets [T, B]: the smoothing goes to wrong tokens, none of it to padding."""
    tokens = torch.arange(n_tokens)
    shares = torch.where(tokens == target[..., None], 1 - smoothing, 0.0) + smoothing / n_tokens
    return shares.masked_fill((target == padding)[..., None], 0.0)


def smoothed_loss(logits: Tensor, target: Tensor, smoothing: float, padding: int) -> Tensor:
    """The mean cross-entropy [] of logits [T, B, N] with smoothed targets, over the words of target [T, B]."""
    shares = smoothed_targets(target, logits.shape[-1], smoothing, padding).to(logits.dtype)
    logs = torch.log_softmax(logits, dim=-1).masked_fill(shares == 0, 0.0)
    return -(shares * logs).sum() / (target != padding).sum()


def lowest_loss(n_tokens: int, smoothing: float) -> float:
    """The smallest smoothed loss that a model can reach."""
    shares = [1 - smoothing, *[smoothing / (n_tokens - 2)] * (n_tokens - 2)]
    return -sum(share * math.log(share) for share in shares if share > 0)
