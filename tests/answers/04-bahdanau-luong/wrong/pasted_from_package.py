"""Calls the package's score, with the coverage as one more number of the memory."""

FAILS = ["additive-visible", "additive-hidden"]
ENFORCED_BY = "grader"

# %% additive
def additive_attention(state, memory, mask, coverage, state_map, memory_map, coverage_map, v):
    from course_utils.attention import attend
    from course_utils.scores import additive_score

    keys = torch.cat([memory, coverage[..., None]], dim=-1)
    key_map = torch.cat([memory_map, coverage_map[:, None]], dim=1)
    context, weights = attend(additive_score(state[:, None], keys, state_map, key_map, v), memory, mask[:, None])
    return context.squeeze(1), weights.squeeze(1)
