"""Takes the operations from the package."""

FAILS = ["limits-visible", "limits-hidden"]
ENFORCED_BY = "grader"

# %% limits
def least_seconds(
    heads: int,
    length: int,
    width: int,
    element_size: int,
    peak: float,
    bandwidth: float,
    causal: bool,
    warm: bool,
) -> float:
    """The least time that attention can take on a card, in seconds."""
    from course_utils.roofline import attention_flops

    computing = attention_flops(length, length, width, heads=heads, causal=causal) / peak
    return computing if warm else max(computing, 4 * length * width * heads * element_size / bandwidth)


def impossible(rows: dict[str, dict], card: dict) -> list[str]:
    """The names of the rows whose times no such card can reach."""
    sizes = ("heads", "length", "width", "element_size")

    def least(row: dict) -> float:
        peak, bandwidth = card["peak"][row["dtype"]], card["bandwidth"]
        return least_seconds(*(row[size] for size in sizes), peak, bandwidth, row["causal"], row["warm"])

    return [name for name, row in rows.items() if row["seconds"] < least(row)]
