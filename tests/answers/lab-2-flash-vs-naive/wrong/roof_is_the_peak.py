"""Compares with the peak where memory is the bound."""

FAILS = ["roof-visible", "roof-hidden"]

# %% roof
def roof(samples: list[float], flops: float, moved: float, peak: float, bandwidth: float) -> dict[str, float | str]:
    """Rate in TFLOP/s, its shares of the peak and of the roof, and what bounds it."""
    rate = flops / (statistics.median(samples) * 1e-3) / 1e12
    sloping = flops / moved * bandwidth * 1e9 / 1e12
    return {
        "rate": rate,
        "share of peak": rate / peak,
        "bound": "compute" if sloping >= peak else "memory",
        "share of roof": rate / peak,
    }
