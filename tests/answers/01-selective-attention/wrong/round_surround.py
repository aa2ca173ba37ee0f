"""Measures distances along the diagonal, so that the corners of a square are too far away."""

FAILS = ["centre-surround-visible", "centre-surround-hidden"]

# %% centre-surround
def on_off(image, centre, surround):
    rows, columns = np.indices(image.shape)
    contrast = np.empty(image.shape)
    for r, c in np.ndindex(image.shape):
        distance = np.hypot(rows - r, columns - c)
        ring = (distance > centre) & (distance <= surround)
        contrast[r, c] = image[distance <= centre].mean() - image[ring].mean()
    return np.maximum(contrast, 0), np.maximum(-contrast, 0)
