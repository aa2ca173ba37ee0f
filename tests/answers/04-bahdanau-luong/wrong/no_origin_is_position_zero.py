"""Counts a word without an origin as if it came from the first."""

FAILS = ["reading-visible", "reading-hidden"]

# %% reading
def read_alignment(weights: Tensor, least: float) -> dict:
    best, largest = weights.argmax(dim=1).tolist(), weights.amax(dim=1).tolist()
    origins = [j if weight >= least else None for j, weight in zip(best, largest)]
    known = [j or 0 for j in origins]
    crossings = sum(j > later for i, j in enumerate(known) for later in known[i + 1 :])
    left_out = [j for j in range(weights.shape[1]) if j not in origins]
    return {"origins": origins, "left_out": left_out, "crossings": crossings, "monotone": crossings == 0}
