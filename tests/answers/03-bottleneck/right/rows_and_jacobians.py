"""Rows that are active are picked out, Jacobians and distributions are written as matrices, graphs are searched."""

FAILS = []

# %% clocked-step
def clocked_gru_step(x, h, gap, input_map, state_map, bias, decay):
    E = h.shape[1]
    left = h / torch.exp(torch.outer(gap, decay))
    gates = torch.cat([x, left], 1) @ torch.cat([input_map, state_map], 1)[: 2 * E].T + bias[: 2 * E]
    r, z = (1 / (1 + (-gates).exp())).split(E, dim=1)
    n = torch.einsum("ew,bw->be", input_map[2 * E :], x) + torch.einsum("ef,bf->be", state_map[2 * E :], r * left)
    return torch.lerp(left, torch.tanh(n + bias[2 * E :]), z)

# %% encode
def read(cell, x, mask, width):
    """From left to right, asking the cell about the sentences that have a word here."""
    h = x.new_zeros(len(x), width)
    columns = []
    for s in range(x.shape[1]):
        rows = mask[:, s].nonzero().flatten()
        if len(rows):
            h = h.index_copy(0, rows, cell(x[rows, s], h[rows]))
        columns.append(h * mask[:, s, None])
    return torch.stack(columns, 1), h


def encode(forward_cell, backward_cell, x, mask, width):
    there, last = read(forward_cell, x, mask, width)
    back, first = read(backward_cell, x.flip(1), mask.flip(1), width)
    return torch.cat([there, back.flip(1)], 2), torch.cat([last, first], 1)

# %% decode
def decode_told(cell, embedding, readout, context, first, target, told):
    N = embedding.shape[0]
    truth = torch.nn.functional.one_hot(target, N).to(embedding.dtype)
    weights = torch.nn.functional.one_hot(torch.full((len(target),), first), N).to(embedding.dtype)
    h, rows = context, []
    for t in range(target.shape[1]):
        if t > 0:
            p = rows[-1].exp() / rows[-1].exp().sum(1, keepdim=True)
            weights = p + told[:, t : t + 1] * (truth[:, t - 1] - p)
        h = cell(weights @ embedding, h)
        rows.append(torch.einsum("be,ne->bn", h, readout) + context @ readout.T)
    return torch.stack(rows, 1)

# %% greedy
def write_greedily(step, state, first, end, limit):
    B = state.shape[0]
    written = [[first] for _ in range(B)]
    log_probabilities = torch.zeros(B)
    full = state.clone()
    for _ in range(limit):
        active = [b for b in range(B) if len(written[b]) == 1 or written[b][-1] != end]
        if not active:
            break
        logits, full[active] = step(torch.tensor([written[b][-1] for b in active]), full[active])
        probabilities = torch.softmax(logits, 1)
        for row, b in enumerate(active):
            written[b].append(int(logits[row].argmax()))
            log_probabilities[b] += probabilities[row, written[b][-1]].log()
    return [[token for token in tokens[1:] if token != end] for tokens in written], log_probabilities

# %% back-through-time
def back_through_time(start, x, state_map, leak, direct):
    states, new = start[None], []
    for t in range(len(x)):
        c = torch.tanh(x[t] + (state_map * states[-1]).sum(1))
        new.append(c)
        states = torch.cat([states, (states[-1] + leak * (c - states[-1]))[None]])
    jacobians = [torch.diag(1 - leak) + torch.diag(leak * (1 - c * c)) @ state_map for c in new]
    whole = torch.cat([torch.zeros_like(start)[None], direct])
    for t in range(len(x) - 1, -1, -1):
        rest = whole[t] + jacobians[t].T @ whole[t + 1]
        whole = torch.cat([whole[:t], rest[None], whole[t + 1 :]])
    new = torch.stack(new)
    grad_map = torch.einsum("ti,tj->ij", whole[1:] * leak * (1 - new**2), states[:-1])
    return whole, grad_map, (whole[1:] * (new - states[:-1])).sum(0)

# %% paths
def rounds(needs, workers):
    left = [(i, set(sources)) for i, sources in enumerate(needs) if sources]
    there = set(range(len(needs))) - {i for i, _ in left}
    number = 0
    while left:
        now = [i for i, sources in left if sources <= there][:workers]
        there = there.union(now)
        left = [(i, sources) for i, sources in left if i not in now]
        number += 1
    return number


def shortest_path(needs, source, target):
    """Back from the target, one step at a time, with the number of ways to each thing."""
    front, seen, steps = {target: 1}, set(), 0
    while front:
        if source in front:
            return steps, front[source]
        seen |= set(front)
        back = {}
        for i, ways in front.items():
            for j in needs[i]:
                if j not in seen:
                    back[j] = back.get(j, 0) + ways
        front, steps = back, steps + 1
    return None


def layers_needed(distance, kernel, dilations):
    seen = [d == 0 for d in range(distance + 1)]
    for layer in range((distance + 1) * len(dilations)):
        if seen[distance]:
            return layer
        step = dilations[layer % len(dilations)]
        seen = [any(seen[d - j * step] for j in range(kernel) if d >= j * step) for d in range(distance + 1)]
    return None

# %% bleu
def clipped_matches(candidate, references, n):
    grams = list(zip(*(candidate[i:] for i in range(n))))
    matches = 0
    for gram in set(grams):
        best = max(list(zip(*(reference[i:] for i in range(n)))).count(gram) for reference in references)
        matches += min(grams.count(gram), best)
    return matches, len(grams)


def bleu2(candidates, references):
    words = [clipped_matches(c, r, 1) for c, r in zip(candidates, references)]
    pairs = [clipped_matches(c, r, 2) for c, r in zip(candidates, references)]
    m1, t1 = map(sum, zip(*words))
    m2, t2 = map(sum, zip(*pairs))
    if not m1:
        return 0
    length = 0
    for candidate, its in zip(candidates, references):
        lengths = sorted(len(reference) for reference in its)
        length += min(lengths, key=lambda one: abs(one - len(candidate)))
    penalty = 1.0 if t1 >= length else math.e ** (1 - length / t1)
    return penalty * ((m1 / t1) * ((m2 + 1) / (t2 + 1))) ** 0.5

# %% masked-scores
def masked_scores(logits, target, mask, smoothing):
    N = logits.shape[-1]
    rows, words = logits[mask], target[mask]
    logs = rows - torch.logsumexp(rows, -1, keepdim=True)
    wanted = (1 - smoothing) * torch.nn.functional.one_hot(words, N) + smoothing / N
    return -(wanted * logs).sum() / len(words), (rows.max(-1).indices == words).double().mean()
