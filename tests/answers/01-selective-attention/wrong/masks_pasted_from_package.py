"""The package's ratio mask, which knows no hum."""

FAILS = ["masks-visible", "masks-hidden"]

# %% masks
def voice_masks(voices, hum, exponent):
    magnitude = np.abs(voices)
    loudest = np.broadcast_to(magnitude.max(axis=0), magnitude.shape)
    relative = np.divide(magnitude, loudest, out=np.ones_like(magnitude), where=loudest > 0)
    shares = relative**exponent
    return shares / shares.sum(axis=0)


def gain(mixture, voices, masks):
    before = (np.abs(mixture - voices) ** 2).sum(axis=(1, 2))
    after = (np.abs(masks * mixture - voices) ** 2).sum(axis=(1, 2))
    return 10 * np.log10(before / after)
