"""Plain loops over sentences, heads, queries and keys, slow and careful; only what may be seen is ever looked at."""

FAILS = []

# %% one-head
def one_head(x, query_map, key_map, value_map):
    E, T = x.shape
    D, V = len(query_map), len(value_map)
    weights, output = np.zeros((T, T)), np.zeros((V, T))
    for i in range(T):
        query = query_map @ x[:, i]
        scores = [query @ (key_map @ x[:, j]) / D**0.5 for j in range(T)]
        top = max(scores)
        shares = [math.exp(score - top) for score in scores]
        total = sum(shares)
        for j in range(T):
            weights[j, i] = shares[j] / total
            output[:, i] += weights[j, i] * (value_map @ x[:, j])
    return output, weights

# %% two-masks
def attend_masked(queries, keys, values, real):
    Q, B, D = queries.shape
    K, V = len(keys), values.shape[2]
    rows, shares = [], []
    for i in range(Q):
        for b in range(B):
            seen = [j for j in range(K) if j <= K - Q + i and real[j, b]]
            row, share = torch.zeros(V, dtype=values.dtype), torch.zeros(K, dtype=values.dtype)
            if seen:
                scores = torch.stack([(queries[i, b] * keys[j, b]).sum() / D**0.5 for j in seen])
                found = torch.softmax(scores, 0)
                row = sum(w * values[j, b] for w, j in zip(found, seen))
                where = dict(zip(seen, found))
                share = torch.stack([where.get(j, torch.zeros((), dtype=values.dtype)) for j in range(K)])
            rows.append(row)
            shares.append(share)
    return torch.stack(rows).reshape(Q, B, V), torch.stack(shares).reshape(Q, B, K).transpose(1, 2)

# %% heads
def split_heads(x, n_heads):
    if x.shape[2] % n_heads != 0:
        raise ValueError("the heads do not divide the width")
    return torch.stack([x[:, :, h::n_heads].transpose(0, 1) for h in range(n_heads)])


def merge_heads(heads):
    H, B, T, D = heads.shape
    features = [heads[e % H, :, :, e // H].T for e in range(H * D)]
    return torch.stack(features, dim=2)

# %% multi-head
def one_of_the_heads(vectors, q_map, k_map, v_map, there, back):
    """One sentence [T, E] and one head: output [T, V] and weights [T, T]."""
    T, D = len(vectors), len(q_map)
    rows, shares = [], []
    for i in range(T):
        seen = [j for j in range(max(0, i - back), i + 1) if there[j]]
        share = torch.zeros(T, dtype=vectors.dtype)
        row = torch.zeros(len(v_map), dtype=vectors.dtype)
        if seen:
            query = q_map @ vectors[i]
            found = torch.softmax(torch.stack([query @ (k_map @ vectors[j]) for j in seen]) / math.sqrt(D), 0)
            row = sum(w * (v_map @ vectors[j]) for w, j in zip(found, seen))
            share = share.index_put((torch.tensor(seen),), found)
        rows.append(row)
        shares.append(share)
    return torch.stack(rows), torch.stack(shares)


def multi_head(x, packed, output_map, n_heads, width, real, reach):
    T, B, _ = x.shape
    size = len(packed) // n_heads
    outputs, weights = [], []
    for b in range(B):
        heads = []
        for h in range(n_heads):
            own = packed[h * size : (h + 1) * size]
            maps = own[:width], own[width : 2 * width], own[2 * width :]
            heads.append(one_of_the_heads(x[:, b], *maps, real[:, b].tolist(), int(reach[h])))
        joined = torch.cat([rows for rows, _ in heads], dim=1)
        outputs.append(torch.stack([output_map @ row for row in joined]))
        weights.append(torch.stack([shares for _, shares in heads]))
    return torch.stack(outputs, dim=1), torch.stack(weights)

# %% square-root
def exact_divisor(query_mean, query_variance, key_mean, key_variance):
    total = 0.0
    for m, a, n, b in zip(query_mean, query_variance, key_mean, key_variance):
        total = total + (m**2 + a) * (n**2 + b) - (m * n) ** 2
    return torch.sqrt(total)


def saturation(draw, n, n_keys, width, divisor):
    queries = draw(n, width)
    keys = draw(n, n_keys, width)
    scores, entropies, largest, slopes = [], [], [], []
    for i in range(n):
        row = torch.stack([(queries[i] * keys[i, j]).sum() for j in range(n_keys)]) / divisor
        shares = torch.softmax(row, 0).tolist()
        scores += row.tolist()
        entropies.append(sum(-w * math.log(w) for w in shares if w > 0))
        largest.append(max(shares))
        slopes.append(1 - sum(w * w for w in shares))
    mean = sum(scores) / len(scores)
    variance = sum((s - mean) ** 2 for s in scores) / len(scores)
    return tuple(torch.tensor(each) for each in (variance, sum(entropies) / n, sum(largest) / n, sum(slopes) / n))

# %% leaks
def find_leaks(attention, x, tolerance):
    B, T, E = x.shape
    before = attention(x)
    leaks = []
    outputs = {}
    for j in range(1, T):
        pieces = [x[:, t] for t in range(T)]
        pieces[j] = x[:, j] + 0.5 + torch.randn(B, E, generator=torch.Generator().manual_seed(100 + j))
        outputs[j] = attention(torch.stack(pieces, dim=1))
    for i in range(T):
        for j in range(i + 1, T):
            if max((outputs[j][b, i] - before[b, i]).abs().max().item() for b in range(B)) > tolerance:
                leaks.append((i, j))
    return leaks

# %% symmetries
def symmetries(layer, x, tolerance):
    T = x.shape[1]
    reference = layer(x)
    orders = [torch.randperm(T, generator=torch.Generator().manual_seed(n)).tolist() for n in range(6)]
    for n in range(T - 1):  # and each pair of neighbours exchanged
        order = list(range(T))
        order[n], order[n + 1] = n + 1, n
        orders.append(order)
    moves = stays = True
    for order in orders:
        output = layer(torch.stack([x[:, place] for place in order], dim=1))
        for t, place in enumerate(order):
            if (output[:, t] - reference[:, place]).abs().max().item() > tolerance:
                moves = False
            if (output[:, t] - reference[:, t]).abs().max().item() > tolerance:
                stays = False
    return moves, stays

# %% room
def attend_in_room(score, store, values, room):
    T = values.shape[0]
    plan, first = [], 0
    for query in range(T):
        if (query + 1 - first) * (query + 1) > room:  # this query does not fit any more
            plan.append(range(first, query))
            first = query
    plan.append(range(first, T))
    for block in plan:
        scores = score(block[0], block[-1] + 1, block[-1] + 1)
        for row, query in zip(scores, block):
            shares = torch.softmax(row[: query + 1], 0)
            store(query, sum(share * value for share, value in zip(shares, values))[None])
