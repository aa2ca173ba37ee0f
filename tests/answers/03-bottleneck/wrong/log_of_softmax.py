"""Takes the logarithm of a softmax that has underflowed."""

FAILS = ["masked-scores-hidden"]

# %% masked-scores
def masked_scores(logits, target, mask, smoothing):
    logits, target = logits[mask], target[mask]
    logs = torch.softmax(logits, dim=-1).log()
    right = logs.gather(1, target[:, None]).squeeze(1)
    losses = -(1 - smoothing) * right - smoothing * logs.mean(dim=-1)
    return losses.mean(), (logits.argmax(dim=-1) == target).float().mean()
