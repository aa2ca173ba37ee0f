"""Powers of two, masks by where, all keys looked at, the sink at the end, helpers; counting by force."""

FAILS = []

# %% lookup
@triton.jit
def lookup_kernel(
    table, ids, out, n_ids, width, table_row, out_row, scale, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """One tile of out[t, c] = scale * table[ids[t], c], zeros where ids[t] is negative."""
    a, b = tl.program_id(0), tl.program_id(1)
    columns = b * COLUMNS + tl.arange(0, COLUMNS)
    for r in range(0, ROWS):
        t = a * ROWS + r
        if t < n_ids:
            row = tl.load(ids + t)
            numbers = tl.zeros([COLUMNS], tl.float32)
            if row >= 0:
                numbers = tl.load(table + row * table_row + columns, mask=columns < width, other=0.0).to(tl.float32)
            tl.store(out + t * out_row + columns, numbers * scale, mask=columns < width)


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
    LOG2E = 1.4426950408889634
    row = tl.program_id(0)
    j = tl.arange(0, BLOCK)
    inside = j < n_keys
    s = tl.load(scores + row * scores_row + j, mask=inside, other=0.0)
    s = tl.where(inside, s.to(tl.float32), -float("inf"))
    a = tl.load(sinks + row)
    m = tl.max(s, 0)
    if a > m:
        m = a
    powers = tl.exp2((s - m) * LOG2E)
    share = 1 / (tl.sum(powers, 0) + tl.exp2((a - m) * LOG2E))
    tl.store(weights + row * weights_row + j, powers * share, mask=inside)


def weigh(scores: Tensor, sinks: Tensor, block: int | None = None) -> Tensor:
    """Given, and to stay as it is: [rows, n_keys] and [rows] -> [rows, n_keys]."""
    rows, n_keys = scores.shape
    scores, weights = framed(scores), blank(rows, n_keys, dtype=scores.dtype)
    numbers = (n_keys, scores.stride(0), weights.stride(0))
    launch(weights_kernel, (rows,), scores, sinks, weights, *numbers, BLOCK=block or triton.next_power_of_2(n_keys))
    return unframed(weights)

# %% average
@triton.jit
def merged(m, total, mixed, s, v):
    largest = tl.maximum(m, tl.max(s, 0))
    old, powers = tl.exp2((m - largest) * 1.4426950408889634), tl.exp2((s - largest) * 1.4426950408889634)
    return largest, total * old + tl.sum(powers, 0), mixed * old + tl.sum(powers * v, 0)


@triton.jit
def average_kernel(scores, values, sinks, means, logs, n_keys, scores_row, BLOCK: tl.constexpr):
    """The mean of the values under the softmax of one row and its sink, and the log-sum-exp, in blocks."""
    row = tl.program_id(0)
    a = tl.load(sinks + row)
    m, total, mixed = -float("inf"), 0.0, 0.0
    start = 0
    while start < n_keys:
        j = start + tl.arange(0, BLOCK)
        inside = j < n_keys
        s = tl.load(scores + row * scores_row + j, mask=inside)
        v = tl.where(inside, tl.load(values + j, mask=inside), 0.0)
        m, total, mixed = merged(m, total, mixed, tl.where(inside, s.to(tl.float32), -float("inf")), v)
        start += BLOCK
    largest = tl.maximum(m, a)
    total = total * tl.exp(m - largest) + tl.exp(a - largest)
    mixed = mixed * tl.exp(m - largest)
    tl.store(means + row, mixed / total)
    tl.store(logs + row, largest + tl.log(total))


def average(scores: Tensor, values: Tensor, sinks: Tensor, block: int = 16) -> tuple[Tensor, Tensor]:
    """Given, and to stay as it is: [rows, n_keys], [n_keys] and [rows] -> the means and log-sum-exps, [rows] each."""
    rows, n_keys = scores.shape
    scores, means, logs = framed(scores), blank(rows), blank(rows)
    launch(average_kernel, (rows,), scores, values, sinks, means, logs, n_keys, scores.stride(0), BLOCK=block)
    return means, logs

# %% attention
@triton.jit
def tile(at, rows, columns, n_rows, width, row):
    inside = (rows < n_rows)[:, None] & (columns < width)[None, :]
    return tl.load(at + rows[:, None] * row + columns[None, :], mask=inside, other=0.0)


@triton.jit
def attention_kernel(
    q, k, v, sinks, o, logs, n_queries, n_keys, width, value_width, window, scale,
    q_head, q_row, k_head, k_row, v_head, v_row, o_head, o_row,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr,
):  # fmt: skip
    """Output and log-sum-exp of one block of queries of one head, through a window, with a sink."""
    a, h = tl.program_id(0), tl.program_id(1)
    i, c, e = a * QUERIES + tl.arange(0, QUERIES), tl.arange(0, WIDTH), tl.arange(0, VALUE_WIDTH)
    queries = tile(q + h * q_head, i, c, n_queries, width, q_row)
    p = i + (n_keys - n_queries)
    m = tl.full([QUERIES], -1e30, tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    mixed = tl.zeros([QUERIES, VALUE_WIDTH], tl.float32)
    for at in range(0, tl.cdiv(n_keys, KEYS)):
        j = at * KEYS + tl.arange(0, KEYS)
        keys = tile(k + h * k_head, j, c, n_keys, width, k_row)
        values = tile(v + h * v_head, j, e, n_keys, value_width, v_row)
        x = tl.dot(queries, keys.T, input_precision="ieee") * (scale * 1.4426950408889634)
        seen = (j[None, :] <= p[:, None]) & (j[None, :] > p[:, None] - window)
        x = tl.where(seen, x, -float("inf"))
        largest = tl.maximum(m, tl.max(x, 1))
        old, powers = tl.exp2(m - largest), tl.exp2(x - largest[:, None])
        total = total * old + tl.sum(powers, 1)
        mixed = tl.dot(powers.to(values.dtype), values, mixed * old[:, None], input_precision="ieee")
        m = largest
    sink = tl.load(sinks + h) * 1.4426950408889634
    largest = tl.maximum(m, sink)
    old = tl.exp2(m - largest)
    total = total * old + tl.exp2(sink - largest)
    mixed = mixed * (old / total)[:, None]
    tl.store(o + h * o_head + i[:, None] * o_row + e[None, :], mixed, mask=(i < n_queries)[:, None] & (e < value_width)[None, :])
    tl.store(logs + h * n_queries + i, (largest + tl.log2(total)) / 1.4426950408889634, mask=i < n_queries)


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
    behind = n_keys - n_queries
    loaded = stored = 0
    for a in range(0, n_queries, queries):
        mine = range(a, min(a + queries, n_queries))
        loaded += len(mine) * width * size + 4
        stored += len(mine) * (value_width * size + 4)
        for b in range(0, n_keys, keys):
            theirs = range(b, min(b + keys, n_keys))
            if any(0 <= i + behind - j < window for i in mine for j in theirs):
                loaded += len(theirs) * (width + value_width) * size
    return loaded * heads, stored * heads

# %% resident
def resident(shared: int, registers: int, warps: int, card: dict[str, int]) -> int:
    """How many programs of a compiled kernel one multiprocessor holds."""
    n = 0
    lot = (registers * 32 + 255) // 256 * 256
    while n < card["programs"] and (n + 1) * warps <= card["warps"]:
        if (n + 1) * warps * lot > card["registers"] or (n + 1) * (shared + 1024) > card["shared"]:
            break
        n += 1
    return n
