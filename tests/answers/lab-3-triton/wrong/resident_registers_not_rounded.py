"""Registers are not handed out in lots."""

FAILS = ["resident-visible", "resident-hidden"]

# %% resident
def resident(shared: int, registers: int, warps: int, card: dict[str, int]) -> int:
    """How many programs of a compiled kernel one multiprocessor holds."""
    of_a_warp = 32 * registers
    by_registers = card["registers"] // of_a_warp // warps
    by_shared = card["shared"] // (shared + 1024)
    return min(by_registers, by_shared, card["warps"] // warps, card["programs"])
