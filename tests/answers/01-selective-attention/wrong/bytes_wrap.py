"""Adds pixels up in the picture's own type, in which 250 + 10 is 4."""

FAILS = ["centre-surround-hidden"]

# %% centre-surround
def on_off(image, centre, surround):
    height, width = image.shape
    contrast = np.zeros((height, width))
    for r, c in np.ndindex(height, width):
        sums, counts = [], []
        for radius in (centre, surround):
            square = image[max(0, r - radius) : r + radius + 1, max(0, c - radius) : c + radius + 1]
            sums.append(square.sum(dtype=image.dtype))
            counts.append(square.size)
        contrast[r, c] = sums[0] / counts[0] - (float(sums[1]) - float(sums[0])) / (counts[1] - counts[0])
    return np.maximum(contrast, 0), np.maximum(-contrast, 0)
