"""Batched matrix products, masks that are added, exponentials by hand; probes and orders are prepared beforehand."""

FAILS = []

# %% one-head
def one_head(x, query_map, key_map, value_map):
    bilinear = query_map.T @ key_map / np.sqrt(query_map.shape[0])
    scores = x.T @ bilinear @ x  # a row for each query
    scores = scores - scores.max(axis=1)[:, None]
    weights = (np.exp(scores) / np.exp(scores).sum(axis=1)[:, None]).T
    return np.einsum("ve,ej,ji->vi", value_map, x, weights), weights

# %% two-masks
def attend_masked(queries, keys, values, real):
    Q, K = queries.shape[0], keys.shape[0]
    q, k, v = (part.transpose(0, 1) for part in (queries, keys, values))
    late = torch.ones(Q, K, dtype=torch.bool).triu(1 + K - Q)
    forbidden = late | ~real.T[:, None]
    empty = forbidden.all(2)[:, :, None]
    penalty = torch.zeros(forbidden.shape, dtype=queries.dtype).masked_fill(forbidden, -math.inf)
    scores = torch.where(empty, 0.0, (q / q.shape[2] ** 0.5) @ k.transpose(1, 2) + penalty)
    parts = torch.exp(scores - scores.amax(2, keepdim=True).detach())
    weights = torch.where(empty, 0.0, parts / parts.sum(2, keepdim=True))
    return (weights @ v).transpose(0, 1), weights.permute(1, 2, 0)

# %% heads
def split_heads(x, n_heads):
    width, rest = divmod(x.size(-1), n_heads)
    if rest:
        raise ValueError(f"{x.size(-1)} features cannot be dealt out to {n_heads} heads")
    return torch.einsum("tbdh->hbtd", x.unflatten(2, (width, n_heads)))


def merge_heads(heads):
    n_heads, B, T, width = heads.size()
    return torch.einsum("hbtd->tbdh", heads).reshape(T, B, width * n_heads)

# %% multi-head
def multi_head(x, packed, output_map, n_heads, width, real, reach):
    T, B, E = x.shape
    maps = packed.reshape(n_heads, -1, E)  # a matrix for each head
    value_width = maps.shape[1] - 2 * width
    sentences = x.transpose(0, 1)[:, None]  # [B, 1, T, E]
    query = sentences @ maps[:, :width].transpose(1, 2)
    key = sentences @ maps[:, width : 2 * width].transpose(1, 2)
    value = sentences @ maps[:, 2 * width :].transpose(1, 2)
    mask = torch.ones(B, n_heads, T, T, dtype=torch.bool).tril()
    for h in range(n_heads):
        near = torch.ones(T, T, dtype=torch.bool).triu(-int(reach[h]))
        mask[:, h] = mask[:, h] & near & real.T[:, None, :]
    empty = (mask.sum(-1, keepdim=True) == 0)
    scores = (query @ key.transpose(2, 3)) * width**-0.5
    scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, 3) * ~empty
    own = output_map.reshape(-1, n_heads, value_width).permute(1, 2, 0)  # W_O, cut into the heads' parts
    return (weights @ value @ own).sum(1).transpose(0, 1), weights

# %% square-root
def exact_divisor(query_mean, query_variance, key_mean, key_variance):
    return torch.linalg.vector_norm(
        torch.cat(
            [
                torch.sqrt(query_variance * key_variance),
                torch.sqrt(query_variance) * key_mean,
                torch.sqrt(key_variance) * query_mean,
            ]
        )
    )


def saturation(draw, n, n_keys, width, divisor):
    queries = draw(n, width)
    keys = draw(n, n_keys, width)
    scores = (keys @ (queries / divisor)[:, :, None])[:, :, 0]
    logs = torch.log_softmax(scores, 1)
    w = logs.exp()
    entropy = -(w * logs.clamp(min=-1e4)).sum() / n
    slope = (1 - w.square().sum(1)).mean()
    return scores.var(correction=0), entropy, w.max(1).values.mean(), slope

# %% leaks
def find_leaks(attention, x, tolerance):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    T = x.shape[1]
    before = attention(x)
    rows = []
    for j in range(1, T):
        here = (torch.arange(T) == j)[:, None]
        rows.append((attention(torch.where(here, noise, x)) - before).abs().amax((0, 2)))
    if not rows:
        return []
    moved = torch.stack(rows, dim=1) > tolerance  # [i, j - 1]
    return [(i, j + 1) for i, j in moved.nonzero().tolist() if i < j + 1]

# %% symmetries
def symmetries(layer, x, tolerance):
    T, generator = x.shape[1], torch.Generator().manual_seed(1)
    plain = layer(x)
    swaps = [torch.eye(T)[torch.randperm(T, generator=generator)] for _ in range(29)]
    outputs = [layer(P @ x) for P in swaps]
    reordered = max((y - P @ plain).abs().max().item() for P, y in zip(swaps, outputs))
    unmoved = max((y - plain).abs().max().item() for y in outputs)
    return reordered <= tolerance, unmoved <= tolerance

# %% room
def attend_in_room(score, store, values, room):
    T = len(values)
    start = 0
    while start != T:
        # n queries fit if n (start + n) <= room: solve the quadratic equation.
        n = int((math.isqrt(start * start + 4 * room) - start) / 2)
        stop = min(start + n, T)
        block = score(start, stop, stop)
        block = block + torch.full(block.shape, -math.inf).triu(start + 1)
        store(start, torch.softmax(block, 1) @ values[:stop])
        del block
        start = stop
