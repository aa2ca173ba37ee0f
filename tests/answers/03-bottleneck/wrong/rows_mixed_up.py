"""Forgets which sentence a row belongs to, once one has ended."""

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
            totals[b] += log_probability
            if token != end:
                sentences[b].append(token)
        go_on = tokens != end
        if not go_on.any():
            break
        tokens, state = tokens[go_on], state[go_on]
    return sentences, torch.tensor(totals)
