"""Puts the attentional state before the word in the cell's input."""

FAILS = ["steps-visible", "steps-hidden"]

# %% steps
def bahdanau_step(
    cell, attend, word: Tensor, state: Tensor, gate: Tensor, readout: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    context, weights = attend(state)
    context = torch.sigmoid(state @ gate)[:, None] * context
    state = cell(torch.cat([word, context], dim=1), state)
    return torch.cat([state, word, context], dim=1) @ readout.T, state, weights


def luong_step(
    cell, attend, word: Tensor, state: Tensor, fed: Tensor, mix: Tensor, readout: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    state = cell(torch.cat([fed, word], dim=1), state)
    context, weights = attend(state)
    fed = torch.tanh(torch.cat([context, state], dim=1) @ mix.T)
    return fed @ readout.T, state, fed, weights
