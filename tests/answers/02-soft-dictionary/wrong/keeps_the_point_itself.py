"""Leave-one-out that leaves nothing out."""

FAILS = ["kernel-regression-visible", "kernel-regression-hidden"]

# %% kernel-regression
def kernel_regression(places, x, y, bandwidth):
    scores = -(places[:, None] - x).square() / (2 * bandwidth**2)
    return torch.softmax(scores, dim=-1) @ y


def leave_one_out(x, y, bandwidth):
    scores = -(x[:, None] - x).square() / (2 * bandwidth**2)
    return torch.softmax(scores, dim=-1) @ y
