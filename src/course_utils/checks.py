"""Properties that attention must have, as checks that raise an AssertionError with a message that teaches.

The checks take plain tensors and callables, so that they judge any implementation: the package's, a reader's,
a student's. Each uses seeded random perturbations; a property that holds passes for every seed.
Shapes: ``...`` any batch dimensions, ``T`` time, ``Q`` queries, ``K`` keys, ``E`` and ``V`` widths.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def check_close(
    actual: Tensor, expected: Tensor, what: str, *, atol: float = 1e-5, rtol: float = 1e-5, hint: str = ""
) -> None:
    """Compare shape, then finiteness, then values, and name the first thing that differs.

    Args:
        actual: the tensor to judge.
        expected: the tensor that it should be; infinities and NaN must stand in the same places.
        what: how the message names the tensor, for instance ``"the output"``.
        atol: absolute tolerance.
        rtol: relative tolerance.
        hint: what to look at, added to a message about values.

    Raises:
        AssertionError: with shapes, or the place and both values of the largest difference.
    """
    check_shape(actual, tuple(expected.shape), what)
    if actual.is_complex() and not expected.is_complex():
        raise AssertionError(f"{what}: got complex numbers, expected real ones")
    actual, expected = actual.detach().double(), expected.detach().double()
    after = f". {hint}" if hint else ""
    unlike_nan = actual.isnan() != expected.isnan()
    if unlike_nan.any():
        raise AssertionError(f"{what}: NaN {_where(unlike_nan)}{after}")
    close = torch.isclose(actual, expected, atol=atol, rtol=rtol, equal_nan=True)
    if not close.all():
        index = _worst((actual - expected).abs().nan_to_num(nan=torch.inf).masked_fill(close, -1))
        place = f" at {list(index)}" if index else ""
        differ = f" ({int((~close).sum())} of {close.numel()} entries differ)" if index else ""
        raise AssertionError(
            f"{what}: got {actual[index].item():.6g}{place}, expected {expected[index].item():.6g}{differ}{after}"
        )


def check_shape(actual: Tensor, expected: tuple[int, ...], what: str) -> None:
    """Raise unless ``actual`` is a tensor of the expected shape.

    Raises:
        AssertionError: naming what came instead.
    """
    if not isinstance(actual, Tensor):
        raise AssertionError(f"{what}: got a {type(actual).__name__}, expected a tensor of shape {list(expected)}")
    if tuple(actual.shape) != expected:
        raise AssertionError(f"{what}: got shape {list(actual.shape)}, expected {list(expected)}")


def check_rows_sum_to_one(weights: Tensor, mask: Tensor | None = None, *, atol: float = 1e-5) -> None:
    """Weights are not negative and every row sums to one over the keys, the last axis.

    Args:
        weights: ``[..., Q, K]``.
        mask: boolean, broadcastable; rows that may attend to nothing must sum to 0.
        atol: absolute tolerance of a sum.

    Raises:
        AssertionError: naming the first row at fault and its sum.
    """
    if not weights.isfinite().all():
        raise AssertionError(f"weights are not finite {_where(~weights.isfinite())}")
    if (weights < 0).any():
        raise AssertionError(f"weights are negative {_where(weights < 0)}: a share cannot be less than nothing")
    allowed = torch.ones_like(weights, dtype=torch.bool) if mask is None else mask.expand(weights.shape)
    sums, expected = weights.sum(-1), allowed.any(-1).to(weights.dtype)
    wrong = (sums - expected).abs() > atol
    if wrong.any():
        index = tuple(wrong.nonzero()[0].tolist())
        raise AssertionError(
            f"weights of row {_place(index)} sum to {sums[index].item():.4g}, expected "
            f"{expected[index].item():.0f}: softmax goes over the keys, the last axis"
        )


def check_convex_hull(output: Tensor, value: Tensor, *, directions: int = 64, atol: float = 1e-5) -> None:
    """Every output lies inside the convex hull of the values.

    A point is in the hull if and only if no direction sees it beyond all values; the axes and random
    directions are tried, so a fault can escape in principle, a sound output never fails.

    Args:
        output: ``[..., Q, V]``.
        value: ``[..., K, V]``.
        directions: number of random directions.
        atol: absolute tolerance.

    Raises:
        AssertionError: naming the first output outside.
    """
    generator = torch.Generator().manual_seed(0)
    width = value.shape[-1]
    random = torch.randn(directions, width, generator=generator, dtype=torch.float64)
    compass = torch.cat([torch.eye(width, dtype=torch.float64), random / random.norm(dim=-1, keepdim=True)])
    seen, reach = output.detach().double() @ compass.T, value.detach().double() @ compass.T
    outside = ~((seen <= reach.amax(-2, keepdim=True) + atol) & (seen >= reach.amin(-2, keepdim=True) - atol))
    if outside.any():
        index = tuple(outside.nonzero()[0, :-1].tolist())
        raise AssertionError(
            f"output {_place(index)} lies outside the convex hull of the values: "
            "weights that are not negative and sum to one cannot take it there"
        )


def check_causal(layer: Callable[[Tensor], Tensor], x: Tensor, *, atol: float = 1e-6) -> None:
    """Changing the future changes nothing in the past.

    Args:
        layer: maps ``[..., T, E]`` to ``[..., T, V]``.
        x: ``[..., T, E]``.
        atol: how much an output of the past may move.

    Raises:
        AssertionError: naming the earliest position that saw the future.
    """
    before = layer(x)
    generator = torch.Generator().manual_seed(0)
    for t in range(x.shape[-2] - 1):
        changed = x.clone()
        future = changed[..., t + 1 :, :]
        future += torch.randn(future.shape, generator=generator, dtype=x.dtype)
        moved = (layer(changed) - before)[..., : t + 1, :].abs()
        # Written so that a NaN counts as having moved.
        if not (moved <= atol).all():
            raise AssertionError(
                f"changing the inputs after position {t} changed the output at or before it: a query saw the future"
            )


def check_permutation_equivariant(layer: Callable[[Tensor], Tensor], x: Tensor, *, atol: float = 1e-5) -> None:
    """Reordering the inputs reorders the outputs in the same way: layer(Px) = P layer(x).

    Args:
        layer: maps ``[..., T, E]`` to ``[..., T, V]``.
        x: ``[..., T, E]``.
        atol: absolute tolerance.

    Raises:
        AssertionError: if the outputs are not the reordered ones.
    """
    order = _order(x.shape[-2])
    check_close(layer(x[..., order, :]), layer(x)[..., order, :], "the output for reordered inputs", atol=atol)


def check_permutation_invariant(
    attention: Callable[[Tensor, Tensor], Tensor], key: Tensor, value: Tensor, *, atol: float = 1e-5
) -> None:
    """Reordering the key–value pairs changes nothing: a dictionary has no order.

    Args:
        attention: maps keys and values to an output.
        key: ``[..., K, D]``.
        value: ``[..., K, V]``.
        atol: absolute tolerance.

    Raises:
        AssertionError: if the output depends on the order of the pairs.
    """
    order = _order(key.shape[-2])
    reordered = attention(key[..., order, :], value[..., order, :])
    check_close(reordered, attention(key, value), "the output for reordered key–value pairs", atol=atol)


def check_shift_invariant(
    normalise: Callable[[Tensor], Tensor], scores: Tensor, *, shift: float = 37.0, atol: float = 1e-5
) -> None:
    """Adding one number to all scores of a row changes no weight: only differences between scores count.

    Args:
        normalise: maps scores ``[..., Q, K]`` to weights of the same shape.
        scores: ``[..., Q, K]``.
        shift: the number that is added.
        atol: absolute tolerance.

    Raises:
        AssertionError: if a weight moved.
    """
    check_close(normalise(scores + shift), normalise(scores), f"the weight for scores shifted by {shift:g}", atol=atol)


def check_padding_invariant(
    attention: Callable[[Tensor, Tensor, Tensor], Tensor], key: Tensor, value: Tensor, *, atol: float = 1e-5
) -> None:
    """Masked keys and values change nothing, whatever they hold.

    Args:
        attention: maps keys, values and a boolean mask ``[K]`` (True = may attend) to an output.
        key: ``[..., K, D]``.
        value: ``[..., K, V]``.
        atol: absolute tolerance.

    Raises:
        AssertionError: if padding moved the output.
    """
    n_keys, n_padding = key.shape[-2], 3
    allowed = torch.arange(n_keys + n_padding) < n_keys
    padded_key = torch.nn.functional.pad(key, (0, 0, 0, n_padding), value=9.0)
    padded_value = torch.nn.functional.pad(value, (0, 0, 0, n_padding), value=-1e4)
    padded = attention(padded_key, padded_value, allowed)
    expected = attention(key, value, torch.ones(n_keys, dtype=torch.bool))
    check_close(padded, expected, "the output with masked padding", atol=atol)


def _order(length: int) -> Tensor:
    """A fixed random cycle: no position stays, and no symmetry such as a shift or a reversal explains it."""
    cycle = torch.randperm(length, generator=torch.Generator().manual_seed(1))
    order = torch.empty_like(cycle)
    order[cycle] = cycle.roll(1)
    return order


def _where(wrong: Tensor) -> str:
    return f"at {wrong.nonzero()[0].tolist()} ({int(wrong.sum())} of {wrong.numel()} entries)"


def _worst(difference: Tensor) -> tuple[int, ...]:
    # Not by torch.unravel_index, which would first import sympy: half a second for a student whose answer is wrong.
    return tuple(int(i) for i in np.unravel_index(int(difference.argmax()), difference.shape))


def _place(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(list(index))
