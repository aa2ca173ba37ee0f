"""Takes the magnitudes to the power as they are: they vanish or overflow."""

FAILS = ["masks-visible", "masks-hidden"]

# %% masks
def voice_masks(voices, hum, exponent):
    everyone = np.concatenate([np.abs(voices), np.broadcast_to(hum[:, None], (1, *voices.shape[1:]))])
    loudest = everyone.max(axis=0)
    powers = (everyone == loudest) * everyone if exponent == np.inf else everyone**exponent
    total = powers.sum(axis=0)
    return powers[:-1] / np.where(total > 0, total, 1.0)


def gain(mixture, voices, masks):
    before = (np.abs(mixture - voices) ** 2).sum(axis=(1, 2))
    after = (np.abs(masks * mixture - voices) ** 2).sum(axis=(1, 2))
    return 10 * np.log10(before / after)
