"""Takes blocks of equal size and leaves out what does not fill the last."""

FAILS = ["room-visible", "room-hidden"]

# %% room
def attend_in_room(score, store, values, room):
    T = len(values)
    size = room // T
    for start in range(0, T - size + 1, size):
        stop = start + size
        future = torch.arange(stop) > torch.arange(start, stop)[:, None]
        store(start, torch.softmax(score(start, stop, stop).masked_fill(future, -torch.inf), dim=-1) @ values[:stop])
