"""Finds nothing, ever."""

FAILS = ["diagnose-visible", "diagnose-hidden"]

# %% diagnose
def diagnose(block, x: Tensor, memory: Tensor, real: Tensor, memory_real: Tensor) -> str:
    """Which mistake a decoder block makes."""
    return "healthy"
