"""Expects naive"s memory to grow as the length."""

FAILS = ["predictions-hidden"]

# %% predictions
def predictions() -> dict[str, float]:
    """What the formulas say before anything is measured."""
    return {
        "growth of flops": 64,
        "growth of naive bytes": 8,
        "growth of tiled bytes": 8,
        "growth of intensity": 8,
        "flops for the width": 2,
        "naive bytes for the width": 1,
        "naive MiB": 2 * 4096**2 * 4 / 2**20,
        "tiled MiB": 2 * 4 * 4096 * (128 + 64 + 2) / 2**20,
        "longest naive": 32768,
    }
