"""Adds the new block, then makes all of it smaller."""

FAILS = ["average-visible", "average-hidden"]

# %% average
@triton.jit
def average_kernel(scores, values, sinks, means, logs, n_keys, scores_row, BLOCK: tl.constexpr):
    """The mean of the values under the softmax of one row and its sink, and the log-sum-exp, in blocks."""
    row = tl.program_id(0)
    m = tl.load(sinks + row)
    total, mixed = 1.0, 0.0
    for start in range(0, n_keys, BLOCK):
        j = start + tl.arange(0, BLOCK)
        s = tl.load(scores + row * scores_row + j, mask=j < n_keys, other=-float("inf")).to(tl.float32)
        v = tl.load(values + j, mask=j < n_keys, other=0.0)
        larger = tl.maximum(m, tl.max(s, 0))
        shrink, powers = tl.exp(m - larger), tl.exp(s - larger)
        total = (total + tl.sum(powers, 0)) * shrink
        mixed = (mixed + tl.sum(powers * v, 0)) * shrink
        m = larger
    tl.store(means + row, mixed / total)
    tl.store(logs + row, m + tl.log(total))


def average(scores: Tensor, values: Tensor, sinks: Tensor, block: int = 16) -> tuple[Tensor, Tensor]:
    """Given, and to stay as it is: [rows, n_keys], [n_keys] and [rows] -> the means and log-sum-exps, [rows] each."""
    rows, n_keys = scores.shape
    scores, means, logs = framed(scores), blank(rows), blank(rows)
    launch(average_kernel, (rows,), scores, values, sinks, means, logs, n_keys, scores.stride(0), BLOCK=block)
    return means, logs
