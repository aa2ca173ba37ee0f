"""Plain loops over sentences, steps and words, slow and careful; what does not count is never looked at."""

FAILS = []

# %% additive
def additive_attention(state, memory, mask, coverage, state_map, memory_map, coverage_map, v):
    B, S, C = memory.shape
    contexts, all_weights = [], []
    for b in range(B):
        words = [j for j in range(S) if mask[b, j]]
        weights = [state[b].sum() * 0.0] * S
        context = state[b].sum() * torch.zeros(C, dtype=memory.dtype)
        if words:
            scores = {}
            for j in words:
                hidden = torch.tanh(state_map @ state[b] + memory_map @ memory[b, j] + coverage[b, j] * coverage_map)
                scores[j] = v @ hidden
            top = max(score.item() for score in scores.values())
            shares = {j: torch.exp(score - top) for j, score in scores.items()}
            total = sum(shares.values())
            for j in words:
                weights[j] = shares[j] / total
                context = context + weights[j] * memory[b, j]
        contexts.append(context)
        all_weights.append(torch.stack(weights))
    return torch.stack(contexts), torch.stack(all_weights)

# %% luong-scores
def for_all_pairs(score, states, memory):
    """Scores [B, T, S] from a score of two vectors."""
    T, B, S = len(states), states.shape[1], len(memory)
    return torch.stack(
        [
            torch.stack([torch.stack([score(states[t, b], memory[s, b]) for s in range(S)]) for t in range(T)])
            for b in range(B)
        ]
    )


def dot_scores(states, memory):
    E = states.shape[2]
    return for_all_pairs(lambda s, h: s @ h[:E] + s @ h[E:], states, memory)


def general_scores(states, memory, state_map, memory_map, memory_bias):
    return for_all_pairs(lambda s, h: (state_map @ s) @ (memory_map @ h) + memory_bias @ h, states, memory)


def concat_scores(states, memory, weight, bias, v):
    return for_all_pairs(lambda s, h: v @ torch.tanh(weight @ torch.cat([s, h]) + bias), states, memory)

# %% local
def local_weights(scores, states, mask, position_map, v, half_width):
    B, T, S = scores.shape
    rows, centres = [], []
    for b in range(B):
        positions = mask[b].nonzero().flatten().tolist()
        n = len(positions)
        for i in range(T):
            if n == 0:
                rows.append(0.0 * scores[b, i].detach())
                centres.append(0.0 * states[b, i].sum().detach())
                continue
            centre = (n - 1) * torch.sigmoid(v @ torch.tanh(position_map @ states[b, i]))
            row = [0.0 * scores[b, i, 0].detach()] * S
            inside = {k: j for k, j in enumerate(positions) if abs(k - centre).item() <= half_width}
            logs = {j: scores[b, i, j] - (k - centre) ** 2 * 2 / half_width**2 for k, j in inside.items()}
            top = max(log.item() for log in logs.values())
            total = sum(torch.exp(log - top) for log in logs.values())
            for j, log in logs.items():
                row[j] = torch.exp(log - top) / total
            rows.append(torch.stack(row))
            centres.append(centre)
    return torch.stack(rows).reshape(B, T, S), torch.stack(centres).reshape(B, T)

# %% steps
def bahdanau_step(cell, attend, word, state, gate, readout):
    context, weights = attend(state)
    gated = []
    for s, c in zip(state, context):
        gated.append(c / (1 + torch.exp(-(s * gate).sum())))
    context = torch.stack(gated)
    new = cell(torch.cat((word, context), -1), state)
    logits = [readout @ torch.cat((s, y, c)) for s, y, c in zip(new, word, context)]
    return torch.stack(logits), new, weights


def luong_step(cell, attend, word, state, fed, mix, readout):
    new = cell(torch.cat((word, fed), -1), state)
    context, weights = attend(new)
    mixed = torch.stack([torch.tanh(mix @ torch.cat((c, s))) for c, s in zip(context, new)])
    return torch.stack([readout @ h for h in mixed]), new, mixed, weights

