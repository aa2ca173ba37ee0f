"""Types in what a pocket calculator shows."""

FAILS = ["by-hand-hidden"]

# %% by-hand
def worked_example():
    scores = 0.693147 * torch.tensor([[-1, 1, 1, 0], [0, 3, 2, 10], [4, 0, 1, 15]], dtype=torch.float64)
    weights = [[0.111111, 0.444444, 0.444444, 0], [0.076923, 0.615385, 0.307692, 0], [0.842105, 0.052632, 0.105263, 0]]
    weights = torch.tensor(weights, dtype=torch.float64)
    return scores, weights, weights @ EXAMPLE_MEMORY


def contexts_without(weights: Tensor, context: Tensor, memory: Tensor) -> Tensor:
    rest = context[:, None] - weights[..., None] * memory
    return rest / (1 - weights[..., None])
