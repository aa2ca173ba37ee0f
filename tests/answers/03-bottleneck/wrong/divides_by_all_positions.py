"""Sums over the words, but divides by the number of all positions."""

FAILS = ["masked-scores-visible", "masked-scores-hidden"]

# %% masked-scores
def masked_scores(logits, target, mask, smoothing):
    count = mask.numel()
    logits, target = logits[mask], target[mask]
    logs = torch.log_softmax(logits, dim=-1)
    right = logs.gather(1, target[:, None]).squeeze(1)
    losses = -(1 - smoothing) * right - smoothing * logs.mean(dim=-1)
    return losses.sum() / count, (logits.argmax(dim=-1) == target).float().sum() / count
