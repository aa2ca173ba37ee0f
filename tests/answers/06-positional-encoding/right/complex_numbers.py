"""Complex numbers for turns, one-hot products for gathers, whole tensors everywhere."""

FAILS = []

# %% dials
def dials(positions, n_dials, shortest, longest, wave):
    logs = torch.linspace(math.log(shortest), math.log(longest), n_dials, dtype=torch.float64)
    turns = torch.outer(positions.double(), torch.exp(-logs))
    ahead, plain = turns + 0.25, turns
    both = wave(torch.cat([ahead, plain], dim=0)).unflatten(0, (2, -1))
    return both.permute(1, 2, 0).reshape(len(positions), -1)

# %% shift
def shift_matrix(offset, lengths):
    return shifted(torch.eye(2 * len(lengths), dtype=torch.float64), offset, lengths).T


def shifted(table, offset, lengths):
    numbers = torch.view_as_complex(table.unflatten(-1, (-1, 2)).contiguous())
    angles = 2 * math.pi * offset / lengths
    return torch.view_as_real(numbers * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

# %% rotate
def rotate(x, positions, lengths):
    N = len(lengths)
    angles = 2 * math.pi * torch.einsum("bt,n->btn", positions.double(), 1 / lengths)[:, :, None]
    factors = torch.polar(torch.ones_like(angles), angles).to(torch.complex(x[:0], x[:0]).dtype)
    numbers = torch.complex(x[..., :N], x[..., N : 2 * N]) * factors
    return torch.cat([numbers.real, numbers.imag, x[..., 2 * N :]], dim=-1)

# %% step
def rotary_step(queries, keys, values, positions, cache, turn):
    H, Q, D = queries.shape
    turned = turn(torch.cat([queries, keys], dim=0), positions)
    queries, keys = turned[:H], turned[H:]
    if cache is None:
        cache = keys.new_zeros(H, 0, D), values.new_zeros(H, 0, values.shape[-1])
    keys, values = (torch.cat(pair, dim=1) for pair in zip(cache, (keys, values)))
    allowed = torch.ones(Q, keys.shape[1], dtype=torch.bool).tril(keys.shape[1] - Q)
    scores = torch.einsum("hqd,hkd->hqk", queries, keys) * D**-0.5
    scores = torch.where(allowed, scores, torch.tensor(-math.inf))
    shares = (scores - scores.amax(-1, keepdim=True)).exp()
    return (shares / shares.sum(-1, keepdim=True)) @ values, (keys, values)

# %% bias
def slopes(n_heads):
    power = 2 ** int(math.log2(n_heads) + 1e-9)
    row = 2.0 ** (-4 * torch.arange(1, 2 * power + 1, dtype=torch.float64) / power)
    return torch.cat([row[1::2], row[0::2][: n_heads - power]]).sort(descending=True).values


def distance_bias(n_heads, n_queries, n_keys):
    far = torch.arange(n_keys - 1, -1, -1) - torch.arange(n_queries - 1, -1, -1)[:, None]
    past = torch.einsum("h,qk->hqk", slopes(n_heads), -far.double())
    return torch.where(far >= 0, past, -math.inf)

# %% offsets
def one_hot_rows(R, back, Q, K, dtype):
    """A one [Q, K, R] for the row of each pair."""
    where = torch.arange(K) - torch.arange(Q).unsqueeze(1) - (K - Q) + back
    where = torch.minimum(torch.maximum(where, torch.tensor(0)), torch.tensor(R - 1))
    return torch.nn.functional.one_hot(where, R).to(dtype)


def offset_bias(table, back, n_queries, n_keys):
    chosen = one_hot_rows(len(table), back, n_queries, n_keys, table.dtype)
    return torch.einsum("qkr,rh->hqk", chosen, table)


def offset_output(weights, table, back):
    chosen = one_hot_rows(len(table), back, *weights.shape[2:], table.dtype)
    return torch.einsum("bhqk,qkr->bhqr", weights, chosen) @ table

# %% reading
def perplexities(losses):
    return {
        scheme: {length: torch.tensor(runs, dtype=torch.float64).mean().exp().item() for length, runs in rows.items()}
        for scheme, rows in losses.items()
    }


def ratios(table, train_length):
    return {scheme: max(rows.items())[1] / rows[train_length] for scheme, rows in table.items()}


def verdicts(table, train_length, tolerance, factor):
    best = sorted(rows[train_length] for rows in table.values())[0]
    found = {}
    for scheme, rows in table.items():
        beyond = {length: value / rows[train_length] for length, value in rows.items() if length > train_length}
        poor = rows[train_length] / best > factor
        breaks = bool(beyond) and max(beyond.values()) > tolerance
        found[scheme] = "not tested" if not beyond else "breaks" if breaks else "poor" if poor else "holds"
    return found
