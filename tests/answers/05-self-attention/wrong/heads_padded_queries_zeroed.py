"""Gives queries whose own position is padding weights of zero."""

FAILS = ["multi-head-visible", "multi-head-hidden"]

# %% multi-head
def multi_head(
    x: Tensor, packed: Tensor, output_map: Tensor, n_heads: int, width: int, real: Tensor, reach: Tensor
) -> tuple[Tensor, Tensor]:
    """Output [T, B, F] and weights [B, H, T, T] of heads that look back from x [T, B, E], each as far as its reach."""
    ### BEGIN SOLUTION
    T = len(x)
    parts = (x @ packed.T).unflatten(-1, (n_heads, -1))  # [T, B, H, 2D + V]
    query, key, value = parts.split([width, width, parts.shape[-1] - 2 * width], dim=-1)
    scores = torch.einsum("ibhd,jbhd->bhij", query, key) / math.sqrt(width)
    back = torch.arange(T)[:, None] - torch.arange(T)  # how far key j lies behind query i
    allowed = (back >= 0) & (back <= reach[:, None, None]) & real.T[:, None, None, :]
    nothing = ~allowed.any(dim=-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(~(allowed | nothing), -torch.inf), dim=-1)
    weights = weights.masked_fill(nothing | ~real.T[:, None, :, None], 0.0)
    heads = torch.einsum("bhij,jbhv->ibhv", weights, value)
    return heads.flatten(2) @ output_map.T, weights
    ### END SOLUTION
