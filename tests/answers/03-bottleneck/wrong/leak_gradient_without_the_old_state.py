"""Differentiates a times c only; forgets that 1 - a depends on a, too."""

FAILS = ["back-through-time-visible", "back-through-time-hidden"]

# %% back-through-time
def back_through_time(start, x, state_map, leak, direct):
    states, new = [start], []
    for x_t in x:
        new.append(torch.tanh(state_map @ states[-1] + x_t))
        states.append((1 - leak) * states[-1] + leak * new[-1])
    grad_state_map, grad_leak = torch.zeros_like(state_map), torch.zeros_like(leak)
    whole, backwards = torch.zeros_like(start), []
    for t in reversed(range(len(x))):
        whole = whole + direct[t]
        backwards.append(whole)
        before_tanh = whole * leak * (1 - new[t] ** 2)
        grad_state_map = grad_state_map + torch.outer(before_tanh, states[t])
        grad_leak = grad_leak + whole * new[t]
        whole = (1 - leak) * whole + before_tanh @ state_map
    return torch.stack([whole, *reversed(backwards)]), grad_state_map, grad_leak
