"""Reads sentence after sentence: right numbers, as many calls as there are words in the batch."""

FAILS = ["encode-hidden"]

# %% encode
def encode(forward_cell, backward_cell, x, mask, width):
    states, summary = x.new_zeros(*mask.shape, 2 * width), x.new_zeros(len(x), 2 * width)
    for b in range(len(x)):
        places = mask[b].nonzero().flatten().tolist()
        for first, cell, order in ((0, forward_cell, places), (width, backward_cell, places[::-1])):
            h = x.new_zeros(1, width)
            for s in order:
                h = cell(x[b, s : s + 1], h)
                states[b, s, first : first + width] = h[0]
            summary[b, first : first + width] = h[0]
    return states, summary
