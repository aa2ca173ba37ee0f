"""Looks for a missing synchronise at the first reading of each sample only."""

FAILS = ["faults-visible", "faults-hidden"]

# %% faults
def faults(trace: list[tuple]) -> set[str]:
    """The names of the faults of a measurement, from its trace."""
    _, promised, copy_bytes, cache_bytes = trace[0]
    found, order, recent, samples = set(), [], [], {}
    began, launches, queued = None, [], False
    for kind, *rest in trace[1:]:
        if kind == "launch":
            name, copy = rest
            since = recent[recent.index(copy) + 1 :] if copy in recent else None
            held = since is not None and len(since) * copy_bytes < cache_bytes
            recent = [each for each in recent if each != copy] + [copy]
            launches.append((held, name not in samples))
            samples.setdefault(name, [])
            queued = True
        elif kind == "synchronise":
            queued = False
        elif kind == "clock":
            found |= {"no synchronise"} if queued and began is None else set()
            if began is None:
                began, launches = rest[0], []
            else:
                seconds = (rest[0] - began) / len(launches)
                held, first = (any(flags) for flags in zip(*launches, strict=True))
                samples[name].append((seconds, held, first))
                order.append(name)
                began = None
        else:
            candidate, kept, claimed = rest
            seconds, held, first = zip(*(samples[candidate][number] for number in kept), strict=True)
            median = statistics.median(seconds)
            if len(kept) < 5 or abs(claimed - median) > 1e-6 * median:
                found.add("not the median")
            if promised == "cold" and any(held):
                found.add("warm cache")
            if any(first):
                found.add("first call counted")
    n = len(samples)
    if any(len(set(order[place : place + n])) < n for place in range(0, len(order), n)):
        found.add("not interleaved")
    return found
