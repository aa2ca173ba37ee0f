"""Shares the smoothing among the other words only."""

FAILS = ["masked-scores-visible", "masked-scores-hidden"]

# %% masked-scores
def masked_scores(logits, target, mask, smoothing):
    logits, target = logits[mask], target[mask]
    logs = torch.log_softmax(logits, dim=-1)
    right = logs.gather(1, target[:, None]).squeeze(1)
    losses = -(1 - smoothing) * right - smoothing * (logs.sum(dim=-1) - right) / (logs.shape[1] - 1)
    return losses.mean(), (logits.argmax(dim=-1) == target).float().mean()
