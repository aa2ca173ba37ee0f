"""Moves the cell first and attends with the new state in Bahdanau's wiring, too."""

FAILS = ["steps-visible", "steps-hidden"]

# %% steps
def bahdanau_step(
    cell, attend, word: Tensor, state: Tensor, gate: Tensor, readout: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    nothing = word.new_zeros(len(word), readout.shape[1] - state.shape[1] - word.shape[1])
    state = cell(torch.cat([word, nothing], dim=1), state)
    context, weights = attend(state)
    context = torch.sigmoid(state @ gate)[:, None] * context
    return torch.cat([state, word, context], dim=1) @ readout.T, state, weights


def luong_step(
    cell, attend, word: Tensor, state: Tensor, fed: Tensor, mix: Tensor, readout: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    state = cell(torch.cat([word, fed], dim=1), state)
    context, weights = attend(state)
    fed = torch.tanh(torch.cat([context, state], dim=1) @ mix.T)
    return fed @ readout.T, state, fed, weights
