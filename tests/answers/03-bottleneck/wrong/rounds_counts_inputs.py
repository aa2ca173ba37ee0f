"""Counts the round in which the inputs are there."""

FAILS = ["paths-visible", "paths-hidden"]

# %% paths
def rounds(needs):
    ready = []
    for sources in needs:
        ready.append(1 + max(ready[j] for j in sources) if sources else 1)
    return max(ready)


def shortest_path(needs, source, target):
    steps = {source: 0}
    for i in range(source + 1, target + 1):
        reached = [steps[j] for j in needs[i] if j in steps]
        if reached:
            steps[i] = 1 + min(reached)
    return steps.get(target)


def layers_needed(distance, kernel, dilations):
    seen, layers = {0}, 0
    while distance not in seen:
        before = len(seen)
        for dilation in dilations:
            layers += 1
            seen = {d + j * dilation for d in seen for j in range(kernel) if d + j * dilation <= distance}
            if distance in seen:
                return layers
        if len(seen) == before:
            return None
    return layers
