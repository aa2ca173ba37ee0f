"""Says None as soon as one layer adds nothing, though the next one might."""

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
    seen, layers = {0}, 0
    while distance not in seen:
        dilation = dilations[layers % len(dilations)]
        wider = {d + j * dilation for d in seen for j in range(kernel) if d + j * dilation <= distance}
        if wider == seen:
            return None
        seen, layers = wider, layers + 1
    return layers
