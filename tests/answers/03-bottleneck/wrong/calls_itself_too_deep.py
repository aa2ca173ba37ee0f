"""A function that calls itself once per thing: too deep for a chain of thousands."""

FAILS = ["paths-hidden"]

# %% paths
def rounds(needs):
    known = {}

    def ready(i):
        if i not in known:
            known[i] = 1 + max(map(ready, needs[i])) if needs[i] else 0
        return known[i]

    return max(ready(i) for i in reversed(range(len(needs))))


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
