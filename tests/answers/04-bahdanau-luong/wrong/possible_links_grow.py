"""Adds the sure links to the set of possible ones that it was given."""

FAILS = ["links-visible"]

# %% links
def common_links(there: Tensor, back: Tensor) -> set[tuple[int, int]]:
    """Links (source position, target position) that weights [T, S] and weights the other way [S, T] agree on."""
    ### BEGIN SOLUTION
    sources, targets = there.argmax(dim=1).tolist(), back.argmax(dim=1).tolist()
    return {(j, i) for i, j in enumerate(sources) if targets[j] == i}
    ### END SOLUTION


def error_rates(sentences: list[tuple[set, set, set]]) -> tuple[float, float, float]:
    """Precision, recall and alignment error rate of a corpus of (links, sure, possible)."""
    ### BEGIN SOLUTION
    predicted = sum(len(links) for links, _, _ in sentences)
    wanted = sum(len(sure) for _, sure, _ in sentences)
    found = sum(len(links & sure) for links, sure, _ in sentences)
    allowed = 0
    for links, sure, possible in sentences:
        possible |= sure
        allowed += len(links & possible)
    precision = allowed / predicted if predicted else 1.0
    recall = found / wanted if wanted else 1.0
    error = 1 - (found + allowed) / (predicted + wanted) if predicted + wanted else 0.0
    return precision, recall, error
    ### END SOLUTION
