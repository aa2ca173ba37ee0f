"""Goes by the width of the field of view, as if it had no holes."""

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
    return steps.get(target)


def layers_needed(distance, kernel, dilations):
    reach, layers = 0, 0
    while reach < distance:
        if kernel == 1 or distance % math.gcd(*dilations):
            return None
        reach += (kernel - 1) * dilations[layers % len(dilations)]
        layers += 1
    return layers
