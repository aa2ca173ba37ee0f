"""What the public functions ask of their arguments: one line that says what was expected and what came."""

import torch
from torch import Tensor


def matrices(name: str, **tensors: Tensor) -> None:
    """Raise ValueError unless every tensor has at least the two dimensions ``[length, width]``."""
    for argument, tensor in tensors.items():
        if tensor.ndim < 2:
            raise ValueError(
                f"{name}: {argument} needs at least 2 dimensions [length, width], got shape {tuple(tensor.shape)}"
            )


def same_width(name: str, query: Tensor, key: Tensor) -> None:
    """Raise ValueError unless query and key are matrices of one width."""
    matrices(name, query=query, key=key)
    if key.shape[-1] != query.shape[-1]:
        raise ValueError(f"{name}: key width {key.shape[-1]} differs from query width {query.shape[-1]}")


def shape(name: str, argument: str, tensor: Tensor, expected: tuple[int, ...]) -> None:
    """Raise ValueError unless the tensor has exactly the expected shape."""
    if tuple(tensor.shape) != expected:
        raise ValueError(f"{name}: {argument} needs shape {expected}, got {tuple(tensor.shape)}")


def one_value_per_key(name: str, value: Tensor, n_keys: int) -> None:
    """Raise ValueError unless ``value`` is ``[..., K, V]`` with K = ``n_keys``."""
    matrices(name, value=value)
    if value.shape[-2] != n_keys:
        raise ValueError(f"{name}: {value.shape[-2]} values for {n_keys} keys")


def mask(name: str, mask: Tensor, scores_shape: torch.Size) -> None:
    """Raise ValueError unless the mask is boolean and broadcasts to the scores."""
    if mask.dtype != torch.bool:
        raise ValueError(f"{name}: mask needs to be boolean (True = may attend), got {mask.dtype}")
    try:
        fits = torch.broadcast_shapes(mask.shape, scores_shape) == scores_shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name}: mask of shape {tuple(mask.shape)} does not broadcast to scores {tuple(scores_shape)}"
        )
