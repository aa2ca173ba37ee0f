"""Divides by 2h instead of 2h²."""

FAILS = ["kernel-regression-visible", "kernel-regression-hidden"]

# %% kernel-regression
def kernel_regression(places, x, y, bandwidth):
    scores = -(places[:, None] - x).square() / (2 * bandwidth)
    return torch.softmax(scores, dim=-1) @ y


def leave_one_out(x, y, bandwidth):
    scores = -(x[:, None] - x).square() / (2 * bandwidth)
    return torch.softmax(scores.fill_diagonal_(-torch.inf), dim=-1) @ y
