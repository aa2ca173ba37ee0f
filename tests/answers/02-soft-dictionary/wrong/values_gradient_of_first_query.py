"""Does not add the queries up for the values."""

FAILS = ["gradient-hidden"]

# %% gradient
def soft_lookup_backward(scores, values, temperature, grad_answers):
    weights = torch.softmax(scores / temperature, dim=-1)
    grad_weights = grad_answers @ values.T
    grad_scaled = weights * (grad_weights - (weights * grad_weights).sum(-1, keepdim=True))
    grad_temperature = -(grad_scaled * scores).sum() / temperature**2
    return grad_scaled / temperature, weights[:1].T @ grad_answers[:1], grad_temperature
