"""Whole arrays: everything is padded, sorted, joined or compared at once."""

FAILS = []

# %% additive
def additive_attention(state, memory, mask, coverage, state_map, memory_map, coverage_map, v):
    keys = torch.cat([state[:, None].expand(-1, memory.shape[1], -1), memory, coverage[..., None]], dim=-1)
    keys = torch.where(mask[..., None], keys, 0.0)
    scores = torch.tanh(keys @ torch.cat([state_map, memory_map, coverage_map[:, None]], dim=1).T) @ v
    top = torch.where(mask, scores, -torch.inf).amax(dim=1, keepdim=True)
    shares = torch.where(mask, scores - top, -torch.inf).exp()
    shares = torch.where(mask, shares, 0.0)
    total = shares.sum(dim=1, keepdim=True)
    weights = shares / torch.where(total > 0, total, 1.0)
    return (weights[..., None] * torch.where(mask[..., None], memory, 0.0)).sum(dim=1), weights

# %% luong-scores
def dot_scores(states, memory):
    return torch.cat([states, states], dim=2).transpose(0, 1) @ memory.permute(1, 2, 0)


def general_scores(states, memory, state_map, memory_map, memory_bias):
    query = states @ (state_map.T @ memory_map) + memory_bias
    return query.transpose(0, 1) @ memory.permute(1, 2, 0)


def concat_scores(states, memory, weight, bias, v):
    T, S = len(states), len(memory)
    pairs = torch.cat([states[:, None].expand(-1, S, -1, -1), memory[None].expand(T, -1, -1, -1)], dim=-1)
    return torch.einsum("tsba,a->bts", torch.tanh(torch.einsum("tsbe,ae->tsba", pairs, weight) + bias), v)

# %% local
def local_weights(scores, states, mask, position_map, v, half_width):
    many = mask.sum(dim=1)
    logit = torch.einsum("a,bta->bt", v, torch.tanh(torch.einsum("ae,bte->bta", position_map, states)))
    centres = torch.where(many > 0, many - 1, 0)[:, None] / (1 + torch.exp(-logit))
    places = torch.where(mask, torch.cumsum(mask, dim=1) - 1, -1000000)
    z = (places[:, None, :] - centres[:, :, None]) / (half_width / 2)
    inside = z.abs() <= 2
    z = torch.where(inside, z, 0.0)
    logs = torch.where(inside, scores - z**2 / 2, torch.finfo(scores.dtype).min)
    shares = torch.exp(logs - logs.amax(dim=2, keepdim=True).detach()) * inside
    return shares / shares.sum(dim=2, keepdim=True).clamp(min=1e-30), centres

# %% steps
def bahdanau_step(cell, attend, word, state, gate, readout):
    E, W = state.shape[1], word.shape[1]
    context, weights = attend(state)
    share = torch.sigmoid(torch.einsum("be,e->b", state, gate))
    context = torch.einsum("b,bc->bc", share, context)
    state = cell(torch.hstack([word, context]), state)
    logits = state @ readout[:, :E].T + word @ readout[:, E : E + W].T + context @ readout[:, E + W :].T
    return logits, state, weights


def luong_step(cell, attend, word, state, fed, mix, readout):
    state = cell(torch.hstack([word, fed]), state)
    context, weights = attend(state)
    C = context.shape[1]
    fed = torch.tanh(context @ mix[:, :C].T + state @ mix[:, C:].T)
    return torch.einsum("ba,na->bn", fed, readout), state, fed, weights

# %% by-hand
def worked_example():
    scores = (EXAMPLE_STATES[:, None] * EXAMPLE_MEMORY).sum(-1)
    shares = scores.exp() * EXAMPLE_MASK
    weights = shares / shares.sum(1, keepdim=True)
    return scores, weights, torch.einsum("ts,sc->tc", weights, EXAMPLE_MEMORY)


def contexts_without(weights, context, memory):
    others = 1 - torch.eye(len(memory), dtype=weights.dtype)
    shares = weights[:, None] * others
    return shares / shares.sum(-1, keepdim=True) @ memory

# %% links
def one_hot_of_the_first_largest(weights):
    return torch.nn.functional.one_hot(weights.argmax(1), weights.shape[1]).bool()


def common_links(there, back):
    both = one_hot_of_the_first_largest(there).T & one_hot_of_the_first_largest(back)
    return {tuple(link) for link in both.nonzero().tolist()}


def error_rates(sentences):
    links, sure, possible = ({(n, link) for n, s in enumerate(sentences) for link in s[k]} for k in range(3))
    found, allowed = len(links.intersection(sure)), len(links.intersection(possible.union(sure)))
    try:
        error = 1 - (found + allowed) / (len(links) + len(sure))
    except ZeroDivisionError:
        error = 0.0
    return (allowed / len(links) if links else 1.0), (found / len(sure) if sure else 1.0), error

# %% training
def train_some(tables, serve, steps, rate, hold, largest):
    names, sizes = list(tables), [table.numel() for table in tables.values()]
    flat = torch.cat([table.detach().reshape(-1) for table in tables.values()])

    def unflattened(vector):
        parts = vector.split(sizes)
        return {name: part.view(tables[name].shape) for name, part in zip(names, parts)}

    losses = []
    for t in range(1, steps + 1):
        asked, source, target, mask = serve()
        leaf = flat.clone().requires_grad_()
        logits = answer_logits(unflattened(leaf), asked, source)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)
        loss.backward()
        gradient = leaf.grad
        gradient = gradient / max(1.0, gradient.norm().item() / largest)
        flat = flat - rate / 2 ** max(0, t - hold) * gradient
        losses.append(loss.item())
    return losses, unflattened(flat)

# %% reading
def read_alignment(weights, least):
    origin = weights.argmax(1)
    known = weights.amax(1) >= least
    earlier = torch.ones(len(weights), len(weights), dtype=torch.bool).triu(1)
    cross = (origin[:, None] > origin) & earlier & known[:, None] & known
    hit = torch.zeros(weights.shape[1], dtype=torch.bool)
    hit[origin[known]] = True
    return {
        "origins": [j if k else None for j, k in zip(origin.tolist(), known.tolist())],
        "left_out": (~hit).nonzero().flatten().tolist(),
        "crossings": int(cross.sum()),
        "monotone": not cross.any().item(),
    }
