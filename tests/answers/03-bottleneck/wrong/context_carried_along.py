"""Adds the context to the state that goes on to the next step, too."""

FAILS = ["decode-visible", "decode-hidden"]

# %% decode
def decode_told(cell, embedding, readout, context, first, target, told):
    h, x, rows = context, embedding[first].expand(len(target), -1), []
    for t in range(target.shape[1]):
        if t > 0:
            share = told[:, t, None]
            own = torch.softmax(rows[-1], dim=-1) @ embedding
            x = share * embedding[target[:, t - 1]] + (1 - share) * own
        h = cell(x, h) + context
        rows.append(h @ readout.T)
    return torch.stack(rows, dim=1)
