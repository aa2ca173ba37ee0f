"""Draws the mask of each block from its own corner."""

FAILS = ["room-visible", "room-hidden"]

# %% room
def attend_in_room(score, store, values: Tensor, room: int) -> None:
    """Causal self-attention over values [T, V] with room for so many scores; rows of the output go to `store`."""
    T, start = len(values), 0
    while start < T:
        stop = start + 1
        while stop < T and (stop + 1 - start) * (stop + 1) <= room:
            stop += 1
        future = torch.ones(stop - start, stop, dtype=torch.bool).triu(1)
        weights = torch.softmax(score(start, stop, stop).masked_fill(future, -torch.inf), dim=-1)
        store(start, weights @ values[:stop])
        start = stop
