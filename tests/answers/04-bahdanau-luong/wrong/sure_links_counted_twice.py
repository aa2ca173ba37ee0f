"""Adds sure and possible links, those in both twice."""

FAILS = ["links-visible", "links-hidden"]

# %% links
def common_links(there: Tensor, back: Tensor) -> set[tuple[int, int]]:
    sources, targets = there.argmax(dim=1).tolist(), back.argmax(dim=1).tolist()
    return {(j, i) for i, j in enumerate(sources) if targets[j] == i}


def error_rates(sentences: list[tuple[set, set, set]]) -> tuple[float, float, float]:
    predicted = sum(len(links) for links, _, _ in sentences)
    wanted = sum(len(sure) for _, sure, _ in sentences)
    found = sum(len(links & sure) for links, sure, _ in sentences)
    allowed = sum(len(links & sure) + len(links & possible) for links, sure, possible in sentences)
    precision = allowed / predicted if predicted else 1.0
    recall = found / wanted if wanted else 1.0
    error = 1 - (found + allowed) / (predicted + wanted) if predicted + wanted else 0.0
    return precision, recall, error
