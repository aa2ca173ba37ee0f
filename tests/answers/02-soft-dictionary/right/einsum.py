"""Everything with einsum and broadcasting; log-sum-exp instead of a quotient; bisection on the logarithm."""

FAILS = []

# %% softmax
def softmax(scores, dims):
    top = scores.amax(dims, keepdim=True)
    shifted = scores - top
    return (shifted - shifted.exp().sum(dims, keepdim=True).log()).exp()

# %% similarities
def dot_scores(queries, keys):
    return torch.einsum("qd,dk->qk", queries, keys)


def cosine_scores(queries, keys):
    unit_queries = queries / queries.norm(dim=1, keepdim=True).clamp(min=1e-12)
    unit_keys = keys / keys.norm(dim=0, keepdim=True).clamp(min=1e-12)
    return torch.einsum("qd,dk->qk", unit_queries, unit_keys)


def distance_scores(queries, keys, widths):
    gaps = (queries.unsqueeze(1) - keys.T.unsqueeze(0)) / widths
    return -torch.einsum("qkd,qkd->qk", gaps, gaps)

# %% soft-lookup
def soft_lookup(queries, keys, values):
    weights = torch.softmax(torch.einsum("bqd,bkd->bqk", queries / queries.shape[2] ** 0.5, keys), -1)
    flat = values.reshape(*values.shape[:2], -1)
    return torch.bmm(weights, flat).reshape(*queries.shape[:2], *values.shape[2:])

# %% masked-lookup
def masked_lookup(scores, values, mask, default):
    # The default is one more entry, open only to those who may look at nothing.
    mask = mask.expand(scores.shape)
    nothing = ~mask.any(-1, keepdim=True)
    scores = torch.cat([scores, torch.zeros_like(scores[..., :1])], -1)
    allowed = torch.cat([mask, nothing], -1)
    entries = torch.cat([values, default.expand(values[..., :1, :].shape)], -2)
    return torch.softmax(torch.where(allowed, scores, -torch.inf), -1) @ entries

# %% temperature
def effective_number(weights):
    return torch.exp(-torch.where(weights > 0, weights * torch.log(weights), 0.0).sum(-1))


def find_temperature(scores, target):
    s = scores.double() - scores.double().mean()
    unit = s.abs().max()
    low, high = -40.0, 40.0
    for _ in range(100):
        middle = (low + high) / 2
        if effective_number(torch.softmax(s / (unit * 2.0**middle), -1)) > target:
            high = middle
        else:
            low = middle
    return float(unit * 2.0**low)

# %% kernel-regression
def kernel_regression(places, x, y, bandwidth):
    u = (places.unsqueeze(1) - x) / bandwidth
    e = -u * u / 2
    e = torch.exp(e - e.max(1, keepdim=True).values)
    return (e * y).sum(1) / e.sum(1)


def leave_one_out(x, y, bandwidth):
    predictions = []
    for i in range(len(x)):
        rest = torch.arange(len(x)) != i
        predictions.append(kernel_regression(x[i : i + 1], x[rest], y[rest], bandwidth))
    return torch.cat(predictions)

# %% gradient
def soft_lookup_backward(scores, values, temperature, grad_answers):
    w = torch.softmax(scores / temperature, -1)
    jacobian = torch.diag_embed(w) - w[:, :, None] * w[:, None, :]
    g = torch.einsum("qkj,jv,qv->qk", jacobian, values, grad_answers) / temperature
    return g, torch.einsum("qk,qv->kv", w, grad_answers), -(g * scores / temperature).sum()
