"""Subtracts the maximum in place, in the tensor that was passed in."""

FAILS = ["softmax-visible", "softmax-hidden"]

# %% softmax
def softmax(scores, dims):
    scores -= scores.amax(dim=dims, keepdim=True)
    exponentials = scores.exp()
    return exponentials / exponentials.sum(dim=dims, keepdim=True)
