"""Plain loops over entries, slow and careful, and a helper defined inside the cell."""

FAILS = []

# %% softmax
def softmax(scores, dims):
    dims = [d % scores.ndim for d in dims]
    top = scores
    for d in dims:
        top = top.max(dim=d, keepdim=True).values
    e = torch.exp(scores - top)
    total = e
    for d in dims:
        total = total.sum(dim=d, keepdim=True)
    return e / total

# %% similarities
def over_pairs(function, queries, keys):
    return torch.stack([torch.stack([function(q, k) for k in keys.T]) for q in queries])


def dot_scores(queries, keys):
    return over_pairs(torch.dot, queries, keys)


def cosine_scores(queries, keys):
    def cosine(q, k):
        if not q.any() or not k.any():
            return torch.zeros((), dtype=q.dtype)
        return torch.dot(q, k) / torch.sqrt(torch.dot(q, q)) / torch.sqrt(torch.dot(k, k))

    return over_pairs(cosine, queries, keys)


def distance_scores(queries, keys, widths):
    return over_pairs(lambda q, k: -(((q - k) / widths) ** 2).sum(), queries, keys)

# %% soft-lookup
def soft_lookup(queries, keys, values):
    batch = []
    for b in range(len(queries)):
        answers = []
        for q in queries[b]:
            w = torch.softmax(keys[b] @ q / math.sqrt(len(q)), 0)
            answers.append(torch.tensordot(w, values[b], dims=1))
        batch.append(torch.stack(answers))
    return torch.stack(batch)

# %% masked-lookup
def masked_lookup(scores, values, mask, default):
    finite = scores.masked_fill(~mask, -torch.inf)
    top = finite.amax(-1, keepdim=True)
    top = torch.where(torch.isinf(top), torch.zeros_like(top), top).detach()
    e = torch.exp(finite - top)
    total = e.sum(-1, keepdim=True)
    found = total > 0
    mean = (e @ values) / torch.where(found, total, torch.ones_like(total))
    return torch.where(found, mean, default)

# %% temperature
def effective_number(weights):
    safe = weights.clamp(min=1e-300 if weights.dtype == torch.float64 else 1e-37)
    return torch.exp(-(weights * safe.log()).sum(dim=-1))


def find_temperature(scores, target):
    s = scores.to(torch.float64)
    low, high = 1e-9, 1e9
    while high / low > 1 + 1e-7:
        t = (low * high) ** 0.5
        w = torch.softmax(s / t, dim=0)
        if float(effective_number(w)) < target:
            low = t
        else:
            high = t
    return low

# %% kernel-regression
def kernel_regression(places, x, y, bandwidth):
    answers = []
    for place in places:
        score = -((place - x) ** 2) / (2 * bandwidth**2)
        answers.append((torch.softmax(score, 0) * y).sum())
    return torch.stack(answers)


def leave_one_out(x, y, bandwidth):
    n = len(x)
    score = -((x[:, None] - x) ** 2) / (2 * bandwidth**2)
    others = ~torch.eye(n, dtype=torch.bool)
    rows = score[others].reshape(n, n - 1)
    heights = y.repeat(n, 1)[others].reshape(n, n - 1)
    return (torch.softmax(rows, 1) * heights).sum(1)

# %% gradient
def soft_lookup_backward(scores, values, temperature, grad_answers):
    grad_scores, grad_values = torch.zeros_like(scores), torch.zeros_like(values)
    grad_temperature = scores.new_zeros(())
    for i, row in enumerate(scores):
        w = torch.softmax(row / temperature, 0)
        answer = w @ values
        for k in range(len(w)):
            # An entry's score matters by how far its value lies from the answer.
            g = w[k] * torch.dot(grad_answers[i], values[k] - answer)
            grad_scores[i, k] = g / temperature
            grad_values[k] += w[k] * grad_answers[i]
            grad_temperature = grad_temperature - g * row[k] / temperature**2
    return grad_scores, grad_values, grad_temperature
