"""Lets the new disc fade before it was ever in force."""

FAILS = ["scan-visible", "scan-hidden"]

# %% scan
def scan(maps, gains, steps, radius, fade):
    saliency = np.tensordot(gains, maps, axes=1)
    rows, columns = np.indices(saliency.shape)
    inhibition = np.zeros(saliency.shape)
    fixations = []
    for _ in range(steps):
        effective = saliency * (1 - inhibition)
        if effective.max() <= 0:
            break
        row, column = np.unravel_index(effective.argmax(), saliency.shape)
        fixations.append((row, column))
        disc = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        inhibition[disc] = 1.0
        inhibition = fade * inhibition
    return np.array(fixations, dtype=int).reshape(-1, 2)
