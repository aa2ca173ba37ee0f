"""Alignments: which word stands for which, read off the weights and compared with gold; and windows around a position.

Shapes: ``B`` batch, ``S`` positions of a source, ``T`` positions of a target, ``E`` width of a state, ``A`` of a hidden
layer, ``K`` keys. Positions count from 0. A *link* is (position in the source, position in the target), as in
:class:`course_utils.data.Pair`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import torch
from torch import Tensor

from course_utils import _require

Link = tuple[int, int]


# --- Links and their error --------------------------------------------------------------------------------------


def hard_alignment(weights: Tensor) -> set[Link]:
    """Link each target position to the source position on which most of its weight lies.

    So do Luong, Pham & Manning (2015), Section 5.4. A target position gets one link at most, whatever the truth is.

    Args:
        weights: ``[T, S]``, of one sentence, without padding; of equal weights the first counts.

    Returns:
        Links (source, target); none for a row of zeros.

    Raises:
        ValueError: not a matrix with at least one column.
    """
    if weights.ndim != 2 or weights.shape[1] == 0:
        raise ValueError(f"hard_alignment: weights: expected shape [T, S] of one sentence, got {list(weights.shape)}")
    highest = weights.max(1)
    found = zip(highest.values.tolist(), highest.indices.tolist(), strict=True)
    return {(source, target) for target, (weight, source) in enumerate(found) if weight > 0}


def gold_links(alignment: Iterable[Link] | None) -> tuple[set[Link], set[Link]]:
    """Split a gold alignment into what must be found and what may be found.

    Our reading of the two kinds of Och & Ney (2003) for weights that give each target position one link: where several
    source positions stand for a target position, each of them is as good as the others.

    Args:
        alignment: of a :class:`course_utils.data.Pair`.

    Returns:
        ``(sure, possible)``: the links of target positions that have exactly one, and all of them.

    Raises:
        ValueError: the alignment is not known.
    """
    if alignment is None:
        raise ValueError("gold_links: alignment: expected links, got None: this corpus does not know them")
    possible = set(alignment)
    sources = Counter(target for _, target in possible)
    return {link for link in possible if sources[link[1]] == 1}, possible


def alignment_error_rate(
    links: Iterable[Hashable], sure: Iterable[Hashable], possible: Iterable[Hashable] | None = None
) -> float:
    """``1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|)``: Och & Ney (2003).

    Args:
        links: A, what was found.
        sure: S, what must be found.
        possible: P, what may be found; S belongs to it. S alone if not given.

    Returns:
        0 where all of S and nothing outside P was found, 1 where nothing of P was.

    Raises:
        ValueError: S is not within P, or there is neither a link found nor a sure one.
    """
    found, must = set(links), set(sure)
    may = must if possible is None else set(possible)
    if not must <= may:
        raise ValueError(f"alignment_error_rate: possible: expected all sure links in it, not so {len(must - may)}")
    if not found and not must:
        raise ValueError("alignment_error_rate: expected a link that was found or a sure one, got neither")
    return 1 - (len(found & must) + len(found & may)) / (len(found) + len(must))


def alignment_error(weights: Tensor, alignments: Sequence[Iterable[Link] | None]) -> float:
    """Alignment error rate of a batch's weights, counted over all its sentences together.

    Only target positions with a gold link are looked at: an end token or a comma stands for nothing.

    Args:
        weights: ``[B, T, S]``, zero on padding of the source.
        alignments: gold, one a sentence.

    Returns:
        Between 0 and 1: see :func:`alignment_error_rate`.

    Raises:
        ValueError: numbers of sentences differ, or an alignment is not known or reaches beyond the weights.
    """
    if weights.ndim != 3 or len(weights) != len(alignments):
        expected = f"shape [B, T, S] for {len(alignments)} alignments"
        raise ValueError(f"alignment_error: weights: expected {expected}, got {list(weights.shape)}")
    found: set[Hashable] = set()
    must: set[Hashable] = set()
    may: set[Hashable] = set()
    for number, (rows, alignment) in enumerate(zip(weights, alignments, strict=True)):
        sure, possible = gold_links(alignment)
        targets = {target for _, target in possible}
        if any(target >= rows.shape[0] or source >= rows.shape[1] for source, target in possible):
            raise ValueError(f"alignment_error: alignment {number} reaches beyond the weights {list(rows.shape)}")
        found |= {(number, *link) for link in hard_alignment(rows) if link[1] in targets}
        must |= {(number, *link) for link in sure}
        may |= {(number, *link) for link in possible}
    return alignment_error_rate(found, must, may)


# --- Windows ----------------------------------------------------------------------------------------------------


def local_window_mask(center: Tensor, n_keys: int, window: int) -> Tensor:
    """Allow the keys at most D positions away from a centre: Luong, Pham & Manning (2015), Section 3.2.

    What of the window lies outside the sentence is dropped (their footnote 8); padding is to be masked besides.

    Args:
        center: p, any shape ``[...]``, integers or real numbers.
        n_keys: K.
        window: D, at least 1: at most 2 D + 1 keys.

    Returns:
        Boolean ``[..., K]``, True where ``|j − p| ≤ D``.

    Raises:
        ValueError: ``window`` or ``n_keys`` is less than 1.
    """
    return _distances("local_window_mask", center, n_keys, window).abs() <= window


def gaussian_window(center: Tensor, n_keys: int, window: int) -> Tensor:
    """exp(−(j − p)² / 2σ²) with σ = D / 2: the second factor of Luong, Pham & Manning (2015), Equation 10.

    It is neither cut off at D nor normalised: weights that are multiplied by it sum to less than one.

    Args:
        center: p, any shape ``[...]``, real numbers.
        n_keys: K.
        window: D, at least 1.

    Returns:
        ``[..., K]``, in (0, 1], 1 at the centre.

    Raises:
        ValueError: ``window`` or ``n_keys`` is less than 1.
    """
    return (-2 * (_distances("gaussian_window", center, n_keys, window) / window).square()).exp()


def predicted_center(state: Tensor, weight: Tensor, v: Tensor, length: Tensor) -> Tensor:
    """Where to look, from the decoder's state: S · σ(vᵀ tanh(W s)), Luong, Pham & Manning (2015), Equation 9.

    Their ``h_t`` is the state, ``W_p`` the weight, ``v_p`` is v. Their positions run from 1 to S, ours from 0.

    Args:
        state: ``[..., E]``.
        weight: W, ``[A, E]``.
        v: ``[A]``.
        length: S, the true length of each source without its padding; broadcasts to ``[...]``.

    Returns:
        ``[...]``, real numbers between 0 and S.

    Raises:
        ValueError: a parameter's shape does not fit.
    """
    _require.shape("predicted_center", "v", v, (weight.shape[0],))
    _require.shape("predicted_center", "weight", weight, (v.shape[0], state.shape[-1]))
    return length * torch.sigmoid(torch.tanh(state @ weight.T) @ v)


def _distances(name: str, center: Tensor, n_keys: int, window: int) -> Tensor:
    """Position of each key less the centre, ``[..., K]``."""
    if window < 1 or n_keys < 1:
        raise ValueError(f"{name}: expected a window and a number of keys of at least 1, got {window} and {n_keys}")
    return torch.arange(n_keys, device=center.device) - center.unsqueeze(-1)
