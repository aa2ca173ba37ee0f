"""Counts the things on the way, not the steps."""

FAILS = ["paths-visible", "paths-hidden"]

# %% paths
def rounds(needs):
    ready = []
    for sources in needs:
        ready.append(1 + max(ready[j] for j in sources) if sources else 0)
    return max(ready)


def shortest_path(needs, source, target):
    steps = {source: 0}
    for i in range(source + 1, target + 1):
        reached = [steps[j] for j in needs[i] if j in steps]
        if reached:
            steps[i] = 1 + min(reached)
    return None if target not in steps else 1 + steps[target]


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
