"""Lets PyTorch's cross-entropy do the work, which this problem forbids."""

FAILS = ["masked-scores-visible", "masked-scores-hidden"]
ENFORCED_BY = "grader"

# %% masked-scores
def masked_scores(logits, target, mask, smoothing):
    loss = torch.nn.functional.cross_entropy(logits[mask], target[mask], label_smoothing=smoothing)
    return loss, (logits[mask].argmax(dim=-1) == target[mask]).float().mean()
