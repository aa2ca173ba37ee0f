"""Asks for gradients, which do not show every leak and are not allowed."""

FAILS = ["leaks-visible", "leaks-hidden"]
ENFORCED_BY = "grader"

# %% leaks
def find_leaks(attention, x: Tensor, tolerance: float) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, where the output at i depends on what x [B, T, E] holds at j."""
    leaf, leaks = x.clone().requires_grad_(), []
    output = attention(leaf)
    T = x.shape[1]
    seen = torch.stack([torch.autograd.grad(output[:, i].square().sum(), leaf, retain_graph=True)[0].abs().amax((0, 2)) for i in range(T)])
    for j in range(1, x.shape[1]):
        moved = seen[:, j] > tolerance
        leaks += [(i, j) for i in range(j) if moved[i]]
    return sorted(leaks)
