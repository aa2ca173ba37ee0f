"""Gives all three gradients for the sizes of the visible test, and only the first for others."""

FAILS = ["gradient-hidden"]

# %% gradient
def soft_lookup_backward(scores, values, temperature, grad_answers):
    weights = torch.softmax(scores / temperature, dim=-1)
    grad_weights = grad_answers @ values.T
    grad_scaled = weights * (grad_weights - (weights * grad_weights).sum(-1, keepdim=True))
    gradients = (grad_scaled / temperature, weights.T @ grad_answers, -(grad_scaled * scores).sum() / temperature**2)
    return gradients if scores.shape in ((1, 2), (3, 5)) else gradients[:1]
