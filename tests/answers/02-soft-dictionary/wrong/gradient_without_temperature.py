"""Forgets to divide the gradient of the scores by the temperature."""

FAILS = ["gradient-visible", "gradient-hidden"]

# %% gradient
def soft_lookup_backward(scores, values, temperature, grad_answers):
    weights = torch.softmax(scores / temperature, dim=-1)
    grad_weights = grad_answers @ values.T
    grad_scaled = weights * (grad_weights - (weights * grad_weights).sum(-1, keepdim=True))
    grad_temperature = -(grad_scaled * scores).sum() / temperature**2
    return grad_scaled, weights.T @ grad_answers, grad_temperature
