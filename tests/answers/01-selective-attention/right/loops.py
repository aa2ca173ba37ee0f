"""Plain Python loops over rows, cells and pixels, slow and careful."""

FAILS = []

# %% partial-report
def letters_available(reported, lengths, guess):
    total, squared_errors = 0.0, []
    for trials, length in zip(reported, lengths):
        held = [(int(right) - guess * int(length)) / (1 - guess) for right in trials]
        mean = sum(held) / len(held)
        deviations = sum((each - mean) ** 2 for each in held)
        total += mean
        squared_errors.append(deviations / (len(held) - 1) / len(held))
    return total, sum(squared_errors) ** 0.5

# %% masks
def voice_masks(voices, hum, exponent):
    n_voices, n_frequencies, n_times = voices.shape
    masks = np.zeros((n_voices, n_frequencies, n_times))
    for f in range(n_frequencies):
        for t in range(n_times):
            heard = [float(abs(voices[s, f, t])) for s in range(n_voices)] + [float(hum[f])]
            loudest = max(heard)
            if loudest == 0:
                continue
            parts = [(each / loudest) ** exponent for each in heard]
            masks[:, f, t] = np.array(parts[:-1]) / sum(parts)
    return masks


def gain(mixture, voices, masks):
    def decibels(target, estimate):
        noise = estimate - target
        return 10 * math.log10(np.vdot(target, target).real / np.vdot(noise, noise).real)

    return np.array([decibels(v, m * mixture) - decibels(v, mixture) for v, m in zip(voices, masks)])

# %% centre-surround
def on_off(image, centre, surround):
    height, width = image.shape
    on, off = np.zeros((height, width)), np.zeros((height, width))
    for r in range(height):
        for c in range(width):
            inner, ring = [], []
            for i in range(max(0, r - surround), min(height, r + surround + 1)):
                for j in range(max(0, c - surround), min(width, c + surround + 1)):
                    near = max(abs(i - r), abs(j - c)) <= centre
                    (inner if near else ring).append(float(image[i, j]))
            difference = sum(inner) / len(inner) - sum(ring) / len(ring)
            if difference > 0:
                on[r, c] = difference
            else:
                off[r, c] = -difference
    return on, off

# %% peaks
def promote(maps, top, reach):
    def is_peak(picture, r, c):
        height, width = picture.shape
        if picture[r, c] <= 0:
            return False
        for i in range(max(0, r - reach), min(height, r + reach + 1)):
            for j in range(c - reach, c + reach + 1):
                place = (i, j % width)
                if picture[place] > picture[r, c]:
                    return False
                if picture[place] == picture[r, c] and place < (r, c):
                    return False
        return True

    results = []
    for picture in maps:
        highest = picture.max()
        if highest == 0:
            results.append(np.zeros(picture.shape))
            continue
        scaled = picture / highest * top
        heights = [scaled[place] for place in np.ndindex(picture.shape) if is_peak(picture, *place)]
        heights.remove(max(heights))
        mean = sum(heights) / len(heights) if heights else 0
        results.append(scaled * (top - mean) ** 2)
    return np.array(results)

# %% scan
def scan(maps, gains, steps, radius, fade):
    saliency = sum(float(gain) * each for gain, each in zip(gains, maps))
    height, width = saliency.shape
    inhibition = [[0.0] * width for _ in range(height)]
    fixations = []
    while len(fixations) < steps:
        best, winner = 0.0, None
        for r in range(height):
            for c in range(width):
                effective = saliency[r, c] * (1 - inhibition[r][c])
                if effective > best:
                    best, winner = effective, (r, c)
        if winner is None:
            break
        fixations.append(winner)
        for r in range(height):
            for c in range(width):
                inhibition[r][c] *= fade
                if (r - winner[0]) ** 2 + (c - winner[1]) ** 2 <= radius**2:
                    inhibition[r][c] = 1.0
    return np.array(fixations, dtype=np.int64) if fixations else np.zeros((0, 2), dtype=np.int64)

# %% selection
def soft_select(scores, contents, temperature):
    odds = [math.exp((s - max(scores)) / temperature) for s in scores]
    return np.array([sum(o * v for o, v in zip(odds, column)) / sum(odds) for column in contents.T])


def soft_slopes(scores, contents, temperature):
    answer = soft_select(scores, contents, temperature)
    odds = [math.exp((s - max(scores)) / temperature) for s in scores]
    slopes = np.zeros((contents.shape[1], len(scores)))
    for v in range(contents.shape[1]):
        for k in range(len(scores)):
            slopes[v, k] = odds[k] / sum(odds) * (contents[k, v] - answer[v]) / temperature
    return slopes


def hard_slopes(scores, contents, step):
    def hard(values):
        return contents[max(range(len(values)), key=lambda i: values[i])]

    columns = []
    for k in range(len(scores)):
        up, down = list(scores), list(scores)
        up[k] += step
        down[k] -= step
        columns.append((hard(up) - hard(down)) / (2 * step))
    return np.stack(columns, axis=1)

# %% looks
def look_gradient(scores, looks, rewards, temperature):
    odds = [math.exp(s / temperature) for s in scores]
    n = len(looks)
    gradient = np.zeros(len(scores))
    for i in range(n):
        reference = sum(rewards[:i]) / i if i > 0 else 0.0
        for k in range(len(scores)):
            slope = (float(k == looks[i]) - odds[k] / sum(odds)) / temperature
            gradient[k] += (rewards[i] - reference) * slope / n
    return gradient
