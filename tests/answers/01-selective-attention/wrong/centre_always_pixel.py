"""Takes the pixel itself for the centre, whatever its radius."""

FAILS = ["centre-surround-visible", "centre-surround-hidden"]

# %% centre-surround
def on_off(image, centre, surround):
    rows, columns = np.indices(image.shape)
    contrast = np.empty(image.shape)
    for r, c in np.ndindex(image.shape):
        distance = np.maximum(np.abs(rows - r), np.abs(columns - c))
        ring = (distance > centre) & (distance <= surround)
        contrast[r, c] = image[distance == 0].mean() - image[ring].mean()
    return np.maximum(contrast, 0), np.maximum(-contrast, 0)
