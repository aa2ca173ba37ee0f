"""Divides 2^x by 2^c: passes while the scores are small."""

FAILS = ["backward-visible", "backward-hidden"]

# %% backward
def row_products(output: Tensor, d_output: Tensor) -> Tensor:
    """The dot product [Q, H] of each output [Q, H, V] and its gradient."""
    return (output * d_output).sum(dim=-1)


def tile_gradients(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    d_output: Tensor,
    log_total: Tensor,
    products: Tensor,
    seen: Tensor,
    cap: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """What one tile adds to the gradients of queries [Q, H, D], keys [K, H, D] and values [K, H, V]."""
    scale = 1 / math.sqrt(query.shape[-1])
    bent = torch.tanh(torch.einsum("qhd,khd->qhk", query, key) * scale / cap)
    footing = log_total.masked_fill(log_total.isneginf(), 0.0)[..., None]
    p = torch.exp2((LOG2E * cap * bent).masked_fill(~seen[:, None], -torch.inf)) / torch.exp2(footing)
    d_p = torch.einsum("qhv,khv->qhk", d_output, value)
    d_s = p * (d_p - products[..., None]) * (1 - bent.square())
    d_query = torch.einsum("qhk,khd->qhd", d_s, key) * scale
    d_key = torch.einsum("qhk,qhd->khd", d_s, query) * scale
    return d_query, d_key, torch.einsum("qhk,qhv->khv", p, d_output)
