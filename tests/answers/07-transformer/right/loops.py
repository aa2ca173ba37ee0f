"""Plain loops over sentences, positions and heads; sorted lists; one experiment after the other, each on one place."""

FAILS = []

# %% encoder
def encoder_block(x, real, weights, eps):
    look, join, up, down, norms = (weights[name] for name in ("look", "join", "up", "down", "norms"))

    def norm(vector, n):
        mean = vector.sum() / len(vector)
        spread = sum((feature - mean) ** 2 for feature in vector) / len(vector)
        return (vector - mean) / torch.sqrt(spread + eps) * norms[n][0] + norms[n][1]

    result = []
    for b in range(x.shape[0]):
        before = torch.stack([norm(vector, 0) for vector in x[b]])
        total = 0
        for h in range(len(look)):
            q, k, v = (before @ look[h, p].T for p in range(3))
            total = total + attend(q, k, v, real[b][None, :].expand(len(q), -1)) @ join[:, h].T
        rows = []
        for t in range(x.shape[1]):
            middle = x[b, t] + norm(total[t], 1)
            inner = torch.relu(up @ torch.cat([norm(middle, 2), torch.ones(1, dtype=x.dtype)]))
            rows.append(middle + norm(down @ torch.cat([inner, torch.ones(1, dtype=x.dtype)]), 3))
        result.append(torch.stack(rows))
    return torch.stack(result)

# %% decoder
def decoder_block(x, memory, real, memory_real, weights, n_heads, eps):
    B, T, E = x.shape
    D = E // n_heads

    def look(asking, asked, maps, may):
        rows = []
        for i in range(len(asking)):
            seen = [j for j in range(len(asked)) if may(i, j)]
            query, parts = maps[0] @ asking[i], []
            for h in range(n_heads):
                own = slice(h * D, (h + 1) * D)
                if not seen:
                    parts.append(torch.zeros(D, dtype=x.dtype))
                    continue
                keys = torch.stack([(maps[1] @ asked[j])[own] for j in seen])
                values = torch.stack([(maps[2] @ asked[j])[own] for j in seen])
                parts.append(torch.softmax(keys @ query[own] / math.sqrt(D), 0) @ values)
            rows.append(maps[3] @ torch.cat(parts))
        return torch.stack(rows)

    def close(z, branch, n):
        gate = 1 / (1 + torch.exp(-(z @ weights["gates"][n].T)))
        return rms_norm(z + gate * branch, weights["gain"][n], eps)

    result = []
    for b in range(B):
        h = close(x[b], look(x[b], x[b], weights["own"], lambda i, j: j <= i and bool(real[b, j])), 0)
        k = close(h, look(h, memory[b], weights["cross"], lambda i, j: bool(memory_real[b, j])), 1)
        result.append(close(k, (k @ weights["up"].T).clamp(min=0) @ weights["down"].T, 2))
    return torch.stack(result)

# %% smoothing
def smoothed_targets(target, n_tokens, smoothing, padding):
    T, B = target.shape
    shares = torch.zeros(T, B, n_tokens)
    for t in range(T):
        for b in range(B):
            right = int(target[t, b])
            if right == padding:
                continue
            for j in range(n_tokens):
                if j == right:
                    shares[t, b, j] = 1 - smoothing
                elif j != padding:
                    shares[t, b, j] = smoothing / (n_tokens - 2)
    return shares


def smoothed_loss(logits, target, smoothing, padding):
    words = (target != padding).nonzero().tolist()
    others = [j for j in range(logits.shape[-1]) if j != padding]
    total = 0.0
    for t, b in words:
        shares = smoothed_targets(target[t : t + 1, b : b + 1], logits.shape[-1], smoothing, padding)[0, 0, others]
        total = total - (shares * torch.log_softmax(logits[t, b], 0)[others]).sum()
    return total / len(words)


def lowest_loss(n_tokens, smoothing):
    if smoothing == 0:
        return 0.0
    return -(1 - smoothing) * math.log(1 - smoothing) - smoothing * math.log(smoothing / (n_tokens - 2))

