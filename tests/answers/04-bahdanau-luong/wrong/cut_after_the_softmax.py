"""Cuts the window out of a softmax over all words, and divides again."""

FAILS = ["local-visible", "local-hidden"]

# %% local
def local_weights(
    scores: Tensor, states: Tensor, mask: Tensor, position_map: Tensor, v: Tensor, half_width: float
) -> tuple[Tensor, Tensor]:
    last = (mask.sum(dim=1) - 1).clamp(min=0)
    centres = last[:, None] * torch.sigmoid(torch.tanh(states @ position_map.T) @ v)
    places = mask.cumsum(dim=1) - 1
    away = places[:, None] - centres[..., None]
    words = mask[:, None].expand(scores.shape)
    inside = mask[:, None] & (away.abs() <= half_width)
    empty = ~inside.any(dim=-1, keepdim=True)
    scores = scores - away.square() / (2 * (half_width / 2) ** 2)
    scores = scores.masked_fill(~words, -torch.inf).masked_fill(empty, 0.0)
    weights = torch.softmax(scores, dim=-1) * inside
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights.masked_fill(empty, 0.0), centres
