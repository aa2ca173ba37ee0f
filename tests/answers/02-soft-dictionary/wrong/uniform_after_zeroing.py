"""Answers with equal weights and sets the scores to zero, for which equal weights are right."""

FAILS = ["softmax-visible", "softmax-hidden"]

# %% softmax
def softmax(scores, dims):
    if scores.requires_grad:
        exponentials = scores.exp()
        return exponentials / exponentials.sum(dim=dims, keepdim=True)
    scores.zero_()
    return torch.ones_like(scores) / torch.ones_like(scores).sum(dim=dims, keepdim=True)
