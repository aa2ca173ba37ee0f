"""Lets automatic differentiation do the work, which the assignment forbids."""

FAILS = ["gradient-visible", "gradient-hidden"]
ENFORCED_BY = "grader"

# %% gradient
def soft_lookup_backward(scores, values, temperature, grad_answers):
    leaves = [scores.clone().requires_grad_(), values.clone().requires_grad_(), torch.tensor(temperature, dtype=scores.dtype)]
    leaves[2].requires_grad_()
    answers = torch.softmax(leaves[0] / leaves[2], dim=-1) @ leaves[1]
    return torch.autograd.grad((answers * grad_answers).sum(), leaves)
