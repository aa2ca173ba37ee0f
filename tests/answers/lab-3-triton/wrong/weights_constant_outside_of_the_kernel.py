"""A constant stands in the cell, not in the kernel."""

FAILS = ["weights-visible", "weights-visible-compiled", "weights-hidden"]

# %% weights
LOG2E = 1.4426950408889634


@triton.jit
def weights_kernel(scores, sinks, weights, n_keys, scores_row, weights_row, BLOCK: tl.constexpr):
    """The weights of one row; the sink has a share, and no weight is stored for it."""
    row, j = tl.program_id(0), tl.arange(0, BLOCK)
    s = tl.load(scores + row * scores_row + j, mask=j < n_keys, other=-float("inf")).to(tl.float32)
    a = tl.load(sinks + row)
    m = tl.maximum(tl.max(s, 0), a)
    powers = tl.exp2((s - m) * LOG2E)
    total = tl.sum(powers, 0) + tl.exp2((a - m) * LOG2E)
    tl.store(weights + row * weights_row + j, powers / total, mask=j < n_keys)


def weigh(scores: Tensor, sinks: Tensor, block: int | None = None) -> Tensor:
    """Given, and to stay as it is: [rows, n_keys] and [rows] -> [rows, n_keys]."""
    rows, n_keys = scores.shape
    scores, weights = framed(scores), blank(rows, n_keys, dtype=scores.dtype)
    numbers = (n_keys, scores.stride(0), weights.stride(0))
    launch(weights_kernel, (rows,), scores, sinks, weights, *numbers, BLOCK=block or triton.next_power_of_2(n_keys))
    return unframed(weights)
