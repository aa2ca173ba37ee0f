"""Each block's mixture is divided by its own total."""

FAILS = ["attention-visible", "attention-hidden"]

# %% attention
@triton.jit
def attention_kernel(
    q, k, v, sinks, o, logs, n_queries, n_keys, width, value_width, window, scale,
    q_head, q_row, k_head, k_row, v_head, v_row, o_head, o_row,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr,
):  # fmt: skip
    """Output and log-sum-exp of one block of queries of one head, through a window, with a sink."""
    first, head = tl.program_id(0) * QUERIES, tl.program_id(1)
    i, c, e = first + tl.arange(0, QUERIES), tl.arange(0, WIDTH), tl.arange(0, VALUE_WIDTH)
    behind = n_keys - n_queries
    inside = (i[:, None] < n_queries) & (c[None, :] < width)
    queries = tl.load(q + head * q_head + i[:, None] * q_row + c[None, :], mask=inside, other=0.0)
    m = tl.zeros([QUERIES], tl.float32) + tl.load(sinks + head)
    total = tl.full([QUERIES], 1.0, tl.float32)
    mixed = tl.zeros([QUERIES, VALUE_WIDTH], tl.float32)
    start = tl.maximum(first + behind - window + 1, 0) // KEYS * KEYS
    stop = tl.minimum(first + QUERIES, n_queries) + behind
    for at in range(start, stop, KEYS):
        j = at + tl.arange(0, KEYS)
        there = j[:, None] < n_keys
        keys = tl.load(k + head * k_head + j[:, None] * k_row + c[None, :], mask=there & (c[None, :] < width), other=0.0)
        values = tl.load(
            v + head * v_head + j[:, None] * v_row + e[None, :], mask=there & (e[None, :] < value_width), other=0.0
        )
        scores = tl.dot(queries, tl.trans(keys), input_precision="ieee") * scale
        back = i[:, None] + behind - j[None, :]
        scores = tl.where((back >= 0) & (back < window), scores, -float("inf"))
        larger = tl.maximum(m, tl.max(scores, 1))
        shrink, powers = tl.exp(m - larger), tl.exp(scores - larger[:, None])
        total = total * shrink + tl.sum(powers, 1)
        mixed = mixed * shrink[:, None] + tl.dot(powers.to(values.dtype), values, input_precision="ieee") / (tl.sum(powers, 1) + 1e-20)[:, None]
        m = larger
    inside = (i[:, None] < n_queries) & (e[None, :] < value_width)
    tl.store(o + head * o_head + i[:, None] * o_row + e[None, :], mixed / total[:, None], mask=inside)
    tl.store(logs + head * n_queries + i, m + tl.log(total), mask=i < n_queries)


def attend(
    q: Tensor, k: Tensor, v: Tensor, sinks: Tensor, window: int, queries: int = 16, keys: int = 16
) -> tuple[Tensor, Tensor]:
    """Given, and to stay as it is: [H, Q, D], [H, K, D], [H, K, V] and [H] -> [H, Q, V] and [H, Q]."""
    (heads, n_queries, width), (_, n_keys, value_width) = q.shape, v.shape
    q, k, v = framed(q), framed(k), framed(v)
    o, logs = blank(heads, n_queries, value_width, dtype=q.dtype), torch.full((heads, n_queries), torch.nan)
    numbers = (n_queries, n_keys, width, value_width, window, 1 / math.sqrt(width))
    strides = [stride for tensor in (q, k, v, o) for stride in tensor.stride()[:2]]
    padded = {"WIDTH": max(16, triton.next_power_of_2(width)), "VALUE_WIDTH": max(16, triton.next_power_of_2(value_width))}
    grid = (triton.cdiv(n_queries, queries), heads)
    launch(attention_kernel, grid, q, k, v, sinks, o, logs, *numbers, *strides, QUERIES=queries, KEYS=keys, **padded)
    return unframed(o), logs
