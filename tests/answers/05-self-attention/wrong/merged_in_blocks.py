"""Splits by dealing out, but merges one head after the other."""

FAILS = ["heads-visible", "heads-hidden"]

# %% heads
def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """From [T, B, E] to [H, B, T, D]: every H-th feature to the same head."""
    T, B, E = x.shape
    if E % n_heads:
        raise ValueError(f"split_heads: {n_heads} heads do not divide the width {E}")
    return x.reshape(T, B, E // n_heads, n_heads).permute(3, 1, 0, 2)


def merge_heads(heads: Tensor) -> Tensor:
    """From [H, B, T, D] back to [T, B, E]."""
    return heads.permute(2, 1, 0, 3).flatten(2)
