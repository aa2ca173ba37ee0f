"""Scores with the state and the coverage only: the words themselves have no say."""

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
    hidden = (state @ state_map.T)[:, None] + coverage[..., None] * coverage_map
    scores = torch.tanh(hidden) @ v
    empty = ~mask.any(dim=1, keepdim=True)
    scores = scores.masked_fill(~mask, -torch.inf).masked_fill(empty, 0.0)
    weights = torch.softmax(scores, dim=1).masked_fill(empty, 0.0)
    return torch.einsum("bs,bsc->bc", weights, memory), weights
