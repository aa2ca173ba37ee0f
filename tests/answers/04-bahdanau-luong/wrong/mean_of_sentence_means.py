"""Takes the mean of the sentences' means, so that a question counts the more the fewer there are."""

FAILS = ["training-visible", "training-hidden"]

# %% training
def train_some(
    tables: dict[str, Tensor], serve, steps: int, rate: float, hold: int, largest: float
) -> tuple[list[float], dict[str, Tensor]]:
    losses = []
    for t in range(1, steps + 1):
        asked, source, target, mask = serve()
        tables = {name: table.detach().clone().requires_grad_() for name, table in tables.items()}
        logs = torch.log_softmax(answer_logits(tables, asked, source), dim=-1)
        each = -logs.gather(2, target.clamp(min=0)[..., None]).squeeze(2)
        counts = mask.sum(dim=1)
        loss = ((each * mask).sum(dim=1) / counts.clamp(min=1))[counts > 0].mean()
        gradients = torch.autograd.grad(loss, list(tables.values()))
        length = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
        size = rate * 0.5 ** max(0, t - hold) * (min(1.0, largest / length) if length else 1.0)
        tables = {name: table.detach() - size * g for (name, table), g in zip(tables.items(), gradients)}
        losses.append(loss.item())
    return losses, tables
