"""Uses the list of dilations up and stops."""

FAILS = ["paths-visible", "paths-hidden"]

# %% paths
def rounds(needs, workers):
    there = {i for i, sources in enumerate(needs) if not sources}
    number = 0
    while len(there) < len(needs):
        ready = [i for i, sources in enumerate(needs) if i not in there and there.issuperset(sources)]
        there.update(ready[:workers])
        number += 1
    return number


def shortest_path(needs, source, target):
    steps, ways = {source: 0}, {source: 1}
    for i in range(source + 1, target + 1):
        reached = [j for j in needs[i] if j in steps]
        if reached:
            steps[i] = 1 + min(steps[j] for j in reached)
            ways[i] = sum(ways[j] for j in reached if steps[j] + 1 == steps[i])
    return (steps[target], ways[target]) if target in steps else None


def layers_needed(distance, kernel, dilations):
    seen, layers = {0}, 0
    while distance not in seen:
        before = len(seen)
        for dilation in dilations:
            layers += 1
            seen = {d + j * dilation for d in seen for j in range(kernel) if d + j * dilation <= distance}
            if distance in seen:
                return layers
        return None
    return layers
