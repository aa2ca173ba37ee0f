"""As a student: sentence by sentence, with loops, and nothing but the standard library."""

FAILS = []

# %% timer
def batch_seconds(launch, synchronise, clock, n):
    synchronise()
    t0 = clock()
    for i in range(n):
        launch()
    synchronise()
    t1 = clock()
    return t1 - t0


def launch_seconds(launch, synchronise, clock, n, warmup):
    for i in range(warmup):
        launch()
    synchronise()
    T1 = batch_seconds(launch, synchronise, clock, n)
    T2 = batch_seconds(launch, synchronise, clock, 2 * n)
    return (T2 - T1) / n

# %% summary
def med(x):
    x = sorted(x)
    n = len(x)
    if n % 2 == 1:
        return x[n // 2]
    return (x[n // 2 - 1] + x[n // 2]) / 2


def summary(samples):
    x = sorted(samples)
    n = len(x)
    lower = x[: n // 2]
    if n % 2 == 0:
        upper = x[n // 2 :]
    else:
        upper = x[n // 2 + 1 :]
    d = {}
    d["median"] = med(x)
    d["lower"] = med(lower)
    d["upper"] = med(upper)
    d["spread"] = (d["upper"] - d["lower"]) / d["median"]
    return d


def good_enough(samples, fewest, limit):
    if len(samples) < fewest:
        return False
    if summary(samples)["spread"] > limit:
        return False
    return True

# %% rounds
def in_rounds(calls, measure, shuffle, rounds):
    names = list(calls.keys())
    for name in names:
        measure(calls[name])
    out = {}
    for name in names:
        out[name] = []
    for r in range(rounds):
        order = shuffle(names)
        for name in order:
            t = measure(calls[name])
            out[name].append(t)
    return out


def relative(samples, baseline):
    import statistics

    base = samples[baseline]
    out = {}
    for name in samples:
        r = []
        for i in range(len(base)):
            r.append(samples[name][i] / base[i])
        out[name] = statistics.median(r)
    return out

# %% sign
def sign_test(first, second, margin):
    w = 0
    n = 0
    for i in range(len(first)):
        x = first[i] * (1 + margin)
        y = second[i]
        if x < y:
            w += 1
            n += 1
        elif x > y:
            n += 1
    total = 0
    for k in range(w, n + 1):
        total += math.comb(n, k)
    return total / 2**n


def verdict(first, second, margin, alpha):
    p1 = sign_test(first, second, margin)
    p2 = sign_test(second, first, margin)
    if p2 <= alpha:
        return "second"
    elif p1 <= alpha:
        return "first"
    else:
        return "cannot tell"


def fewest_rounds(alpha):
    return math.ceil(-math.log2(alpha))

# %% cache
def copies_needed(shapes, element_size, cache_bytes):
    total = 0
    for shape in shapes:
        numbers = 1
        for s in shape:
            numbers *= s
        total += numbers * element_size
    copies = 1
    while (copies - 1) * total < cache_bytes:
        copies += 1
    return copies


def cold_seconds(measure, copies, samples):
    out = []
    for i in range(samples + 1):
        order = [c for c in range(copies)]
        t = measure(order)
        if i > 0:
            out.append(t / copies)
    return out


def warm_seconds(measure, copies, samples):
    measure([0 for c in range(copies)])
    out = []
    for i in range(samples):
        out.append(measure([0 for c in range(copies)]) / copies)
    return out

# %% faults
def faults(trace):
    result = set()
    promise = trace[0]
    # 1: no synchronise
    pending = False
    for e in trace:
        if e[0] == "launch":
            pending = True
        if e[0] == "synchronise":
            pending = False
        if e[0] == "clock" and pending:
            result.add("no synchronise")
    # find the samples: (name, number, seconds, positions of its launches)
    clocks = [i for i in range(len(trace)) if trace[i][0] == "clock"]
    samples = []
    count = {}
    for j in range(0, len(clocks), 2):
        a = clocks[j]
        b = clocks[j + 1]
        positions = [i for i in range(a, b) if trace[i][0] == "launch"]
        name = trace[positions[0]][1]
        number = count.get(name, 0)
        count[name] = number + 1
        samples.append((name, number, (trace[b][1] - trace[a][1]) / len(positions), positions))
    reports = [e for e in trace if e[0] == "report"]
    for _, name, kept, seconds in reports:
        mine = [s for s in samples if s[0] == name and s[1] in kept]
        # 2
        first = min(i for i in range(len(trace)) if trace[i][0] == "launch" and trace[i][1] == name)
        for s in mine:
            if first in s[3]:
                result.add("first call counted")
        # 3
        values = sorted(s[2] for s in mine)
        m = (values[len(values) // 2] + values[(len(values) - 1) // 2]) / 2
        if len(values) < 5 or abs(seconds - m) > 1e-6 * m:
            result.add("not the median")
        # 5
        if promise[1] == "cold":
            for s in mine:
                for i in s[3]:
                    copy = trace[i][2]
                    j = i - 1
                    others = set()
                    while j > 0 and not (trace[j][0] == "launch" and trace[j][2] == copy):
                        if trace[j][0] == "launch":
                            others.add(trace[j][2])
                        j -= 1
                    if j > 0 and len(others) * promise[2] < promise[3]:
                        result.add("warm cache")
    # 4
    c = len(reports)
    names = [s[0] for s in samples]
    for i in range(0, len(names), c):
        if len(set(names[i : i + c])) != c:
            result.add("not interleaved")
    return result

# %% limits
def least_seconds(heads, length, width, element_size, peak, bandwidth, causal, warm):
    F = 4 * length * length * width * heads
    if causal:
        F = F / 2
    B = 4 * length * width * heads * element_size
    if warm:
        return F / peak
    return max(F / peak, B / bandwidth)


def impossible(rows, card):
    out = []
    for name in rows:
        row = rows[name]
        t = least_seconds(
            row["heads"], row["length"], row["width"], row["element_size"],
            card["peak"][row["dtype"]], card["bandwidth"], row["causal"], row["warm"],
        )
        if row["seconds"] < t:
            out.append(name)
    return out
