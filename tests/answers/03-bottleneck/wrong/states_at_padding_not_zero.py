"""Leaves at padding the state that was stepped over it."""

FAILS = ["encode-visible", "encode-hidden"]

# %% encode
def encode(forward_cell, backward_cell, x, mask, width):
    B, S, _ = x.shape
    halves, ends = [], []
    for cell, order in ((forward_cell, range(S)), (backward_cell, reversed(range(S)))):
        h, states = x.new_zeros(B, width), [None] * S
        for s in order:
            here = mask[:, s, None]
            h = torch.where(here, cell(x[:, s], h), h)
            states[s] = h
        halves.append(torch.stack(states, dim=1))
        ends.append(h)
    return torch.cat(halves, dim=-1), torch.cat(ends, dim=-1)
