"""The package's own splitting, batch first, heads in blocks."""

FAILS = ["heads-visible", "heads-hidden"]

# %% heads
def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """From [T, B, E] to [H, B, T, D]: every H-th feature to the same head."""
    T, B, E = x.shape
    if E % n_heads:
        raise ValueError(f"split_heads: {n_heads} heads do not divide the width {E}")
    return x.unflatten(-1, (n_heads, -1)).transpose(-3, -2)


def merge_heads(heads: Tensor) -> Tensor:
    """From [H, B, T, D] back to [T, B, E]."""
    return heads.transpose(-3, -2).flatten(-2)
