"""Reads off the largest length, which on a GPU is not 4096."""

FAILS = ["findings-hidden"]

# %% findings
def findings(record: dict) -> dict[str, float | str]:
    """What a record says about naive, tiled and the others."""
    time: dict[tuple[str, int, int], float] = {}
    peak: dict[tuple[str, int, int], int] = {}
    for each in record["entries"]:
        if each["dtype"] == "float32":
            key = each["implementation"], each["shape"][2], each["shape"][0]
            time[key], peak[key] = statistics.median(each["seconds"]), each["peak_bytes"]

    def slope(values, implementation):
        chosen = [(math.log(n), math.log(v)) for (name, d, n), v in values.items() if (name, d) == (implementation, 64)]
        return statistics.linear_regression(*zip(*chosen, strict=True)).slope

    last = max(length for _, _, length in time)
    rivals = sorted(name for name, width, length in time if (width, length) == (64, last))
    return {
        "fastest": min(rivals, key=lambda name: time[name, 64, last]),
        "leanest": min(rivals, key=lambda name: peak[name, 64, last]),
        "slope of naive's time": slope(time, "naive"),
        "slope of naive's memory": slope(peak, "naive"),
        "slope of tiled's memory": slope(peak, "tiled"),
        "memory ratio": peak["naive", 64, 4096] / peak["tiled", 64, 4096],
        "time ratio": time["tiled", 64, 4096] / time["naive", 64, 4096],
        "width ratio": time["naive", 128, 4096] / time["naive", 64, 4096],
    }
