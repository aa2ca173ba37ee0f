"""Few large products: maps joined into one matrix, scatter and gather, topk; experiments that change many places at once."""

FAILS = []

# %% encoder
def standardised(z, eps):
    return (z - z.mean(-1, keepdim=True)) * torch.rsqrt(z.var(-1, correction=0, keepdim=True) + eps)


def encoder_block(x, real, weights, eps):
    (B, T, E), (H, _, D, _) = x.shape, weights["look"].shape
    gain, shift = weights["norms"].unbind(1)
    packed = weights["look"].permute(1, 0, 2, 3).reshape(3 * H * D, E)
    q, k, v = ((standardised(x, eps) * gain[0] + shift[0]) @ packed.T).reshape(B, T, 3, H, D).permute(2, 0, 3, 1, 4)
    answers = attend(q, k, v, real.reshape(B, 1, 1, T).expand(B, H, T, T))
    joined = answers.permute(0, 2, 1, 3).reshape(B, T, H * D) @ weights["join"].reshape(E, H * D).T
    h = x + standardised(joined, eps) * gain[1] + shift[1]
    one = torch.ones(B, T, 1, dtype=x.dtype)
    inner = torch.relu(torch.cat([standardised(h, eps) * gain[2] + shift[2], one], -1) @ weights["up"].T)
    return h + standardised(torch.cat([inner, one], -1) @ weights["down"].T, eps) * gain[3] + shift[3]

# %% decoder
def decoder_block(x, memory, real, memory_real, weights, n_heads, eps):
    (B, T, E), S = x.shape, memory.shape[1]
    D = E // n_heads

    def attention(ask, give, maps, allowed):
        parts = []
        for h in range(n_heads):
            rows = slice(D * h, D * h + D)
            q, k, v = ask @ maps[0, rows].T, give @ maps[1, rows].T, give @ maps[2, rows].T
            parts.append(attend(q, k, v, allowed))
        return torch.cat(parts, -1) @ maps[3].T

    not_later = torch.arange(T)[None, :] <= torch.arange(T)[:, None]
    for n in range(3):
        if n == 0:
            branch = attention(x, x, weights["own"], not_later[None] & real[:, None, :])
        elif n == 1:
            branch = attention(x, memory, weights["cross"], memory_real[:, None, :].expand(B, T, S))
        else:
            branch = torch.einsum("ef,btf->bte", weights["down"], torch.relu(x @ weights["up"].T))
        x = rms_norm(x + torch.sigmoid(torch.einsum("de,bte->btd", weights["gates"][n], x)) * branch, weights["gain"][n], eps)
    return x

# %% smoothing
def smoothed_targets(target, n_tokens, smoothing, padding):
    shares = torch.full((*target.shape, n_tokens), smoothing / (n_tokens - 2), dtype=torch.float64)
    shares[..., padding] = 0
    shares = shares.scatter(-1, target[..., None], 1 - smoothing)
    return (shares * (target != padding)[..., None]).float()


def smoothed_loss(logits, target, smoothing, padding):
    N, word = logits.shape[-1], target != padding
    logs = torch.log_softmax(logits, -1)[word]
    right = logs.gather(-1, target[word][:, None])[:, 0]
    wrong = logs[:, torch.arange(N) != padding].sum(-1) - right
    return (-(1 - smoothing) * right - smoothing / (N - 2) * wrong).mean()


def lowest_loss(n_tokens, smoothing):
    q = torch.tensor([1 - smoothing] + [smoothing / (n_tokens - 2)] * (n_tokens - 2), dtype=torch.float64)
    return -torch.special.xlogy(q, q).sum().item()

# %% schedule
def learning_rate(step, peak, warmup, plateau):
    rising = step / warmup if warmup else 1.0
    return peak * min(rising, 1.0, ((warmup + plateau) / step) ** 0.5)


def paper_peak(width, warmup):
    return warmup * warmup**-1.5 / math.sqrt(width)