# %% by-hand
def worked_example():
    """The fractions, worked out on paper."""
    twos = torch.tensor([[-1, 1, 1, 0], [0, 3, 2, 10], [4, 0, 1, 15]], dtype=torch.float64)
    weights = [[1 / 9, 4 / 9, 4 / 9, 0], [1 / 13, 8 / 13, 4 / 13, 0], [16 / 19, 1 / 19, 2 / 19, 0]]
    nine, thirteen, nineteen = [1, 12, 6, 8, 1], [1, 20, 6, 12, 1], [16, 4, 34, 3, 16]
    context = [[x / 9 for x in nine], [x / 13 for x in thirteen], [x / 19 for x in nineteen]]
    scores = twos * math.log(2)
    return scores, torch.tensor(weights, dtype=torch.float64), torch.tensor(context, dtype=torch.float64)


def contexts_without(weights, context, memory):
    T, S = weights.shape
    answer = torch.zeros(T, S, memory.shape[1], dtype=memory.dtype)
    for i in range(T):
        for j in range(S):
            others = [k for k in range(S) if k != j]
            left = sum(weights[i, k] for k in others)
            answer[i, j] = sum(weights[i, k] / left * memory[k] for k in others)
    return answer

# %% links
def first_largest(row):
    best = 0
    for place in range(1, len(row)):
        if row[place] > row[best]:
            best = place
    return best


def common_links(there, back):
    links = set()
    for i, row in enumerate(there.tolist()):
        j = first_largest(row)
        if first_largest(back[j].tolist()) == i:
            links.add((j, i))
    return links


def error_rates(sentences):
    predicted, wanted, found, allowed = 0, 0, 0, 0
    for links, sure, possible in sentences:
        for link in links:
            predicted += 1
            if link in sure:
                found += 1
            if link in sure or link in possible:
                allowed += 1
        wanted += len(sure)
    precision = 1.0 if predicted == 0 else allowed / predicted
    recall = 1.0 if wanted == 0 else found / wanted
    if predicted + wanted == 0:
        return precision, recall, 0.0
    return precision, recall, (predicted + wanted - found - allowed) / (predicted + wanted)

# %% training
def train_some(tables, serve, steps, rate, hold, largest):
    own = {name: table.clone() for name, table in tables.items()}
    losses = []
    for done in range(steps):
        asked, source, target, mask = serve()
        for table in own.values():
            table.requires_grad_(True)
        logits = answer_logits(own, asked, source)
        total, count = 0.0, 0
        for b in range(len(asked)):
            for i in range(asked.shape[1]):
                if mask[b, i]:
                    total = total - torch.log_softmax(logits[b, i], 0)[target[b, i]]
                    count += 1
        loss = total / count
        losses.append(loss.item())
        gradients = dict(zip(own, torch.autograd.grad(loss, tuple(own.values()))))
        length = torch.cat([g.flatten() for g in gradients.values()]).norm().item()
        step = rate
        for _ in range(done + 1 - hold):
            step = step / 2
        if length > largest:
            step = step * largest / length
        own = {name: (own[name] - step * gradients[name]).detach() for name in own}
    return losses, own

# %% reading
def read_alignment(weights, least):
    T, S = weights.shape
    origins = []
    for i in range(T):
        best = 0
        for j in range(S):
            if weights[i, j] > weights[i, best]:
                best = j
        origins.append(best if weights[i, best].item() >= least else None)
    crossings = 0
    for i in range(T):
        for later in range(i + 1, T):
            if origins[i] is not None and origins[later] is not None and origins[i] > origins[later]:
                crossings += 1
    left_out = []
    for j in range(S):
        if all(origin != j for origin in origins):
            left_out.append(j)
    return {"monotone": not crossings, "origins": origins, "crossings": crossings, "left_out": left_out}
