"""Counts padding as if it were words."""

FAILS = ["masked-scores-visible", "masked-scores-hidden"]

# %% masked-scores
def masked_scores(logits, target, mask, smoothing):
    logits, target = logits.flatten(0, 1), target.flatten().clamp(min=0)
    logs = torch.log_softmax(logits, dim=-1)
    right = logs.gather(1, target[:, None]).squeeze(1)
    losses = -(1 - smoothing) * right - smoothing * logs.mean(dim=-1)
    return losses.mean(), (logits.argmax(dim=-1) == target).float().mean()
