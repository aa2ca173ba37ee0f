"""Does not look at the dtype."""

FAILS = ["record-visible", "record-hidden"]

# %% record
def table(record: dict, dtype: str, width: int) -> dict[str, dict[int, tuple[float, int]]]:
    """For each implementation and length the median seconds and the peak bytes."""
    found: dict[str, dict[int, tuple[float, int]]] = {}
    for each in record["entries"]:
        length, _, its_width = each["shape"]
        if its_width == width:
            pair = statistics.median(each["seconds"]), each["peak_bytes"]
            found.setdefault(each["implementation"], {})[length] = pair
    return found
