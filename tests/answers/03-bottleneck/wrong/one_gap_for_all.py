"""Takes the first sentence's gap for the whole batch."""

FAILS = ["clocked-step-visible", "clocked-step-hidden"]

# %% clocked-step
def clocked_gru_step(x, h, gap, input_map, state_map, bias, decay):
    left = torch.exp(-gap[:1, None] * decay) * h
    x_r, x_z, x_n = (x @ input_map.T + bias).chunk(3, dim=1)
    U_r, U_z, U_n = state_map.chunk(3)
    r = torch.sigmoid(x_r + left @ U_r.T)
    z = torch.sigmoid(x_z + left @ U_z.T)
    n = torch.tanh(x_n + (r * left) @ U_n.T)
    return (1 - z) * left + z * n
