"""Asks for a weight above the threshold."""

FAILS = ["reading-visible", "reading-hidden"]

# %% reading
def read_alignment(weights: Tensor, least: float) -> dict:
    best, largest = weights.argmax(dim=1).tolist(), weights.amax(dim=1).tolist()
    origins = [j if weight > least else None for j, weight in zip(best, largest)]
    known = [j for j in origins if j is not None]
    crossings = sum(j > later for i, j in enumerate(known) for later in known[i + 1 :])
    left_out = [j for j in range(weights.shape[1]) if j not in known]
    return {"origins": origins, "left_out": left_out, "crossings": crossings, "monotone": crossings == 0}
