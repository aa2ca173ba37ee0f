"""Joins the heads without bringing the positions to the front again."""

FAILS = ["encoder-visible", "encoder-hidden"]

# %% encoder
def encoder_block(x: Tensor, real: Tensor, weights: dict[str, Tensor], eps: float) -> Tensor:
    """A block of an encoder, x [B, T, E] to [B, T, E], with a norm before and after each sublayer."""

    def norm(z: Tensor, number: int) -> Tensor:
        gain, shift = weights["norms"][number]
        centred = z - z.mean(dim=-1, keepdim=True)
        return gain * centred / (centred.square().mean(dim=-1, keepdim=True) + eps).sqrt() + shift

    def affine(z: Tensor, name: str) -> Tensor:
        return z @ weights[name][:, :-1].T + weights[name][:, -1]

    query, key, value = torch.einsum("bte,hpde->pbhtd", norm(x, 0), weights["look"])
    heads = attend(query, key, value, real[:, None, None, :])
    h = x + norm(heads.reshape(*x.shape[:2], -1) @ weights["join"].flatten(1).T, 1)
    return h + norm(affine(torch.relu(affine(norm(h, 2), "up")), "down"), 3)
