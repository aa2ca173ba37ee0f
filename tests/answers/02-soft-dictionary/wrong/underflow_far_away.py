"""Divides kernels by their sum without a softmax: 0 / 0 far from all points."""

FAILS = ["kernel-regression-hidden"]

# %% kernel-regression
def kernel_regression(places, x, y, bandwidth):
    kernels = torch.exp(-(places[:, None] - x).square() / (2 * bandwidth**2))
    return kernels @ y / kernels.sum(1)


def leave_one_out(x, y, bandwidth):
    scores = -(x[:, None] - x).square() / (2 * bandwidth**2)
    return torch.softmax(scores.fill_diagonal_(-torch.inf), dim=-1) @ y
