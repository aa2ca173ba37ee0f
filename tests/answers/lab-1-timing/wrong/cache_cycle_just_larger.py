"""Makes the whole cycle larger than the cache."""

FAILS = ["cache-visible", "cache-hidden"]

# %% cache
def copies_needed(shapes: list[tuple[int, ...]], element_size: int, cache_bytes: int) -> int:
    """The smallest number of copies such that all but one of them fill the cache."""
    copy_bytes = element_size * sum(math.prod(shape) for shape in shapes)
    return cache_bytes // copy_bytes + 1


def cold_seconds(measure, copies: int, samples: int) -> list[float]:
    """Seconds of a launch whose data is not in the cache."""
    return [measure(list(range(copies))) / copies for _ in range(samples + 1)][1:]


def warm_seconds(measure, copies: int, samples: int) -> list[float]:
    """Seconds of a launch whose data was used just before."""
    return [measure([0] * copies) / copies for _ in range(samples + 1)][1:]
