"""Adds neighbouring numbers of the memory, not its two halves."""

FAILS = ["luong-scores-visible", "luong-scores-hidden"]

# %% luong-scores
def dot_scores(states: Tensor, memory: Tensor) -> Tensor:
    """Scores [B, T, S] of states [T, B, E] with a memory of two halves [S, B, 2E]."""
    ### BEGIN SOLUTION
    forward, backward = memory[..., ::2], memory[..., 1::2]
    return torch.einsum("tbe,sbe->bts", states, forward + backward)
    ### END SOLUTION


def general_scores(
    states: Tensor, memory: Tensor, state_map: Tensor, memory_map: Tensor, memory_bias: Tensor
) -> Tensor:
    """Scores [B, T, S] of states [T, B, E] with a memory [S, B, C], by two maps of rank R and a bias."""
    ### BEGIN SOLUTION
    products = torch.einsum("tbr,sbr->bts", states @ state_map.T, memory @ memory_map.T)
    return products + (memory @ memory_bias).T[:, None]
    ### END SOLUTION


def concat_scores(states: Tensor, memory: Tensor, weight: Tensor, bias: Tensor, v: Tensor) -> Tensor:
    """Scores [B, T, S] of states [T, B, E] with a memory [S, B, C], by one hidden layer over both."""
    ### BEGIN SOLUTION
    E = states.shape[-1]
    from_state = (states @ weight[:, :E].T + bias).transpose(0, 1)
    from_memory = (memory @ weight[:, E:].T).transpose(0, 1)
    return torch.tanh(from_state[:, :, None] + from_memory[:, None]) @ v
    ### END SOLUTION
