"""Takes only the outermost pixels of the ring."""

FAILS = ["centre-surround-visible", "centre-surround-hidden"]

# %% centre-surround
def on_off(image, centre, surround):
    rows, columns = np.indices(image.shape)
    contrast = np.empty(image.shape)
    for r, c in np.ndindex(image.shape):
        distance = np.maximum(np.abs(rows - r), np.abs(columns - c))
        ring = distance == min(surround, distance.max())
        contrast[r, c] = image[distance <= centre].mean() - image[ring].mean()
    return np.maximum(contrast, 0), np.maximum(-contrast, 0)
