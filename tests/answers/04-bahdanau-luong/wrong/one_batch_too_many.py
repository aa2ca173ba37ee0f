"""Asks for a batch more than there are steps."""

FAILS = ["training-visible", "training-hidden"]

# %% training
def train_some(
    tables: dict[str, Tensor], serve, steps: int, rate: float, hold: int, largest: float
) -> tuple[list[float], dict[str, Tensor]]:
    losses = []
    for t in range(1, steps + 1):
        asked, source, target, mask = serve()
        tables = {name: table.detach().clone().requires_grad_() for name, table in tables.items()}
        logs = torch.log_softmax(answer_logits(tables, asked, source)[mask], dim=-1)
        loss = -logs.gather(1, target[mask][:, None]).mean()
        gradients = torch.autograd.grad(loss, list(tables.values()))
        length = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
        size = rate * 0.5 ** max(0, t - hold) * (min(1.0, largest / length) if length else 1.0)
        tables = {name: table.detach() - size * g for (name, table), g in zip(tables.items(), gradients)}
        losses.append(loss.item())
    serve()
    return losses, tables
