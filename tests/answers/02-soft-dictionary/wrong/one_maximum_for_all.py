"""Subtracts the maximum of the whole tensor: groups far below it underflow to 0 / 0."""

FAILS = ["softmax-hidden"]

# %% softmax
def softmax(scores, dims):
    exponentials = (scores - scores.max()).exp()
    return exponentials / exponentials.sum(dim=dims, keepdim=True)
