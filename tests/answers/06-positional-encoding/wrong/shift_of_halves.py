"""Takes feature n and feature n + N for a dial."""

FAILS = ["shift-visible", "shift-hidden"]

# %% shift
def shift_matrix(offset: float, lengths: Tensor) -> Tensor:
    """Matrix M [2N, 2N] with x(p + offset) = M x(p) for columns x of (cosine, sine) pairs."""
    angles = 2 * math.pi * offset / lengths
    c, s = angles.cos(), angles.sin()
    top = torch.cat([torch.diag(c), torch.diag(-s)], dim=1)
    return torch.cat([top, torch.cat([torch.diag(s), torch.diag(c)], dim=1)], dim=0)


def shifted(table: Tensor, offset: float, lengths: Tensor) -> Tensor:
    """The rows of a table [T, 2N], each shifted by the offset."""
    return table @ shift_matrix(offset, lengths).T
