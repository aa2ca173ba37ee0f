"""Whole arrays at once: logarithms, running sums, windows, dates of last visits, the Jacobian of the softmax."""

FAILS = []

# %% partial-report
def letters_available(reported, lengths, guess):
    # The correction is linear, so it can wait until the end.
    means = np.array([np.mean(trials) for trials in reported])
    variances = np.array([np.var(trials, ddof=1) / len(trials) for trials in reported])
    estimate = (means.sum() - guess * np.sum(lengths)) / (1 - guess)
    return estimate, np.sqrt(variances.sum()) / (1 - guess)

# %% masks
def voice_masks(voices, hum, exponent):
    everyone = np.vstack([np.abs(voices), np.tile(hum[:, None], (1, 1, voices.shape[2])).reshape(1, *voices.shape[1:])])
    audible = everyone.max(axis=0) > 0
    if exponent == np.inf:
        winners = (everyone == everyone.max(axis=0)) & audible
        return winners[:-1] / np.maximum(winners.sum(axis=0), 1)
    with np.errstate(divide="ignore"):
        logarithms = np.log(np.where(audible, everyone, 1.0))
    odds = np.exp(exponent * (logarithms - logarithms.max(axis=0)))
    return (odds / odds.sum(axis=0) * audible)[:-1]


def gain(mixture, voices, masks):
    wrong = np.stack([mixture - voices, masks * mixture - voices])
    before, after = np.einsum("wsft,wsft->ws", wrong, wrong.conj()).real
    return 10 * (np.log10(before) - np.log10(after))

# %% centre-surround
def on_off(image, centre, surround):
    height, width = image.shape

    def sums(values, radius):
        running = np.zeros((height + 1, width + 1))
        running[1:, 1:] = values.astype(float).cumsum(axis=0).cumsum(axis=1)
        top, bottom = np.maximum(np.arange(height) - radius, 0), np.minimum(np.arange(height) + radius + 1, height)
        left, right = np.maximum(np.arange(width) - radius, 0), np.minimum(np.arange(width) + radius + 1, width)
        across = running[bottom] - running[top]
        return across[:, right] - across[:, left]

    ones = np.ones(image.shape)
    inner, outer = sums(image, centre), sums(image, surround)
    n_inner, n_outer = sums(ones, centre), sums(ones, surround)
    difference = inner / n_inner - (outer - inner) / (n_outer - n_inner)
    return difference * (difference > 0), -difference * (difference < 0)

# %% peaks
def promote(maps, top, reach):
    n, height, width = maps.shape
    place = np.broadcast_to(np.arange(height * width).reshape(height, width), maps.shape)
    framed = np.pad(maps, ((0, 0), (reach, reach), (0, 0)), constant_values=-1.0)
    places = np.pad(place, ((0, 0), (reach, reach), (0, 0)))
    framed, places = (np.pad(a, ((0, 0), (0, 0), (reach, reach)), mode="wrap") for a in (framed, places))
    peak = maps > 0
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            value = framed[:, down : down + height, right : right + width]
            where = places[:, down : down + height, right : right + width]
            peak &= ~((value > maps) | ((value == maps) & (where < place)))
    highest = maps.max(axis=(1, 2), keepdims=True)
    scaled = top * np.divide(maps, highest, out=np.zeros(maps.shape), where=highest > 0)
    number = peak.sum(axis=(1, 2), keepdims=True)
    total = (scaled * peak).sum(axis=(1, 2), keepdims=True)
    mean = np.where(number > 1, (total - top) / np.maximum(number - 1, 1), 0.0)
    return scaled * (top - mean) ** 2

# %% scan
def scan(maps, gains, steps, radius, fade):
    saliency = np.einsum("n,nhw->hw", gains, maps)
    grid = np.stack(np.indices(saliency.shape), axis=-1)
    last = np.full(saliency.shape, -1)
    found = np.zeros((steps, 2), dtype=int)
    for now in range(steps):
        held = np.where(last < 0, 0.0, np.power(float(fade), np.maximum(now - last - 1, 0)))
        effective = (saliency * (1 - held)).ravel()
        winner = int(np.argmax(effective))
        if not effective[winner] > 0:
            return found[:now]
        found[now] = divmod(winner, saliency.shape[1])
        last = np.where(((grid - found[now]) ** 2).sum(axis=-1) <= radius * radius, now, last)
    return found

# %% selection
def softmax_of(scores, temperature):
    odds = np.exp(scores / temperature - np.max(scores / temperature))
    return odds / np.sum(odds)


def soft_select(scores, contents, temperature):
    return contents.T @ softmax_of(scores, temperature)


def soft_slopes(scores, contents, temperature):
    w = softmax_of(scores, temperature)
    return contents.T @ (np.diag(w) - np.outer(w, w)) / temperature


def hard_slopes(scores, contents, step):
    k = len(scores)
    moved = np.concatenate([np.tile(scores, (k, 1)) + sign * step * np.eye(k) for sign in (1, -1)])
    chosen = contents[moved.argmax(axis=1)].T
    return (chosen[:, :k] - chosen[:, k:]) / (2 * step)

# %% looks
def look_gradient(scores, looks, rewards, temperature):
    n, k = len(looks), len(scores)
    weights = np.exp(scores / temperature)
    weights = weights / weights.sum()
    # A triangle of ones below the diagonal sums what came before each look.
    surprise = rewards - np.tri(n, k=-1) @ rewards / np.maximum(np.arange(n), 1)
    earned = np.bincount(looks, weights=surprise, minlength=k)
    return (earned - weights * surprise.sum()) / (n * temperature)
