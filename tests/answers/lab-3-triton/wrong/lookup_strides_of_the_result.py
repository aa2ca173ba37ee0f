"""Rows of the table are taken to be as far apart as those of the result."""

FAILS = ["lookup-visible", "lookup-hidden"]

# %% lookup
@triton.jit
def lookup_kernel(
    table, ids, out, n_ids, width, table_row, out_row, scale, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """One tile of out[t, c] = scale * table[ids[t], c], zeros where ids[t] is negative."""
    t = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row = tl.load(ids + t, mask=t < n_ids, other=-1)
    known = (row[:, None] >= 0) & (c[None, :] < width)
    tile = tl.load(table + row[:, None] * out_row + c[None, :], mask=known, other=0.0)
    inside = (t[:, None] < n_ids) & (c[None, :] < width)
    tl.store(out + t[:, None] * out_row + c[None, :], tile * scale, mask=inside)


def lookup(table: Tensor, ids: Tensor, scale: float, rows: int = 4, columns: int = 16) -> Tensor:
    """Given, and to stay as it is: [words, width] and [n_ids] -> [n_ids, width]."""
    n_ids, width = len(ids), table.shape[1]
    table, out = framed(table), blank(n_ids, width, dtype=table.dtype)
    grid = (triton.cdiv(n_ids, rows), triton.cdiv(width, columns))
    numbers = (n_ids, width, table.stride(0), out.stride(0), scale)
    launch(lookup_kernel, grid, table, ids, out, *numbers, ROWS=rows, COLUMNS=columns)
    return unframed(out)
