"""Calls PyTorch's gradient descent and clipping."""

FAILS = ["training-visible", "training-hidden"]
ENFORCED_BY = "grader"

# %% training
def train_some(tables, serve, steps, rate, hold, largest):
    tables = {name: table.clone().requires_grad_() for name, table in tables.items()}
    optimiser = torch.optim.SGD(tables.values(), lr=rate)
    losses = []
    for t in range(1, steps + 1):
        asked, source, target, mask = serve()
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(answer_logits(tables, asked, source)[mask], target[mask])
        loss.backward()
        length = torch.cat([table.grad.flatten() for table in tables.values()]).norm()
        for table in tables.values():
            table.grad *= min(1.0, largest / length.item())
        optimiser.param_groups[0]["lr"] = rate * 0.5 ** max(0, t - hold)
        optimiser.step()
        losses.append(loss.item())
    return losses, {name: table.detach() for name, table in tables.items()}
