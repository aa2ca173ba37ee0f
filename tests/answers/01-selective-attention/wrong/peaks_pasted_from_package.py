"""The package's normalisation of one map at a time, with eight neighbours and a floor."""

FAILS = ["peaks-visible", "peaks-hidden"]

# %% peaks
def promote(maps, top, reach):
    promoted = np.zeros(maps.shape)
    for result, feature_map in zip(promoted, maps):
        if feature_map.max() == feature_map.min():
            continue
        stretched = (feature_map - feature_map.min()) / (feature_map.max() - feature_map.min())
        height, width = stretched.shape
        padded = np.pad(stretched, 1, constant_values=-np.inf)
        is_peak = stretched >= 0.1
        for i, j in np.ndindex(3, 3):
            neighbour = padded[i : i + height, j : j + width]
            is_peak &= stretched > neighbour if (i, j) < (1, 1) else stretched >= neighbour
        others = np.sort(stretched[is_peak])[:-1]
        mean = others.mean() if others.size else 0.0
        result[:] = top**3 * stretched * (1 - mean) ** 2
    return promoted
