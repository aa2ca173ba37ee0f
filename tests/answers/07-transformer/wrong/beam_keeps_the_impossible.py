"""Keeps candidates that have an impossible token."""

FAILS = ["beam-visible", "beam-hidden"]

# %% beam
def beam_search(log_probs, beam: int, length: int, end: int, alpha: float) -> list[tuple[tuple[int, ...], float]]:
    """The hypotheses that a beam of this width finds, and their scores, best first."""
    live, finished = [((), 0.0)], []
    for _ in range(length):
        candidates = [
            ((*tokens, token), total + log)
            for tokens, total in live
            for token, log in enumerate(log_probs(tokens).tolist())
        ]
        candidates.sort(key=lambda each: each[1], reverse=True)
        kept = candidates[: beam - len(finished)]
        finished += [each for each in kept if each[0][-1] == end]
        live = [each for each in kept if each[0][-1] != end]
        if not live:
            break
    result = [(tokens, total / ((5 + len(tokens)) / 6) ** alpha) for tokens, total in finished + live]
    return sorted(result, key=lambda each: each[1], reverse=True)
