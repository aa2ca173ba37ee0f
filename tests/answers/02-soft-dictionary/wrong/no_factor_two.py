"""exp(-u²/h²): the 2 is missing."""

FAILS = ["kernel-regression-visible", "kernel-regression-hidden"]

# %% kernel-regression
def kernel_regression(places, x, y, bandwidth):
    scores = -(places[:, None] - x).square() / bandwidth**2
    return torch.softmax(scores, dim=-1) @ y


def leave_one_out(x, y, bandwidth):
    scores = -(x[:, None] - x).square() / bandwidth**2
    return torch.softmax(scores.fill_diagonal_(-torch.inf), dim=-1) @ y
