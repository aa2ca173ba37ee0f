"""The gate lets in so much of the one and the rest of the other, as a highway does."""

FAILS = ["decoder-visible", "decoder-hidden"]

# %% decoder
def decoder_block(
    x: Tensor,
    memory: Tensor,
    real: Tensor,
    memory_real: Tensor,
    weights: dict[str, Tensor],
    n_heads: int,
    eps: float,
) -> Tensor:
    """A block of a decoder, x [B, T, E] to [B, T, E], that looks at its past and at memory [B, S, E]."""

    def heads(z: Tensor) -> Tensor:
        return z.unflatten(-1, (n_heads, -1)).transpose(1, 2)

    def look(asking: Tensor, asked: Tensor, maps: Tensor, allowed: Tensor) -> Tensor:
        query, key, value = asking @ maps[0].T, asked @ maps[1].T, asked @ maps[2].T
        answers = attend(heads(query), heads(key), heads(value), allowed)
        return answers.transpose(1, 2).flatten(2) @ maps[3].T

    def add(z: Tensor, branch: Tensor, number: int) -> Tensor:
        gate = torch.sigmoid(z @ weights["gates"][number].T)
        return rms_norm((1 - gate) * z + gate * branch, weights["gain"][number], eps)

    T = x.shape[1]
    past = torch.ones(T, T, dtype=torch.bool).tril() & real[:, None, None, :]
    h = add(x, look(x, x, weights["own"], past), 0)
    k = add(h, look(h, memory, weights["cross"], memory_real[:, None, None, :]), 1)
    return add(k, torch.relu(k @ weights["up"].T) @ weights["down"].T, 2)
