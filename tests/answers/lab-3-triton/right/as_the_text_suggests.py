"""Masks by other=, loops from the first visible key to the last; the formulas in blocks."""

FAILS = []

# %% lookup
@triton.jit
def lookup_kernel(
    table, ids, out, n_ids, width, table_row, out_row, scale, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """One tile of out[t, c] = scale * table[ids[t], c], zeros where ids[t] is negative."""
    t = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row = tl.load(ids + t, mask=t < n_ids, other=-1)
    known = (row[:, None] >= 0) & (c[None, :] < width)
    tile = tl.load(table + row[:, None] * table_row + c[None, :], mask=known, other=0.0)
    inside = (t[:, None] < n_ids) & (c[None, :] < width)
    tl.store(out + t[:, None] * out_row + c[None, :], tile * scale, mask=inside)


def lookup(table: Tensor, ids: Tensor, scale: float, rows: int = 4, columns: int = 16) -> Tensor:
    """Given, and to stay as it is: [words, width] and [n_ids] -> [n_ids, width]."""
    n_ids, width = len(ids), table.shape[1]
    table, out = framed(table), blank(n_ids, width, dtype=table.dtype)
    grid = (triton.cdiv(n_ids, rows), triton.cdiv(width, columns))
    numbers = (n_ids, width, table.stride(0), out.stride(0), scale)
    launch(lookup_kernel, grid, table, ids, out, *numbers, ROWS=rows, COLUMNS=columns)
    return unframed(out)

# %% weights
@triton.jit
def weights_kernel(scores, sinks, weights, n_keys, scores_row, weights_row, BLOCK: tl.constexpr):
    """The weights of one row; the sink has a share, and no weight is stored for it."""
    row, j = tl.program_id(0), tl.arange(0, BLOCK)
    s = tl.load(scores + row * scores_row + j, mask=j < n_keys, other=-float("inf")).to(tl.float32)
    a = tl.load(sinks + row)
    m = tl.maximum(tl.max(s, 0), a)
    powers = tl.exp(s - m)
    total = tl.sum(powers, 0) + tl.exp(a - m)
    tl.store(weights + row * weights_row + j, powers / total, mask=j < n_keys)


def weigh(scores: Tensor, sinks: Tensor, block: int | None = None) -> Tensor:
    """Given, and to stay as it is: [rows, n_keys] and [rows] -> [rows, n_keys]."""
    rows, n_keys = scores.shape
    scores, weights = framed(scores), blank(rows, n_keys, dtype=scores.dtype)
    numbers = (n_keys, scores.stride(0), weights.stride(0))
    launch(weights_kernel, (rows,), scores, sinks, weights, *numbers, BLOCK=block or triton.next_power_of_2(n_keys))
    return unframed(weights)

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
        total = total * shrink + tl.sum(powers, 0)
        mixed = mixed * shrink + tl.sum(powers * v, 0)
        m = larger
    tl.store(means + row, mixed / total)
    tl.store(logs + row, m + tl.log(total))


def average(scores: Tensor, values: Tensor, sinks: Tensor, block: int = 16) -> tuple[Tensor, Tensor]:
    """Given, and to stay as it is: [rows, n_keys], [n_keys] and [rows] -> the means and log-sum-exps, [rows] each."""
    rows, n_keys = scores.shape
    scores, means, logs = framed(scores), blank(rows), blank(rows)
    launch(average_kernel, (rows,), scores, values, sinks, means, logs, n_keys, scores.stride(0), BLOCK=block)
    return means, logs

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
        mixed = mixed * shrink[:, None] + tl.dot(powers.to(values.dtype), values, input_precision="ieee")
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

# %% traffic
def traffic(
    heads: int, n_queries: int, n_keys: int, width: int, value_width: int, window: int, queries: int, keys: int, size: int
) -> tuple[int, int]:
    """Bytes that attention through a window loads and stores, over all heads."""
    behind, rows, programs = n_keys - n_queries, 0, 0
    for first in range(0, n_queries, queries):
        programs += 1
        last = min(first + queries, n_queries) - 1
        lowest, highest = max(first + behind - window + 1, 0), last + behind
        if highest >= lowest:
            begin = lowest // keys * keys
            rows += min(highest // keys * keys + keys, n_keys) - begin
    loaded = size * (n_queries * width + rows * (width + value_width)) + 4 * programs
    stored = size * n_queries * value_width + 4 * n_queries
    return heads * loaded, heads * stored

# %% resident
def resident(shared: int, registers: int, warps: int, card: dict[str, int]) -> int:
    """How many programs of a compiled kernel one multiprocessor holds."""
    of_a_warp = -(-32 * registers // 256) * 256
    by_registers = card["registers"] // of_a_warp // warps
    by_shared = card["shared"] // (shared + 1024)
    return min(by_registers, by_shared, card["warps"] // warps, card["programs"])
