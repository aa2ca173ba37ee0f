"""Begins the ring beside the pixel, so that it contains the rest of the centre."""

FAILS = ["centre-surround-visible", "centre-surround-hidden"]

# %% centre-surround
def on_off(image, centre, surround):
    rows, columns = np.indices(image.shape)
    contrast = np.empty(image.shape)
    for r, c in np.ndindex(image.shape):
        distance = np.maximum(np.abs(rows - r), np.abs(columns - c))
        ring = (distance > 0) & (distance <= surround)
        contrast[r, c] = image[distance <= centre].mean() - image[ring].mean()
    return np.maximum(contrast, 0), np.maximum(-contrast, 0)
