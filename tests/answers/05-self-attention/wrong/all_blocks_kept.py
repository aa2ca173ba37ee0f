"""Gathers all blocks before it stores anything: together they are the table."""

FAILS = ["room-visible", "room-hidden"]

# %% room
def attend_in_room(score, store, values, room):
    blocks, start, T = [], 0, len(values)
    while start < T:
        stop = start + 1
        while stop < T and (stop + 1 - start) * (stop + 1) <= room:
            stop += 1
        blocks.append((start, score(start, stop, stop)))
        start = stop
    for start, scores in blocks:
        stop = scores.shape[1]
        future = torch.arange(stop) > torch.arange(start, stop)[:, None]
        store(start, torch.softmax(scores.masked_fill(future, -torch.inf), dim=-1) @ values[:stop])
