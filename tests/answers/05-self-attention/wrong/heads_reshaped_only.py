"""Reshapes without exchanging axes: heads, time and features are mixed up."""

FAILS = ["heads-visible", "heads-hidden"]

# %% heads
def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """From [T, B, E] to [H, B, T, D]: every H-th feature to the same head."""
    T, B, E = x.shape
    if E % n_heads:
        raise ValueError(f"split_heads: {n_heads} heads do not divide the width {E}")
    return x.reshape(n_heads, B, T, E // n_heads)


def merge_heads(heads: Tensor) -> Tensor:
    """From [H, B, T, D] back to [T, B, E]."""
    return heads.reshape(heads.shape[2], heads.shape[1], -1)
