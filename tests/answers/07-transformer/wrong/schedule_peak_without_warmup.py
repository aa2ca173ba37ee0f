"""The paper's peak without the warm-up."""

FAILS = ["schedule-visible", "schedule-hidden"]

# %% schedule
def learning_rate(step: int, peak: float, warmup: int, plateau: int) -> float:
    """The learning rate of a step, counted from 1: a line up to the peak, a plateau, an inverse root."""
    if step <= warmup:
        return peak * step / warmup
    return peak * min(1.0, math.sqrt((warmup + plateau) / step))


def paper_peak(width: int, warmup: int) -> float:
    """The peak with which the paper's schedule comes out, if there is no plateau."""
    return 1 / math.sqrt(width)
