"""Lets PyTorch's cell compute the reset gate's part, which is forbidden."""

FAILS = ["clocked-step-visible", "clocked-step-hidden"]
ENFORCED_BY = "grader"

# %% clocked-step
def clocked_gru_step(x, h, gap, input_map, state_map, bias, decay):
    left = torch.exp(-gap[:, None] * decay) * h
    E = h.shape[1]
    reset = [torch.cat([torch.zeros_like(a[:E]), a[:E], torch.zeros_like(a[:E])]) for a in (input_map, state_map, bias)]
    kept = torch.gru_cell(x, left, *reset, torch.zeros_like(bias))  # its update gate is our reset gate, its candidate 0
    z = torch.sigmoid(x @ input_map[E : 2 * E].T + left @ state_map[E : 2 * E].T + bias[E : 2 * E])
    n = torch.tanh(x @ input_map[2 * E :].T + kept @ state_map[2 * E :].T + bias[2 * E :])
    return (1 - z) * left + z * n