# %% beam
def beam_search(log_probs, beam, length, end, alpha):
    live, totals, result = [()], torch.zeros(1, dtype=torch.float64), []
    for _ in range(length):
        table = torch.stack([total + log_probs(tokens) for tokens, total in zip(live, totals)])
        N = table.shape[1]
        best = table.flatten().topk(min(beam - len(result), table.numel()))
        kept = [(live[place // N] + (place % N,), value) for value, place in zip(best.values.tolist(), best.indices.tolist())]
        kept = [(tokens, value) for tokens, value in kept if value > -math.inf]
        result += [pair for pair in kept if pair[0][-1] == end]
        rest = [pair for pair in kept if pair[0][-1] != end]
        if not rest:
            live = []
            break
        live, totals = [tokens for tokens, _ in rest], torch.tensor([value for _, value in rest], dtype=torch.float64)
    if live and live != [()]:
        result += list(zip(live, totals.tolist()))
    scored = [(tokens, total / ((5 + len(tokens)) / 6) ** alpha) for tokens, total in result]
    scored.sort(key=lambda pair: -pair[1])
    return scored

# %% cache
class Kept:
    """What one layer keeps: turned keys, and values."""

    def __init__(self, keys, values):
        self.keys, self.values = keys, values

    def and_then(self, keys, values):
        return Kept(torch.cat([self.keys, keys], 1), torch.cat([self.values, values], 1))


def continue_text(tokens, cache, model):
    n, x, new = len(tokens), model["embed"](tokens), []
    start = cache[0] if cache else 0
    places = start + torch.arange(n)
    for number, layer in enumerate(model["layers"]):
        keys, values = rotate(layer["key"](x), places), layer["value"](x)
        kept = cache[1][number].and_then(keys, values) if cache else Kept(keys, values)
        new.append(kept)
        allowed = torch.ones(1, n, start + n, dtype=torch.bool).tril(start)
        x = layer["finish"](x, attend(rotate(layer["query"](x), places), kept.keys, kept.values, allowed))
    return model["logits"](x), (start + n, new)

# %% nucleus
def nucleus(logits, p):
    shares = torch.softmax(logits.double(), 0)
    likelier = shares[:, None] < shares  # [i, j]: j is likelier than i
    above = (likelier * shares).sum(1)
    return (above < p) & (shares > 0) if p < 1 else ~logits.isneginf()


def draw_token(logits, p, temperature, u):
    keep = nucleus(logits / temperature, p)
    shares = torch.where(keep, torch.softmax(logits.double() / temperature, 0), 0.0)
    sums = shares.cumsum(0) / shares.sum()
    above = (keep & (sums > u)).nonzero().flatten().tolist()
    return above[0] if above else keep.nonzero().flatten().tolist()[-1]

# %% diagnose
def diagnose(block, x, memory, real, memory_real):
    draw = torch.Generator().manual_seed(0)
    shape = x.shape

    def other():
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    def ask(x=x, memory=memory, real=real, memory_real=memory_real):
        return block(x, memory, real, memory_real)

    plain = ask()
    squares = plain.square().mean(-1)
    if (squares - 1).abs().max() < 1e-4:
        return "norm"
    slope = (ask(x=2e5 * x) - ask(x=1e5 * x)) / 1e5
    if (slope - x).abs().max() > 1e-2:
        return "residual"
    order = 1 + torch.randperm(shape[1] - 1, generator=draw)
    order, all_words = torch.cat([torch.zeros(1, dtype=torch.int64), order]), memory_real | True
    exchanged = ask(memory=memory[:, order], memory_real=all_words)
    if (exchanged - ask(memory_real=all_words)).abs().max() > 1e-5:
        return "swapped"
    for n in range(1, shape[1]):
        later = (torch.arange(shape[1]) >= n)[None, :, None]
        if (ask(x=torch.where(later, other(), x)) - plain)[:, :n].abs().max() > 1e-5:
            return "future"
    hidden = ask(x=torch.where(real[..., None], x, other()), memory=torch.where(memory_real[..., None], memory, other()))
    return "padding" if (hidden - plain)[real].abs().max() > 1e-5 else "healthy"
