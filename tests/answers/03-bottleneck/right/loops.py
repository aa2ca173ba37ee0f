"""Plain loops over sentences, positions and units, slow and careful; a sentence's words are moved together first."""

FAILS = []

# %% clocked-step
def clocked_gru_step(x, h, gap, input_map, state_map, bias, decay):
    E = h.shape[1]
    W_r, W_z, W_n = input_map[:E], input_map[E : 2 * E], input_map[2 * E :]
    U_r, U_z, U_n = state_map[:E], state_map[E : 2 * E], state_map[2 * E :]
    b_r, b_z, b_n = bias[:E], bias[E : 2 * E], bias[2 * E :]
    sentences = []
    for b in range(len(x)):
        left = torch.exp(-decay * gap[b]) * h[b]
        r = torch.sigmoid(W_r @ x[b] + U_r @ left + b_r)
        z = torch.sigmoid(W_z @ x[b] + U_z @ left + b_z)
        n = torch.tanh(W_n @ x[b] + U_n @ (r * left) + b_n)
        sentences.append((1 - z) * left + z * n)
    return torch.stack(sentences)

# %% encode
def encode(forward_cell, backward_cell, x, mask, width):
    B, S, _ = x.shape
    places = [[s for s in range(S) if mask[b, s]] for b in range(B)]
    states = {(b, s, half): torch.zeros(width, dtype=x.dtype) for b in range(B) for s in range(S) for half in (0, 1)}
    summary = torch.zeros(2, B, width, dtype=x.dtype)
    for half, cell in enumerate((forward_cell, backward_cell)):
        ordered = [row[::-1] if half else row for row in places]
        h = [torch.zeros(width, dtype=x.dtype) for _ in range(B)]
        for step in range(max(map(len, places))):
            rows = [b for b in range(B) if step < len(ordered[b])]
            after = cell(torch.stack([x[b, ordered[b][step]] for b in rows]), torch.stack([h[b] for b in rows]))
            for b, state in zip(rows, after):
                h[b] = states[b, ordered[b][step], half] = state
        summary = torch.cat([summary[:half], torch.stack(h)[None], summary[half + 1 :]])
    rows = [torch.stack([torch.cat([states[b, s, 0], states[b, s, 1]]) for s in range(S)]) for b in range(B)]
    return torch.stack(rows), torch.cat([summary[0], summary[1]], dim=1)

# %% decode
def decode_told(cell, embedding, readout, context, first, target, told):
    B, T = target.shape
    start = torch.stack([embedding[first]] * B)
    h, logits = cell(start, context), []
    logits.append(torch.stack([readout @ (h[b] + context[b]) for b in range(B)]))
    for t in range(1, T):
        given = []
        for b in range(B):
            p = torch.softmax(logits[t - 1][b], 0)
            own = sum(p[w] * embedding[w] for w in range(len(p)))
            given.append(told[b, t] * embedding[target[b, t - 1]] + (1 - told[b, t]) * own)
        h = cell(torch.stack(given), h)
        logits.append(torch.stack([readout @ (h[b] + context[b]) for b in range(B)]))
    return torch.stack(logits, 1)

# %% greedy
def write_greedily(step, state, first, end, limit):
    class Sentence:
        def __init__(self, row):
            self.row, self.last, self.words, self.log, self.length = row, first, [], 0.0, 0

        def going(self):
            return self.length < limit and (self.length == 0 or self.last != end)

    sentences = [Sentence(row) for row in state]
    while going := [s for s in sentences if s.going()]:
        logits, rows = step(torch.tensor([s.last for s in going]), torch.stack([s.row for s in going]))
        for s, scores, row in zip(going, logits, rows):
            s.last, s.row, s.length = scores.argmax().item(), row, s.length + 1
            s.log += (scores.max() - scores.logsumexp(0)).item()
            if s.last != end:
                s.words.append(s.last)
    return [s.words for s in sentences], torch.tensor([s.log for s in sentences])