# %% schedule
def learning_rate(step, peak, warmup, plateau):
    if step < warmup:
        return peak / warmup * step
    if step <= warmup + plateau:
        return float(peak)
    return peak * (warmup + plateau) ** 0.5 / step**0.5


def paper_peak(width, warmup):
    return width**-0.5 * warmup**-0.5

# %% beam
def beam_search(log_probs, beam, length, end, alpha):
    totals, done, step = {(): 0.0}, {}, 0
    while totals and step < length:
        grown = {}
        for tokens, total in totals.items():
            logs = log_probs(tokens)
            for token in range(len(logs)):
                if not math.isinf(logs[token]):
                    grown[tokens + (token,)] = total + float(logs[token])
        places, totals = beam - len(done), {}
        for tokens in sorted(grown, key=grown.get)[::-1][:places]:
            (done if tokens[-1] == end else totals)[tokens] = grown[tokens]
        step += 1
    scored = [(total * (6 / (5 + len(tokens))) ** alpha, tokens) for tokens, total in (done | totals).items()]
    return [(tokens, score) for score, tokens in sorted(scored, reverse=True)]

# %% cache
def continue_text(tokens, cache, model):
    """Keeps keys as they were before they are turned, and turns all of them each time."""
    cache = cache or {"length": 0, "layers": [None] * len(model["layers"])}
    places = torch.arange(cache["length"] + len(tokens))
    x, kept = model["embed"](tokens), []
    for old, layer in zip(cache["layers"], model["layers"]):
        query, key, value = layer["query"](x), layer["key"](x), layer["value"](x)
        if old is not None:
            key, value = torch.cat([old["key"], key], 1), torch.cat([old["value"], value], 1)
        kept.append({"key": key, "value": value})
        query, key = rotate(query, places[cache["length"] :]), rotate(key, places)
        seen = []
        for row in range(len(tokens)):
            sees = (places <= cache["length"] + row)[None, None]
            seen.append(attend(query[:, row : row + 1], key, value, sees))
        x = layer["finish"](x, torch.cat(seen, 1))
    return model["logits"](x), {"length": len(places), "layers": kept}

# %% nucleus
def nucleus(logits, p):
    shares = torch.softmax(logits.double(), 0).tolist()
    ranked = sorted((n for n in range(len(shares)) if logits[n] > -math.inf), key=lambda n: -logits[n].item())
    kept, total = [], 0.0
    for token in ranked:
        if total >= p and p < 1:
            break
        kept.append(token)
        total += shares[token]
    return torch.tensor([n in kept for n in range(len(shares))])


def draw_token(logits, p, temperature, u):
    kept, shares = nucleus(logits / temperature, p).tolist(), torch.softmax(logits.double() / temperature, 0).tolist()
    whole, total, last = sum(share for share, keep in zip(shares, kept) if keep), 0.0, None
    for token, share in enumerate(shares):
        if kept[token]:
            total, last = total + share / whole, token
            if total > u:
                break
    return last

# %% diagnose
def diagnose(block, x, memory, real, memory_real):
    B, T, E = x.shape
    noise = torch.randn(2, B, T, E, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    plain = block(x, memory, real, memory_real)

    def moves(now):
        return (now - plain).abs().amax(-1) > 3e-6

    everything = torch.ones_like(memory_real)
    flipped = block(x, memory.flip(1), real, everything)
    if (flipped - block(x, memory, real, everything)).abs().max() > 3e-6:
        return "swapped"
    far = block(1e6 * x, memory, real, memory_real)
    if far.abs().max() < 1e3:
        squares = far.square().mean(-1)
        return "norm" if squares.max() - squares.min() < 1e-3 and abs(squares.mean() - 1) < 1e-3 else "residual"
    for j in range(T):
        changed = x.clone()
        changed[:, j] = noise[0, :, j]
        after = moves(block(changed, memory, real, memory_real))
        if after[:, :j].any():
            return "future"
        if after[:, j + 1 :][~real[:, j]].any():
            return "padding"
    hidden = torch.where(memory_real[..., None], memory, noise[1])
    return "padding" if moves(block(x, hidden, real, memory_real)).any() else "healthy"
