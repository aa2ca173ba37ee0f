"""Continues the picture on its other side."""

FAILS = ["centre-surround-visible", "centre-surround-hidden"]

# %% centre-surround
def on_off(image, centre, surround):
    height, width = image.shape
    padded = np.pad(image.astype(float), surround, mode="wrap")

    def total(radius):
        start, stop = surround - radius, surround + radius + 1
        return sum(
            padded[i : i + height, j : j + width] for i in range(start, stop) for j in range(start, stop)
        )

    n_inner, n_outer = (2 * centre + 1) ** 2, (2 * surround + 1) ** 2
    contrast = total(centre) / n_inner - (total(surround) - total(centre)) / (n_outer - n_inner)
    return np.maximum(contrast, 0), np.maximum(-contrast, 0)