# %% back-through-time
def back_through_time(start, x, state_map, leak, direct):
    T, E = x.shape
    h, c = [start], [None]
    for t in range(1, T + 1):
        c.append(torch.tanh(state_map @ h[t - 1] + x[t - 1]))
        h.append((1 - leak) * h[t - 1] + leak * c[t])
    grad = torch.zeros(T + 1, E, dtype=x.dtype)
    grad_map, grad_leak = torch.zeros(E, E, dtype=x.dtype), torch.zeros(E, dtype=x.dtype)
    grad[1:] = direct
    for t in range(T, 0, -1):
        for i in range(E):
            through = grad[t, i] * leak[i] * (1 - c[t][i] ** 2)
            grad[t - 1, i] += grad[t, i] * (1 - leak[i])
            grad_leak[i] += grad[t, i] * (c[t][i] - h[t - 1][i])
            for j in range(E):
                grad[t - 1, j] += through * state_map[i, j]
                grad_map[i, j] += through * h[t - 1][j]
    return grad, grad_map, grad_leak

# %% paths
def rounds(needs, workers):
    """When each thing is there, found round by round."""
    when = {i: 0 for i in range(len(needs)) if needs[i] == []}
    now = 0
    while len(when) < len(needs):
        now += 1
        busy = 0
        for i in range(len(needs)):
            if i not in when and busy < workers and all(j in when and when[j] < now for j in needs[i]):
                when[i] = now
                busy += 1
    return now


def shortest_path(needs, source, target):
    def search(i, memory):
        """Steps and ways from the source to thing i."""
        if i == source:
            return 0, 1
        if i not in memory:
            found = [search(j, memory) for j in needs[i]]
            best = min((steps for steps, _ in found), default=math.inf)
            memory[i] = best + 1, sum(ways for steps, ways in found if steps == best)
        return memory[i]

    steps, ways = search(target, {})
    return None if steps == math.inf else (steps, ways)


def layers_needed(distance, kernel, dilations):
    unit = math.gcd(*dilations)
    if distance == 0:
        return 0
    if kernel == 1 or distance % unit:
        return None
    seen, layers = {0}, 0
    # If some combination gives the distance, this many times through the list is enough for each dilation's share.
    for layers in range(1, (distance + 1) * len(dilations) + 1):
        step = dilations[(layers - 1) % len(dilations)]
        for d in list(seen):
            for j in range(1, kernel):
                if d + j * step <= distance:
                    seen.add(d + j * step)
        if distance in seen:
            return layers
    return None

# %% bleu
def grams_of(words, n):
    counts = {}
    for i in range(len(words) - n + 1):
        gram = tuple(words[i : i + n])
        counts[gram] = counts.get(gram, 0) + 1
    return counts


def clipped_matches(candidate, references, n):
    own = grams_of(candidate, n)
    matches = 0
    for gram, count in own.items():
        matches += min(count, max(grams_of(reference, n).get(gram, 0) for reference in references))
    return matches, sum(own.values())


def bleu2(candidates, references):
    m1 = t1 = m2 = t2 = r = 0
    for candidate, its in zip(candidates, references):
        found, total = clipped_matches(candidate, its, 1)
        m1, t1 = m1 + found, t1 + total
        found, total = clipped_matches(candidate, its, 2)
        m2, t2 = m2 + found, t2 + total
        best = None
        for reference in its:
            gap = abs(len(reference) - len(candidate))
            if best is None or gap < best[0] or gap == best[0] and len(reference) < best[1]:
                best = gap, len(reference)
        r += best[1]
    if m1 == 0:
        return 0.0
    bleu = math.exp((math.log(m1 / t1) + math.log((m2 + 1) / (t2 + 1))) / 2)
    return bleu * math.exp(1 - r / t1) if t1 < r else bleu

# %% masked-scores
def masked_scores(logits, target, mask, smoothing):
    losses, right = [], []
    for b in range(mask.shape[0]):
        for t in range(mask.shape[1]):
            if mask[b, t]:
                logs = torch.log_softmax(logits[b, t], dim=0)
                losses.append(-(1 - smoothing) * logs[target[b, t]] - smoothing / len(logs) * logs.sum())
                right.append(1.0 if logs.argmax() == target[b, t] else 0.0)
    return sum(losses) / len(losses), torch.tensor(sum(right) / len(right))
