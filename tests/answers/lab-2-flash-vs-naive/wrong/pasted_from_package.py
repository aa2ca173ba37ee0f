"""Uses the package"s partial softmax and its merging."""

FAILS = ["tiled-visible", "tiled-hidden"]
ENFORCED_BY = "grader"

# %% tiled
from course_utils.flash import merge_softmax, partial_softmax


def absorb(state, queries, keys, values):
    kind = torch.promote_types(queries.dtype, torch.float32)
    q, k, v = (each.to(kind).transpose(0, 1) for each in (queries, keys, values))
    new = tuple(partial_softmax(q @ k.mT / math.sqrt(q.shape[-1]), v))
    if state is None:
        return new
    kind = type(partial_softmax(q @ k.mT, v))
    return tuple(merge_softmax(kind(*state), kind(*new)))


def finish(state):
    return (state[2] / state[1][..., None]).transpose(0, 1)
