"""Adds -inf, and replaces the NaN of an empty row after the softmax; its gradient stays NaN."""

FAILS = ["additive-visible", "additive-hidden"]

# %% additive
def additive_attention(
    state: Tensor,
    memory: Tensor,
    mask: Tensor,
    coverage: Tensor,
    state_map: Tensor,
    memory_map: Tensor,
    coverage_map: Tensor,
    v: Tensor,
) -> tuple[Tensor, Tensor]:
    hidden = (state @ state_map.T)[:, None] + memory @ memory_map.T + coverage[..., None] * coverage_map
    scores = torch.tanh(hidden) @ v
    empty = ~mask.any(dim=1, keepdim=True)
    scores = scores + torch.where(mask, 0.0, -torch.inf)
    weights = torch.softmax(scores, dim=1).nan_to_num()
    return torch.einsum("bs,bsc->bc", weights, memory), weights
