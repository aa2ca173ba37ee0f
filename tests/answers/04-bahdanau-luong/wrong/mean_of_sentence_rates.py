"""Takes the mean of the sentences' rates."""

FAILS = ["links-visible", "links-hidden"]

# %% links
def common_links(there: Tensor, back: Tensor) -> set[tuple[int, int]]:
    sources, targets = there.argmax(dim=1).tolist(), back.argmax(dim=1).tolist()
    return {(j, i) for i, j in enumerate(sources) if targets[j] == i}


def rates_of_one(links, sure, possible):
    found, allowed = len(links & sure), len(links & (sure | possible))
    precision = allowed / len(links) if links else 1.0
    recall = found / len(sure) if sure else 1.0
    both = len(links) + len(sure)
    return precision, recall, 1 - (found + allowed) / both if both else 0.0


def error_rates(sentences):
    rates = [rates_of_one(*sentence) for sentence in sentences]
    return tuple(sum(column) / len(column) for column in zip(*rates))
