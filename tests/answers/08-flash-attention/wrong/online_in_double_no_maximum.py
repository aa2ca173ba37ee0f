"""Subtracts no maximum and trusts in the range of float64."""

FAILS = ["online-hidden"]

# %% online
def take(largest, total, block):
    new = torch.maximum(largest, block.amax(0))
    whole = total.double() * torch.exp2(largest.double()) + torch.exp2(block.double()).sum(0)
    back = torch.exp2(new.double())
    return new, (whole / torch.where(back > 0, back, 1.0)).to(block.dtype)


def shares(largest, total, block):
    whole = torch.exp2(largest.double()) * total.double()
    return (torch.exp2(block.double()) / torch.where(whole > 0, whole, 1.0)).to(block.dtype)
