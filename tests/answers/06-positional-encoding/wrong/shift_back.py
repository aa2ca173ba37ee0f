"""Turns the wrong way round: M_k transposed, as for sine first."""

FAILS = ["shift-visible", "shift-hidden"]

# %% shift
def shift_matrix(offset: float, lengths: Tensor) -> Tensor:
    """Matrix M [2N, 2N] with x(p + offset) = M x(p) for columns x of (cosine, sine) pairs."""
    angles = 2 * math.pi * offset / lengths
    c, s = angles.cos(), angles.sin()
    blocks = torch.stack([c, s, -s, c], dim=-1).reshape(-1, 2, 2)
    return torch.block_diag(*blocks)


def shifted(table: Tensor, offset: float, lengths: Tensor) -> Tensor:
    """The rows of a table [T, 2N], each shifted by the offset."""
    return table @ shift_matrix(offset, lengths).T
