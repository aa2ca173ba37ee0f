"""Drops the features that are left over, without a word."""

FAILS = ["heads-visible"]

# %% heads
def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """From [T, B, E] to [H, B, T, D]: every H-th feature to the same head."""
    T, B, E = x.shape
    x = x[..., : E - E % n_heads]
    return x.reshape(T, B, E // n_heads, n_heads).permute(3, 1, 0, 2)


def merge_heads(heads: Tensor) -> Tensor:
    """From [H, B, T, D] back to [T, B, E]."""
    return heads.permute(2, 1, 3, 0).flatten(2)
