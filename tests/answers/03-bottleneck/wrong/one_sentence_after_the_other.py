"""Writes sentence by sentence: right rows, but many more calls."""

FAILS = ["greedy-visible", "greedy-hidden"]

# %% greedy
def write_greedily(step, state, first, end, limit):
    sentences, totals = [], []
    for row in state.split(1):
        words, total, token = [], 0.0, first
        for _ in range(limit):
            logits, row = step(torch.tensor([token]), row)
            best, token = (a.item() for a in torch.log_softmax(logits[0], 0).max(0))
            total += best
            if token == end:
                break
            words.append(token)
        sentences.append(words)
        totals.append(total)
    return sentences, torch.tensor(totals)
