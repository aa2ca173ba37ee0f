"""Goes on writing in a sentence that has ended, until all have."""

FAILS = ["greedy-visible", "greedy-hidden"]

# %% greedy
def write_greedily(step, state, first, end, limit):
    tokens = torch.full((len(state),), first)
    ended, columns, totals = torch.zeros(len(state), dtype=torch.bool), [], 0.0
    while len(columns) < limit and not ended.all():
        logits, state = step(tokens, state)
        best, tokens = torch.log_softmax(logits, dim=-1).max(dim=-1)
        totals = totals + best
        ended = ended | (tokens == end)
        columns.append(tokens)
    return [[t for t in row if t != end] for row in torch.stack(columns, 1).tolist()], totals
