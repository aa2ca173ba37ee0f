"""Counts a flat top once, however wide it is and wherever it lies."""

FAILS = ["peaks-visible", "peaks-hidden"]

# %% peaks
def promote(maps, top, reach):
    n, height, width = maps.shape
    place = np.broadcast_to(np.arange(height * width).reshape(height, width), maps.shape)
    framed = np.pad(maps, ((0, 0), (reach, reach), (0, 0)), constant_values=-1.0)
    places = np.pad(place, ((0, 0), (reach, reach), (0, 0)))
    peak = maps > 0
    for down in range(2 * reach + 1):
        for right in range(-reach, reach + 1):
            value = np.roll(framed, right, axis=2)[:, down : down + height]
            where = np.roll(places, right, axis=2)[:, down : down + height]
            peak &= ~((value > maps) | ((value == maps) & (where < place)))
    highest = maps.max(axis=(1, 2), keepdims=True)
    scaled = top * maps / np.where(highest > 0, highest, 1.0)
    promoted = np.zeros(maps.shape)
    for i in range(n):
        seen = set()
        for place in zip(*np.nonzero(peak[i])):
            peak[i][place] = place not in seen
            reached = [place]
            while reached:
                r, c = reached.pop()
                if (r, c) in seen:
                    continue
                seen.add((r, c))
                around = [(r + a, (c + b) % width) for a in (-1, 0, 1) for b in (-1, 0, 1) if 0 <= r + a < height]
                reached += [near for near in around if maps[i][near] == maps[i][r, c]]
        others = np.sort(scaled[i][peak[i]])[:-1]
        promoted[i] = scaled[i] * (top - (others.mean() if others.size else 0.0)) ** 2
    return promoted
