"""Takes the longer one of two references that differ by the same."""

FAILS = ["bleu-visible", "bleu-hidden"]

# %% bleu
def clipped_matches(candidate, references, n):
    def ngrams(words):
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    most = Counter()
    for reference in references:
        most |= ngrams(reference)
    own = ngrams(candidate)
    return (own & most).total(), own.total()


def bleu2(candidates, references):
    matches, totals, closest = [0, 0], [0, 0], 0
    for candidate, its in zip(candidates, references):
        for n in (1, 2):
            found, total = clipped_matches(candidate, its, n)
            matches[n - 1] += found
            totals[n - 1] += total
        closest -= min((abs(len(reference) - len(candidate)), -len(reference)) for reference in its)[1]
    if matches[0] == 0:
        return 0.0
    brevity = min(1.0, math.exp(1 - closest / totals[0]))
    return brevity * math.sqrt(matches[0] / totals[0] * (matches[1] + 1) / (totals[1] + 1))
