"""With NumPy, classes and helpers; names in another order, tuples and sets instead of lists."""

FAILS = []

# %% timer
def batch_seconds(launch, synchronise, clock, n: int) -> float:
    synchronise()
    synchronise()
    readings = [clock()] + [launch() for _ in range(n)] + [synchronise(), clock()]
    return readings[-1] - readings[0]


def launch_seconds(launch, synchronise, clock, n: int, warmup: int) -> float:
    def run(count):
        synchronise()
        began = clock()
        [launch() for _ in range(count)]
        synchronise()
        return -began + clock()

    [launch() for _ in range(warmup)]
    small = run(n)
    return (run(2 * n) - small) / n

# %% summary
import numpy as np


def summary(samples):
    x = np.sort(np.asarray(samples, dtype=float))
    low, high = x[: len(x) // 2], x[(len(x) + 1) // 2 :]
    lower, median, upper = (float(np.median(each)) for each in (low, x, high))
    return dict(spread=(upper - lower) / median, upper=upper, lower=lower, median=median)


def good_enough(samples, fewest, limit):
    return not len(samples) < fewest and bool(summary(samples)["spread"] <= limit)

# %% rounds
def in_rounds(calls, measure, shuffle, rounds):
    for _, call in calls.items():
        measure(call)
    orders = [shuffle([*calls]) for _ in range(rounds)]
    table = [{name: measure(calls[name]) for name in order} for order in orders]
    return {name: [row[name] for row in table] for name in reversed(calls)}


def relative(samples, baseline):
    import numpy as np

    below = np.array(samples[baseline])
    return {name: float(np.median(np.array(mine) / below)) for name, mine in samples.items()}

# %% sign
def sign_test(first, second, margin):
    signs = [(y > x * (1 + margin)) - (y < x * (1 + margin)) for x, y in zip(first, second)]
    wins, losses = signs.count(1), signs.count(-1)
    n = wins + losses
    return 1 - sum(math.comb(n, k) for k in range(wins)) / 2**n


def verdict(first, second, margin, alpha):
    found = [name for name, pair in {"first": (first, second), "second": (second, first)}.items()
             if sign_test(*pair, margin) <= alpha]
    return found[0] if found else "cannot tell"


def fewest_rounds(alpha):
    import itertools

    return next(n for n in itertools.count(1) if sign_test([1.0] * n, [2.0] * n, 0.0) <= alpha)

# %% cache
import numpy as np


def copies_needed(shapes, element_size, cache_bytes):
    one = element_size * sum(int(np.prod(shape)) for shape in shapes)
    return 1 + (cache_bytes + one - 1) // one


def batches(measure, order, samples):
    times = np.array([measure(order) for _ in range(1 + samples)])
    return (times[1:] / len(order)).tolist()


def cold_seconds(measure, copies, samples):
    return batches(measure, np.arange(copies).tolist(), samples)


def warm_seconds(measure, copies, samples):
    return batches(measure, np.zeros(copies, dtype=int).tolist(), samples)

# %% faults
import numpy as np


class Run:
    """One sample of a trace."""

    def __init__(self, name, seconds, first, warm):
        self.name, self.seconds, self.first, self.warm = name, seconds, first, warm


def unsynchronised(events):
    kinds = "".join(event[0][0] for event in events)  # l, s, c, r
    return "lc" in kinds


def runs(events, copy_bytes, cache_bytes):
    last, seen, sequence, opened, found = {}, set(), [], None, []
    for event in events:
        if event[0] == "launch":
            _, name, copy = event
            warm = copy in last and len(set(sequence[last[copy] + 1 :])) * copy_bytes < cache_bytes
            last[copy] = len(sequence)
            sequence.append(copy)
            if opened is not None:
                opened[1].append((name, name not in seen, warm))
            seen.add(name)
        elif event[0] == "clock" and opened is None:
            opened = (event[1], [])
        elif event[0] == "clock":
            names, first, warm = zip(*opened[1])
            found.append(Run(names[0], (event[1] - opened[0]) / len(names), any(first), any(warm)))
            opened = None
    return found


def faults(trace):
    (_, cache, copy_bytes, cache_bytes), *events = trace
    reports = [event for event in events if event[0] == "report"]
    every = runs(events, copy_bytes, cache_bytes)
    found = ["no synchronise"] if unsynchronised(events) else []
    for _, name, kept, seconds in reports:
        mine = [run for run in every if run.name == name]
        chosen = [mine[number] for number in kept]
        if any(run.first for run in chosen):
            found.append("first call counted")
        if any(run.warm for run in chosen) and cache != "warm":
            found.append("warm cache")
        if len(chosen) < 5 or not np.isclose(seconds, np.median([run.seconds for run in chosen]), rtol=1e-6, atol=0):
            found.append("not the median")
    names = np.array([run.name for run in every]).reshape(-1, len(reports))
    if any(len(np.unique(row)) < len(reports) for row in names):
        found.append("not interleaved")
    return frozenset(found)

# %% limits
def least_seconds(heads, length, width, element_size, peak, bandwidth, causal, warm):
    numbers = 4 * heads * length * width
    seconds = {"bytes": 0 if warm else numbers * element_size / bandwidth,
               "operations": numbers * length * (0.5 if causal else 1.0) / peak}
    return max(seconds.values())


def impossible(rows, card):
    def short(heads, length, width, element_size, dtype, causal, warm, seconds):
        return least_seconds(heads, length, width, element_size, card["peak"][dtype], card["bandwidth"], causal, warm) > seconds

    return {name for name, row in rows.items() if short(**row)}
