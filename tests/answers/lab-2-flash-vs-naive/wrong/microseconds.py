"""Takes the samples for microseconds."""

FAILS = ["roof-visible", "roof-hidden"]

# %% roof
def roof(samples: list[float], flops: float, moved: float, peak: float, bandwidth: float) -> dict[str, float | str]:
    """Rate in TFLOP/s, its shares of the peak and of the roof, and what bounds it."""
    rate = flops / (statistics.median(samples) * 1e-6) / 1e12
    sloping = flops / moved * bandwidth * 1e9 / 1e12
    return {
        "rate": rate,
        "share of peak": rate / peak,
        "bound": "compute" if sloping >= peak else "memory",
        "share of roof": rate / min(peak, sloping),
    }
