"""Leaves the end token out of the log-probability."""

FAILS = ["greedy-visible", "greedy-hidden"]

# %% greedy
def write_greedily(step, state, first, end, limit):
    B = len(state)
    sentences, totals = [[] for _ in range(B)], [0.0] * B
    writing, tokens = list(range(B)), torch.full((B,), first)
    for _ in range(limit):
        logits, state = step(tokens, state)
        best, tokens = torch.log_softmax(logits, dim=-1).max(dim=-1)
        for b, token, log_probability in zip(writing, tokens.tolist(), best.tolist()):
            if token != end:
                totals[b] += log_probability
                sentences[b].append(token)
        go_on = tokens != end
        if not go_on.any():
            break
        writing = [b for b, goes_on in zip(writing, go_on.tolist()) if goes_on]
        tokens, state = tokens[go_on], state[go_on]
    return sentences, torch.tensor(totals)
