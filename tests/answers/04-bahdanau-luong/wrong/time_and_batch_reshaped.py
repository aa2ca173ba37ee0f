"""Reshapes time first into batch first, which mixes sentences and times."""

FAILS = ["luong-scores-visible", "luong-scores-hidden"]

# %% luong-scores
def dot_scores(states: Tensor, memory: Tensor) -> Tensor:
    forward, backward = memory.chunk(2, dim=-1)
    return states.reshape(states.shape[1], states.shape[0], -1) @ (forward + backward).permute(1, 2, 0)


def general_scores(
    states: Tensor, memory: Tensor, state_map: Tensor, memory_map: Tensor, memory_bias: Tensor
) -> Tensor:
    products = torch.einsum("tbr,sbr->bts", states @ state_map.T, memory @ memory_map.T)
    return products + (memory @ memory_bias).T[:, None]


def concat_scores(states: Tensor, memory: Tensor, weight: Tensor, bias: Tensor, v: Tensor) -> Tensor:
    E = states.shape[-1]
    from_state = (states @ weight[:, :E].T + bias).transpose(0, 1)
    from_memory = (memory @ weight[:, E:].T).transpose(0, 1)
    return torch.tanh(from_state[:, :, None] + from_memory[:, None]) @ v
