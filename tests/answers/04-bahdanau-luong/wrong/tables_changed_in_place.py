"""Trains the tables that it was given."""

FAILS = ["training-visible", "training-hidden"]

# %% training
def train_some(
    tables: dict[str, Tensor], serve, steps: int, rate: float, hold: int, largest: float
) -> tuple[list[float], dict[str, Tensor]]:
    losses = []
    for t in range(1, steps + 1):
        asked, source, target, mask = serve()
        for table in tables.values():
            table.requires_grad_()
        logs = torch.log_softmax(answer_logits(tables, asked, source)[mask], dim=-1)
        loss = -logs.gather(1, target[mask][:, None]).mean()
        gradients = torch.autograd.grad(loss, list(tables.values()))
        length = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
        size = rate * 0.5 ** max(0, t - hold) * (min(1.0, largest / length) if length else 1.0)
        with torch.no_grad():
            for table, g in zip(tables.values(), gradients):
                table -= size * g
        losses.append(loss.item())
    return losses, {name: table.detach() for name, table in tables.items()}
