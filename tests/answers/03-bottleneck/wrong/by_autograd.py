"""Lets automatic differentiation do the work, which this problem forbids."""

FAILS = ["back-through-time-visible", "back-through-time-hidden"]
ENFORCED_BY = "grader"

# %% back-through-time
def back_through_time(start, x, state_map, leak, direct):
    zeros = torch.zeros(len(x) + 1, len(start), dtype=x.dtype, requires_grad=True)
    state_map, leak = state_map.clone().requires_grad_(), leak.clone().requires_grad_()
    h, loss = start + zeros[0], 0.0
    for t in range(len(x)):
        h = (1 - leak) * h + leak * torch.tanh(state_map @ h + x[t]) + zeros[t + 1]
        loss = loss + (direct[t] * h).sum()
    return torch.autograd.grad(loss, [zeros, state_map, leak])
