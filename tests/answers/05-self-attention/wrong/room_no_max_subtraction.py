"""Divides exponentials without subtracting a maximum."""

FAILS = ["room-hidden"]

# %% room
def attend_in_room(score, store, values: Tensor, room: int) -> None:
    """Causal self-attention over values [T, V] with room for so many scores; rows of the output go to `store`."""
    T, start = len(values), 0
    while start < T:
        stop = start + 1
        while stop < T and (stop + 1 - start) * (stop + 1) <= room:
            stop += 1
        future = torch.arange(stop) > torch.arange(start, stop)[:, None]
        weights = score(start, stop, stop).masked_fill(future, -torch.inf).exp()
        weights = weights / weights.sum(dim=-1, keepdim=True)
        store(start, weights @ values[:stop])
        start = stop
