"""Gives back the embedding of the most probable word in place of the mean."""

FAILS = ["decode-visible", "decode-hidden"]

# %% decode
def decode_told(cell, embedding, readout, context, first, target, told):
    h, x, rows = context, embedding[first].expand(len(target), -1), []
    for t in range(target.shape[1]):
        if t > 0:
            share = told[:, t, None]
            own = embedding[rows[-1].argmax(-1)]
            x = share * embedding[target[:, t - 1]] + (1 - share) * own
        h = cell(x, h)
        rows.append((h + context) @ readout.T)
    return torch.stack(rows, dim=1)
