"""Calls the package's window and Gaussian on the places."""

FAILS = ["local-visible", "local-hidden"]
ENFORCED_BY = "grader"

# %% local
def local_weights(scores, states, mask, position_map, v, half_width):
    from course_utils.alignment import gaussian_window, local_window_mask
    from course_utils.attention import masked_softmax

    B, S = mask.shape
    last = (mask.sum(dim=1) - 1).clamp(min=0)
    centres = last[:, None] * torch.sigmoid(torch.tanh(states @ position_map.T) @ v)
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, None].expand(scores.shape)
    inside = local_window_mask(centres, S, half_width).gather(2, places) & mask[:, None]
    near = gaussian_window(centres, S, half_width).gather(2, places)
    return masked_softmax(scores + near.log(), inside), centres
