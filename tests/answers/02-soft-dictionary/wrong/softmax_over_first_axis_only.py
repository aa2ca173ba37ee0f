"""Normalises over the first of several axes only."""

FAILS = ["softmax-visible", "softmax-hidden"]

# %% softmax
def softmax(scores, dims):
    exponentials = (scores - scores.amax(dim=dims[0], keepdim=True)).exp()
    return exponentials / exponentials.sum(dim=dims[0], keepdim=True)
