"""Lets torch.softmax do the work, which this problem forbids: right numbers, no points."""

FAILS = ["softmax-visible", "softmax-hidden"]
ENFORCED_BY = "grader"

# %% softmax
def softmax(scores, dims):
    last = tuple(range(-len(dims), 0))
    moved = scores.movedim(dims, last)
    return torch.softmax(moved.flatten(-len(dims)), dim=-1).reshape(moved.shape).movedim(last, dims)
