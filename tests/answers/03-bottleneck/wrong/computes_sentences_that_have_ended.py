"""The usual batched loop: right sentences, but all rows are computed until the last has ended."""

FAILS = ["greedy-visible", "greedy-hidden"]

# %% greedy
def write_greedily(step, state, first, end, limit):
    tokens = torch.full((len(state),), first)
    ended, columns, totals = torch.zeros(len(state), dtype=torch.bool), [], torch.zeros(len(state))
    while len(columns) < limit and not ended.all():
        logits, state = step(tokens, state)
        best, tokens = torch.log_softmax(logits, dim=-1).max(dim=-1)
        totals = totals + best.masked_fill(ended, 0.0)
        tokens = tokens.masked_fill(ended, end)
        ended = ended | (tokens == end)
        columns.append(tokens)
    return [[t for t in row if t != end] for row in torch.stack(columns, 1).tolist()], totals
