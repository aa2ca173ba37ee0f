"""Plain loops over positions, dials, heads, queries and keys, slow and careful."""

FAILS = []

# %% dials
def dials(positions, n_dials, shortest, longest, wave):
    lengths = [shortest]
    for _ in range(1, n_dials):
        lengths.append(lengths[-1] * (longest / shortest) ** (1 / (n_dials - 1)))
    turns = [[p / length for length in lengths] for p in positions.tolist()]
    turns = torch.tensor(turns, dtype=torch.float64)
    table = torch.zeros(len(positions), 2 * n_dials, dtype=torch.float64)
    table[:, 1::2] = wave(turns)
    table[:, 0::2] = wave(turns + 1 / 4)
    return table

# %% shift
def shift_matrix(offset, lengths):
    size = 2 * len(lengths)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for n, length in enumerate(lengths.tolist()):
        angle = 2 * math.pi * offset / length
        matrix[2 * n, 2 * n] = matrix[2 * n + 1, 2 * n + 1] = math.cos(angle)
        matrix[2 * n, 2 * n + 1] = -math.sin(angle)
        matrix[2 * n + 1, 2 * n] = math.sin(angle)
    return matrix


def shifted(table, offset, lengths):
    matrix = shift_matrix(offset, lengths)
    return torch.stack([matrix @ row for row in table])

# %% rotate
def rotate(x, positions, lengths):
    N, features = len(lengths), [None] * x.shape[-1]
    for d in range(x.shape[-1]):
        features[d] = x[..., d]
    for n, length in enumerate(lengths.tolist()):
        part = (positions.double() / length) % 1.0
        angle = (2 * math.pi * part).unsqueeze(2)
        cosine, sine_of_it = torch.cos(angle).to(x.dtype), torch.sin(angle).to(x.dtype)
        a, b = x[..., n], x[..., n + N]
        features[n] = a * cosine - b * sine_of_it
        features[n + N] = a * sine_of_it + b * cosine
    return torch.stack(features, dim=-1)

# %% step
def rotary_step(queries, keys, values, positions, cache, turn):
    H, Q, D = queries.shape
    both = turn(torch.stack([queries, keys]), positions)
    turned, new_keys = both[0], both[1]
    old_keys, old_values = cache if cache is not None else (keys[:, :0], values[:, :0])
    all_keys = torch.cat([old_keys, new_keys], dim=1)
    all_values = torch.cat([old_values, values], dim=1)
    C = old_keys.shape[1]
    heads = []
    for h in range(H):
        rows = []
        for i in range(Q):
            scores = all_keys[h, : C + i + 1] @ turned[h, i] / D**0.5
            rows.append(torch.softmax(scores, 0) @ all_values[h, : C + i + 1])
        heads.append(torch.stack(rows))
    return torch.stack(heads), (all_keys, all_values)

# %% bias
def slopes(n_heads):
    power = 1
    while 2 * power <= n_heads:
        power *= 2
    found = [2.0 ** (-8 * (n + 1) / power) for n in range(power)]
    n = 1
    while len(found) < n_heads:
        found.append(2.0 ** (-8 * n / (2 * power)))
        n += 2
    return torch.tensor(sorted(found, reverse=True))


def distance_bias(n_heads, n_queries, n_keys):
    bias = torch.full((n_heads, n_queries, n_keys), -math.inf)
    for h, slope in enumerate(slopes(n_heads).tolist()):
        for i in range(n_queries):
            for j in range(n_keys - n_queries + i + 1):
                bias[h, i, j] = -slope * (n_keys - n_queries + i - j)
    return bias

# %% offsets
def row(i, j, back, R, first):
    return max(-back, min(R - 1 - back, j - (first + i))) + back


def offset_bias(table, back, n_queries, n_keys):
    R, first = len(table), n_keys - n_queries
    rows = [[table[row(i, j, back, R, first)] for j in range(n_keys)] for i in range(n_queries)]
    return torch.stack([torch.stack(each, dim=1) for each in rows], dim=1)


def offset_output(weights, table, back):
    Q, K = weights.shape[-2:]
    outputs = []
    for i in range(Q):
        total = 0
        for j in range(K):
            total = total + weights[:, :, i, j].unsqueeze(-1) * table[row(i, j, back, len(table), K - Q)]
        outputs.append(total)
    return torch.stack(outputs, dim=2)

# %% reading
def perplexities(losses):
    result = {}
    for scheme in losses:
        result[scheme] = {}
        for length in losses[scheme]:
            runs = losses[scheme][length]
            result[scheme][length] = math.e ** (math.fsum(runs) / len(runs))
    return result


def ratios(table, train_length):
    result = {}
    for scheme, values in table.items():
        longest = sorted(values)[-1]
        result[scheme] = values[longest] / values[train_length]
    return result


def verdicts(table, train_length, tolerance, factor):
    smallest = min(values[train_length] for values in table.values())
    result = {}
    for scheme, values in table.items():
        own = values[train_length]
        beyond = [length for length in values if length > train_length]
        if beyond == []:
            result[scheme] = "not tested"
        elif any(values[length] / own > tolerance for length in beyond):
            result[scheme] = "breaks"
        elif own / smallest > factor:
            result[scheme] = "poor"
        else:
            result[scheme] = "holds"
    return result
