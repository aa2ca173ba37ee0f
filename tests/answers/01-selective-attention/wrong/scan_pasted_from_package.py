"""The package's winner-take-all, which does not recover and ends when no pixel is left."""

FAILS = ["scan-visible", "scan-hidden"]

# %% scan
def scan(maps, gains, steps, radius, fade):
    remaining = np.tensordot(gains, maps, axes=1)
    row, column = np.indices(remaining.shape)
    fixations = []
    while len(fixations) < steps and np.isfinite(remaining).any():
        i, j = np.unravel_index(remaining.argmax(), remaining.shape)
        fixations.append((int(i), int(j)))
        remaining[(row - i) ** 2 + (column - j) ** 2 <= radius**2] = -np.inf
    return np.array(fixations, dtype=int).reshape(-1, 2)
