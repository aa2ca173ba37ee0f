"""Positions against independent float64 references: loops, complex numbers, block matrices, the authors' rules."""

import cmath
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from course_utils import positional
from course_utils.attention import MultiHeadAttention
from course_utils.masks import causal_mask
from course_utils.positional import (
    AlibiScore,
    BucketScore,
    LearnedPositions,
    PositionScore,
    RelativeScore,
    RotaryScore,
    alibi_bias,
    alibi_slopes,
    apply_rotary,
    clipped_positions,
    relative_positions,
    rotary_angles,
    sinusoidal_encoding,
    sinusoidal_shift,
    t5_buckets,
)

B, H, Q, K, D = 2, 3, 5, 11, 14
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
DOUBLE = torch.float64


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=DOUBLE)


def scores() -> dict[str, nn.Module]:
    """One of each, in float64, with parameters of order 1 so that they show."""
    torch.manual_seed(0)
    modules = {
        "interleaved": RotaryScore(base=50.0),
        "halves": RotaryScore("halves"),
        "alibi": AlibiScore(H),
        "relative": RelativeScore(D, 2),
        "relative, blind": RelativeScore(D, 0),
        "buckets": BucketScore(H, 5, 9),
        "buckets, both sides": BucketScore(H, 8, 9, causal=False),
        "places": PositionScore(H, 13),
        "places, factorised": PositionScore(H, 13, rank=2),
    }
    for module in modules.values():
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    return {name: module.double() for name, module in modules.items()}


SCORES = scores()
BY_OFFSET = [name for name in SCORES if not name.startswith("places")]
LEARNED = [name for name, module in SCORES.items() if list(module.parameters())]


# --- Sinusoids ----------------------------------------------------------------------------------------------------


def test_sinusoids_equal_the_papers_formula() -> None:
    length, width = 7, 10
    expected = [
        [(math.cos if e % 2 else math.sin)(t / 10_000 ** (2 * (e // 2) / width)) for e in range(width)]
        for t in range(length)
    ]
    torch.testing.assert_close(
        sinusoidal_encoding(length, width, dtype=DOUBLE), torch.tensor(expected, dtype=DOUBLE), **TIGHT
    )


def test_sinusoids_are_bounded_and_of_one_length() -> None:
    encoding = sinusoidal_encoding(1_001, 6, dtype=DOUBLE)
    assert encoding.shape == (1_001, 6)
    assert encoding.abs().max() <= 1
    torch.testing.assert_close(encoding.square().sum(-1), torch.full((1_001,), 3, dtype=DOUBLE), **TIGHT)
    assert torch.equal(encoding[0], torch.tensor([0.0, 1, 0, 1, 0, 1], dtype=DOUBLE))


def test_sinusoids_are_rounded_once() -> None:
    """An angle of 4000 in float32 would be off by up to 1e-4; the sine of the exact angle is not."""
    encoding = sinusoidal_encoding(4_001, 6)
    assert encoding.dtype == torch.float32
    assert torch.equal(encoding, sinusoidal_encoding(4_001, 6, dtype=DOUBLE).float())
    assert sinusoidal_encoding(0, 6).shape == (0, 6)


def test_products_of_sinusoids_depend_on_the_offset_only() -> None:
    length, width, base = 41, 10, 100.0
    encoding = sinusoidal_encoding(length, width, base=base, dtype=DOUBLE)
    products = encoding @ encoding.T
    for i in range(length):
        for j in range(length):
            expected = sum(math.cos((i - j) * base ** (-2 * p / width)) for p in range(width // 2))
            assert abs(products[i, j].item() - expected) < 1e-10


@pytest.mark.parametrize("offset", [0, 1, -1, 7, -13, 250, 0.5])
@pytest.mark.parametrize("base", [10_000.0, 3.0])
def test_one_matrix_shifts_every_encoding(offset: float, base: float) -> None:
    width = 10
    encoding = sinusoidal_encoding(300, width, base=base, dtype=DOUBLE)
    shift = sinusoidal_shift(offset, width, base=base, dtype=DOUBLE)
    torch.testing.assert_close(shift @ shift.T, torch.eye(width, dtype=DOUBLE), **TIGHT)
    speeds = [base ** (-2 * p / width) for p in range(width // 2)]
    for t in (0, 3, 40):
        moved = [f((t + offset) * speed) for speed in speeds for f in (math.sin, math.cos)]
        torch.testing.assert_close(shift @ encoding[t], torch.tensor(moved, dtype=DOUBLE), **TIGHT)
    if offset in (1, 7, 250):
        torch.testing.assert_close(encoding[: 300 - offset] @ shift.T, encoding[offset:], **TIGHT)


def test_shifts_compose_and_touch_pairs_only() -> None:
    first, second, both = (sinusoidal_shift(k, 6, dtype=DOUBLE) for k in (5, -17, -12))
    torch.testing.assert_close(first @ second, both, **TIGHT)
    pair = torch.arange(6) // 2
    assert both[pair[:, None] != pair].count_nonzero() == 0
    assert sinusoidal_shift(2, 6).dtype == torch.float32


# --- Rotary -------------------------------------------------------------------------------------------------------


def turned_by_complex_numbers(x: Tensor, positions: Tensor, pairs: list[tuple[int, int]], base: float) -> Tensor:
    """One vector at a time, each pair a complex number times e^(i m θ)."""
    out = torch.empty_like(x)
    for t, position in enumerate(positions.tolist()):
        for i, (a, b) in enumerate(pairs):
            number = complex(x[t, a], x[t, b]) * cmath.exp(1j * position * base ** (-2 * i / x.shape[-1]))
            out[t, a], out[t, b] = number.real, number.imag
    return out


def turned_by_matrices(x: Tensor, positions: Tensor, pairs: list[tuple[int, int]], base: float) -> Tensor:
    """The paper's Equation 15: a matrix of 2 × 2 rotations for each position."""
    rows = []
    for t, position in enumerate(positions.tolist()):
        R = torch.zeros(x.shape[-1], x.shape[-1], dtype=x.dtype)
        for i, (a, b) in enumerate(pairs):
            angle = position * base ** (-2 * i / x.shape[-1])
            R[a, a] = R[b, b] = math.cos(angle)
            R[a, b], R[b, a] = -math.sin(angle), math.sin(angle)
        rows.append(R @ x[t])
    return torch.stack(rows)


def turned_as_in_libraries(x: Tensor, positions: Tensor, pairing: str) -> Tensor:
    """x cos + rotated sin, the angles repeated to the full width: Equation 34 (GPT-J), and ``rotate_half`` (LLaMA)."""
    angles = positions[:, None].double() / 10_000 ** (torch.arange(0, x.shape[-1], 2) / x.shape[-1]).double()
    half = x.shape[-1] // 2
    if pairing == "interleaved":
        rotated = torch.empty_like(x)
        rotated[..., 0::2], rotated[..., 1::2] = -x[..., 1::2], x[..., 0::2]
        angles = angles.repeat_interleave(2, dim=-1)
    else:
        rotated = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
        angles = torch.cat((angles, angles), dim=-1)
    return x * angles.cos() + rotated * angles.sin()


def pairs_of(pairing: str, width: int) -> list[tuple[int, int]]:
    half = width // 2
    return [(2 * i, 2 * i + 1) if pairing == "interleaved" else (i, i + half) for i in range(half)]


@pytest.mark.parametrize("pairing", ["interleaved", "halves"])
@pytest.mark.parametrize("reference", [turned_by_complex_numbers, turned_by_matrices])
def test_rotary_equals_references(pairing: str, reference) -> None:
    x, positions = randn(B, H, K, D), torch.tensor([0, 1, 2, 5, 30, -4, 700, 3, 3, 8, 9])
    turned = apply_rotary(x, positions, pairing=pairing, base=500.0)
    expected = [[reference(x[b, h], positions, pairs_of(pairing, D), 500.0) for h in range(H)] for b in range(B)]
    torch.testing.assert_close(turned, torch.stack([torch.stack(heads) for heads in expected]), **TIGHT)


@pytest.mark.parametrize("pairing", ["interleaved", "halves"])
def test_rotary_equals_both_public_conventions(pairing: str) -> None:
    x, positions = randn(B, H, K, 8), torch.arange(3, 3 + K)
    torch.testing.assert_close(
        apply_rotary(x, positions, pairing=pairing), turned_as_in_libraries(x, positions, pairing), **TIGHT
    )


def test_the_pairings_agree_after_a_permutation_and_not_before() -> None:
    x, positions = randn(B, K, D), torch.arange(K)
    order = torch.cat((torch.arange(0, D, 2), torch.arange(1, D, 2)))  # first members of the pairs, then second ones
    halves = apply_rotary(x[..., order], positions, pairing="halves")
    interleaved = apply_rotary(x, positions)
    torch.testing.assert_close(halves, interleaved[..., order], **TIGHT)
    assert (apply_rotary(x, positions, pairing="halves") - interleaved).abs().max() > 0.1


@pytest.mark.parametrize("pairing", ["interleaved", "halves"])
@pytest.mark.parametrize("shift", [1, -6, 1_000])
def test_rotary_products_depend_on_the_difference_only(pairing: str, shift: int) -> None:
    query, key = randn(Q, D), randn(K, D, seed=1)
    m, n = torch.tensor([0, 3, 4, 17, -2]), torch.arange(K)

    def product(by: int) -> Tensor:
        return apply_rotary(query, m + by, pairing=pairing) @ apply_rotary(key, n + by, pairing=pairing).T

    torch.testing.assert_close(product(shift), product(0), **TIGHT)
    moved = apply_rotary(query, m + shift, pairing=pairing) @ apply_rotary(key, n, pairing=pairing).T
    assert (moved - product(0)).abs().max() > 0.1


def test_rotary_keeps_lengths_type_and_argument() -> None:
    x = randn(B, K, D)
    before = x.clone()
    turned = apply_rotary(x, torch.arange(K))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), **TIGHT)
    assert torch.equal(x, before)
    assert torch.equal(turned[:, 0], x[:, 0])
    for dtype in (torch.float32, torch.bfloat16):
        assert apply_rotary(x.to(dtype), torch.arange(K)).dtype == dtype
    assert apply_rotary(x, torch.linspace(0, 1, K)).dtype == DOUBLE


def test_rotary_angles_are_exact_far_out() -> None:
    """2²⁴ + 1 is no float32."""
    angles = rotary_angles(torch.tensor([16_777_217, -1]), 6, base=100.0)
    expected = [[p * 100.0 ** (-2 * i / 6) for i in range(3)] for p in (16_777_217, -1)]
    torch.testing.assert_close(angles, torch.tensor(expected, dtype=DOUBLE), rtol=1e-14, atol=0)


def test_rotary_turns_the_gradient_back() -> None:
    """A rotation's transpose is its inverse."""
    x, positions, upstream = randn(K, D).requires_grad_(), torch.arange(K), randn(K, D, seed=5)
    (grad,) = torch.autograd.grad(apply_rotary(x, positions), x, upstream)
    torch.testing.assert_close(grad, apply_rotary(upstream, -positions), **TIGHT)


# --- Offsets and buckets ------------------------------------------------------------------------------------------

lengths = st.integers(0, 9)


@given(lengths, lengths, st.integers(0, 6))
def test_relative_and_clipped_positions_equal_a_loop(n_queries: int, n_keys: int, clip: int) -> None:
    offsets = [[j - (n_keys - n_queries + i) for j in range(n_keys)] for i in range(n_queries)]
    assert relative_positions(n_queries, n_keys).tolist() == offsets
    clipped = clipped_positions(n_queries, n_keys, clip)
    assert clipped.tolist() == [[max(-clip, min(clip, offset)) + clip for offset in row] for row in offsets]


@pytest.mark.parametrize(("n_queries", "n_keys"), [(5, 5), (1, 7), (3, 8), (6, 2)])
def test_offsets_agree_with_the_causal_mask(n_queries: int, n_keys: int) -> None:
    assert torch.equal(relative_positions(n_queries, n_keys) <= 0, causal_mask(n_queries, n_keys))


def mesh_tensorflow_bucket(offset: int, *, bidirectional: bool, n_buckets: int, max_distance: int) -> int:
    """Raffel et al.'s rule for one offset, key minus query, with the logarithm's edge found in whole numbers."""
    first = 0
    distance = -offset
    if bidirectional:
        n_buckets //= 2
        first = n_buckets if distance < 0 else 0
        distance = abs(distance)
    distance = max(distance, 0)
    exact = n_buckets // 2
    if distance < exact:
        return first + distance
    steps = n_buckets - exact  # bucket exact + s begins where (distance / exact)^steps reaches (max / exact)^s
    s = 0
    while s + 1 < steps and distance**steps * exact ** (s + 1) >= max_distance ** (s + 1) * exact**steps:
        s += 1
    return first + exact + s


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    ("n_buckets", "max_distance"),
    [(32, 128), (32, 64), (8, 20), (16, 9), (4, 5), (46, 164), (34, 27), (10, 160), (36, 32), (10, 1000)],
)
def test_buckets_equal_t5s(causal: bool, n_buckets: int, max_distance: int) -> None:
    buckets = t5_buckets(300, 451, n_buckets=n_buckets, max_distance=max_distance, causal=causal)
    offsets = relative_positions(300, 451)
    rule = {
        offset: mesh_tensorflow_bucket(offset, bidirectional=not causal, n_buckets=n_buckets, max_distance=max_distance)
        for offset in range(-450, 300)
    }
    assert buckets.tolist() == [[rule[offset] for offset in row] for row in offsets.tolist()]
    assert buckets.min() == 0
    assert buckets.max() == n_buckets - 1


def test_buckets_of_the_published_setting() -> None:
    """32 buckets to distance 128, the same with the published float32 rule."""
    past = t5_buckets(1, 131, causal=True)[0].flip(0).tolist()
    assert past[:16] == list(range(16))
    starts = [past.index(bucket) for bucket in range(16, 32)]
    assert starts == [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]
    both = t5_buckets(131, 131)
    assert [both[-1].flip(0).tolist().index(bucket) for bucket in range(8, 16)] == [8, 12, 16, 23, 32, 46, 64, 91]
    assert both[0, 1:].tolist() == [bucket + 16 for bucket in both[-1].flip(0)[1:].tolist()]


# --- ALiBi --------------------------------------------------------------------------------------------------------


def published_slopes(n: int) -> list[float]:
    """The recursion of the authors' ``get_slopes``, said in our words."""
    if n & (n - 1) == 0:
        ratio = 2 ** (-8 / n)
        return [ratio ** (i + 1) for i in range(n)]
    below = 1
    while below * 2 < n:
        below *= 2
    return published_slopes(below) + published_slopes(2 * below)[0::2][: n - below]


def test_slopes_of_the_paper() -> None:
    assert alibi_slopes(8).tolist() == [1 / 2**i for i in range(1, 9)]
    torch.testing.assert_close(
        alibi_slopes(16, dtype=DOUBLE), torch.tensor([2 ** (-i / 2) for i in range(1, 17)], dtype=DOUBLE), **TIGHT
    )
    assert alibi_slopes(1).tolist() == [1 / 256]


@pytest.mark.parametrize("n_heads", range(1, 41))
def test_slopes_for_any_number_of_heads_follow_the_authors_code(n_heads: int) -> None:
    slopes = alibi_slopes(n_heads, dtype=DOUBLE)
    torch.testing.assert_close(slopes, torch.tensor(published_slopes(n_heads), dtype=DOUBLE), **TIGHT)
    assert len(set(slopes.tolist())) == n_heads


def test_alibi_bias_equals_a_loop() -> None:
    bias = alibi_bias(H, Q, K, dtype=DOUBLE)
    for h, slope in enumerate(published_slopes(H)):
        for i in range(Q):
            for j in range(K):
                assert abs(bias[h, i, j].item() + slope * abs(K - Q + i - j)) < 1e-12
    assert alibi_bias(H, Q, K).dtype == torch.float32


def test_alibi_score_adds_the_bias_in_the_querys_type() -> None:
    """Of 16 slopes every second is no power of two, and float32 would show."""
    zeros = torch.zeros(16, K, D, dtype=DOUBLE)
    torch.testing.assert_close(AlibiScore(16)(zeros, zeros), alibi_bias(16, K, K, dtype=DOUBLE), rtol=1e-14, atol=0)
    assert AlibiScore(16)(zeros.bfloat16(), zeros.bfloat16()).dtype == torch.bfloat16


# --- Scores -------------------------------------------------------------------------------------------------------


def pair_score(name: str, h: int, i: int, j: int, q: Tensor, k: Tensor) -> Tensor:
    """The score of one query at place i with one key at place j, as the papers write it."""
    module = SCORES[name]
    content = (q * k).sum() / math.sqrt(D)
    if name in ("interleaved", "halves"):
        pairs = pairs_of(name, D)
        base = 50.0 if name == "interleaved" else 10_000.0
        total = torch.zeros((), dtype=DOUBLE)
        for p, (a, b) in enumerate(pairs):  # Re(q conj(k) e^(i (m − n) θ))
            angle = (i - j) * base ** (-2 * p / D)
            total = total + (q[a] * k[a] + q[b] * k[b]) * math.cos(angle)
            total = total + (q[a] * k[b] - q[b] * k[a]) * math.sin(angle)
        return total / math.sqrt(D)
    if name == "alibi":
        return content - published_slopes(H)[h] * abs(i - j)
    if name.startswith("relative"):
        clip = (len(module.table) - 1) // 2
        return (q * (k + module.table[max(-clip, min(clip, j - i)) + clip])).sum() / math.sqrt(D)
    if name.startswith("buckets"):
        both = name != "buckets"
        bucket = mesh_tensorflow_bucket(j - i, bidirectional=both, n_buckets=len(module.table), max_distance=9)
        return content + module.table[bucket, h]
    if name == "places":
        return module.table[h, i, j]
    return (module.query_places[h, i] * module.key_places[h, j]).sum()


def looped(name: str, query: Tensor, key: Tensor) -> Tensor:
    n_queries, n_keys = query.shape[-2], key.shape[-2]
    rows = [
        pair_score(name, h, n_keys - n_queries + i, j, query[b, h, i], key[b, h, j])
        for b in range(B)
        for h in range(H)
        for i in range(n_queries)
        for j in range(n_keys)
    ]
    return torch.stack(rows).reshape(B, H, n_queries, n_keys)


@pytest.mark.parametrize("name", SCORES)
def test_score_and_its_gradients_equal_the_loop_over_pairs(name: str) -> None:
    query, key = randn(B, H, Q, D).requires_grad_(), randn(B, H, K, D, seed=1).requires_grad_()
    found, expected = SCORES[name](query, key), looped(name, query, key)
    assert found.shape == (B, H, Q, K)
    torch.testing.assert_close(found, expected, **TIGHT)
    wanted = [query, key, *SCORES[name].parameters()]
    upstream = randn(B, H, Q, K, seed=7)
    for ours, theirs in zip(
        torch.autograd.grad(found, wanted, upstream, allow_unused=True),
        torch.autograd.grad(expected, wanted, upstream, allow_unused=True),
        strict=True,
    ):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs, **TIGHT)


@pytest.mark.parametrize("name", SCORES)
def test_last_queries_score_as_among_all(name: str) -> None:
    """What a key–value cache needs: the queries stand at the end, wherever they came from."""
    query, key = randn(B, H, K, D), randn(B, H, K, D, seed=1)
    full = SCORES[name](query, key)
    for n in (1, 4):
        torch.testing.assert_close(SCORES[name](query[..., -n:, :], key), full[..., -n:, :], **TIGHT)
    torch.testing.assert_close(SCORES[name](query[..., :7, :], key[..., :7, :]), full[..., :7, :7], **TIGHT)


@pytest.mark.parametrize("name", BY_OFFSET)
def test_the_same_vector_everywhere_scores_by_offset_only(name: str) -> None:
    query, key = randn(1, H, 1, D).expand(B, H, K, D), randn(1, H, 1, D, seed=1).expand(B, H, K, D)
    found = SCORES[name](query, key)
    torch.testing.assert_close(found[..., 1:, 1:], found[..., :-1, :-1], **TIGHT)
    far = (found[..., -1, 0] - found[..., -1, -1]).abs().max()
    assert (far > 1e-3) == (name != "relative, blind")


@pytest.mark.parametrize("name", ["places", "places, factorised"])
def test_positional_attention_does_not_look(name: str) -> None:
    first = SCORES[name](randn(B, H, Q, D), randn(B, H, K, D))
    second = SCORES[name](randn(B, H, Q, D, seed=8), randn(B, H, K, D, seed=9))
    assert torch.equal(first, second)


def test_rank_bounds_the_scores_of_places() -> None:
    query = randn(1, H, 13, D)
    found = SCORES["places, factorised"](query, query)[0]
    assert [int(torch.linalg.matrix_rank(head)) for head in found] == [2] * H
    assert int(torch.linalg.matrix_rank(SCORES["places"](query, query)[0, 0])) > 2
    assert sum(p.numel() for p in PositionScore(3, 13, rank=2).parameters()) == 2 * 3 * 13 * 2
    assert sum(p.numel() for p in PositionScore(3, 13).parameters()) == 3 * 13 * 13


@pytest.mark.parametrize("name", SCORES)
def test_attention_with_a_score_works_step_by_step(name: str) -> None:
    """A layer fed one position at a time, keys and values kept, gives what it gives at once under a causal mask."""
    torch.manual_seed(1)
    layer = MultiHeadAttention(H * D, H, score=SCORES[name]).double()
    x = randn(B, K, H * D)
    at_once, _ = layer(x, x, x, causal_mask(K))
    keys, values = layer.keys_and_values(x, x)
    steps = [layer.look(x[:, t : t + 1], keys[..., : t + 1, :], values[..., : t + 1, :])[0] for t in range(K)]
    torch.testing.assert_close(torch.cat(steps, dim=1), at_once, **TIGHT)


@pytest.mark.parametrize("name", SCORES)
def test_scores_keep_float32_and_their_arguments(name: str) -> None:
    module = scores()[name].float()
    query, key = randn(B, H, Q, D).float(), randn(B, H, K, D).float()
    before = query.clone(), key.clone()
    found = module(query, key)
    assert found.dtype == torch.float32
    assert torch.equal(query, before[0])
    assert torch.equal(key, before[1])
    assert torch.equal(module(query, key), found)


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_learned_is_saved(name: str) -> None:
    torch.manual_seed(3)
    fresh = scores()[name]
    for parameter in fresh.parameters():
        nn.init.zeros_(parameter)
    fresh.load_state_dict(SCORES[name].state_dict())
    query, key = randn(B, H, Q, D), randn(B, H, K, D)
    assert torch.equal(fresh(query, key), SCORES[name](query, key))


def test_the_fixed_scores_have_nothing_to_save() -> None:
    assert [name for name, module in SCORES.items() if not module.state_dict()] == ["interleaved", "halves", "alibi"]


# --- Learned positions, and what is refused -----------------------------------------------------------------------


def test_learned_positions_are_the_first_rows_of_a_table() -> None:
    torch.manual_seed(0)
    positions = LearnedPositions(401, 30)
    assert torch.equal(positions(7), positions.table[:7])
    assert positions(401).shape == (401, 30)
    assert abs(positions.table.square().mean().item() - 0.5) < 0.03  # 3.3 standard errors of 12,030 numbers
    positions(3).sum().backward()
    assert positions.table.grad is not None
    assert torch.equal(positions.table.grad.sum(-1), torch.tensor([30.0] * 3 + [0.0] * 398))


QUERY, KEY = torch.zeros(B, H, Q, D), torch.zeros(B, H, K, D)
REFUSED = {
    "sinusoidal_encoding: length: expected at least 0, got -1": lambda: sinusoidal_encoding(-1, 6),
    "sinusoidal_encoding: width: expected an even number": lambda: sinusoidal_encoding(5, 7),
    "sinusoidal_encoding: base: expected a positive number, got -2": lambda: sinusoidal_encoding(5, 6, base=-2.0),
    "sinusoidal_shift: width: expected an even number": lambda: sinusoidal_shift(1, 0),
    r"rotary_angles: positions: expected shape \[T\], got \(1, 3\)": lambda: rotary_angles(torch.zeros(1, 3), 6),
    "rotary_angles: width: expected an even number": lambda: rotary_angles(torch.zeros(3), 5),
    "apply_rotary: x needs at least 2 dimensions": lambda: apply_rotary(torch.zeros(6), torch.arange(6)),
    r"apply_rotary: positions needs shape \(5,\), got \(4,\)": lambda: apply_rotary(QUERY, torch.arange(4)),
    "apply_rotary: pairing: expected one of interleaved, halves, got 'half'": lambda: apply_rotary(
        QUERY,
        torch.arange(Q),
        pairing="half",
    ),
    "apply_rotary: x: expected a floating-point type, got torch.int64": lambda: apply_rotary(
        torch.zeros(3, 4, dtype=torch.int64), torch.arange(3)
    ),
    "apply_rotary: width: expected an even number": lambda: apply_rotary(QUERY[..., :5], torch.arange(Q)),
    "RotaryScore: pairing: expected one of": lambda: RotaryScore("both"),
    "RotaryScore: base: expected a positive number": lambda: RotaryScore(base=0.0),
    "RotaryScore: key width 12 differs from query width 14": lambda: RotaryScore()(QUERY, KEY[..., :12]),
    "RotaryScore: width: expected an even number": lambda: RotaryScore()(QUERY[..., :5], KEY[..., :5]),
    "relative_positions: n_keys: expected at least 0, got -1": lambda: relative_positions(2, -1),
    "clipped_positions: clip: expected at least 0, got -1": lambda: clipped_positions(2, 2, -1),
    "clipped_positions: n_queries: expected at least 0, got -2": lambda: clipped_positions(-2, 2, 1),
    "RelativeScore: clip: expected at least 0": lambda: RelativeScore(5, -1),
    "RelativeScore: head_width: expected at least 1": lambda: RelativeScore(0, 1),
    "RelativeScore: query width 14 differs from head width 13": lambda: RelativeScore(13, 1)(QUERY, KEY),
    "t5_buckets: n_buckets: expected an even number, at least 4": lambda: t5_buckets(2, 2, n_buckets=7),
    "t5_buckets: n_buckets: expected at least 2, got 1": lambda: t5_buckets(2, 2, n_buckets=1, causal=True),
    "t5_buckets: max_distance: expected more than 8 exact": lambda: t5_buckets(2, 2, max_distance=8),
    "t5_buckets: n_queries: expected at least 0": lambda: t5_buckets(-2, 2),
    "BucketScore: n_buckets: expected an even number": lambda: BucketScore(H, 9, causal=False),
    "BucketScore: n_heads: expected at least 1": lambda: BucketScore(0),
    r"BucketScore: query: expected 4 heads \[..., 4, length, width\], got shape \(2, 3, 5, 14\)": lambda: BucketScore(
        4
    )(QUERY, KEY),
    "alibi_slopes: n_heads: expected at least 1, got 0": lambda: alibi_slopes(0),
    "alibi_bias: n_heads: expected at least 1": lambda: alibi_bias(0, 2, 3),
    "alibi_bias: n_queries: expected at least 0": lambda: alibi_bias(2, -1, 3),
    "AlibiScore: n_heads: expected at least 1": lambda: AlibiScore(0),
    r"AlibiScore: query: expected 3 heads .*, got shape \(5, 14\)": lambda: AlibiScore(H)(QUERY[0, 0], KEY[0, 0]),
    "AlibiScore: key: expected 3 heads": lambda: AlibiScore(H)(QUERY, KEY[:, :1]),
    "PositionScore: rank: expected at least 1, got 0": lambda: PositionScore(H, 5, rank=0),
    "PositionScore: length: expected at least 1": lambda: PositionScore(H, 0),
    "PositionScore: expected at most 10 positions, which is what was learned, got 11": lambda: PositionScore(H, 10)(
        QUERY, KEY
    ),
    "PositionScore: query: expected at most 5 queries, one a key, got 11": lambda: PositionScore(H, 12)(KEY, QUERY),
    "LearnedPositions: expected at most 6 positions, which is what was learned, got 7": lambda: LearnedPositions(6, 3)(
        7
    ),
    "LearnedPositions: n: expected at least 0": lambda: LearnedPositions(6, 3)(-1),
    "LearnedPositions: width: expected at least 1": lambda: LearnedPositions(6, 0),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_work_is_refused_in_one_line(message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        REFUSED[message]()
    assert "\n" not in str(caught.value)


def test_every_public_name_has_a_docstring() -> None:
    own = [
        value
        for name, value in vars(positional).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == positional.__name__
    ]
    assert len(own) == 15
    assert all(value.__doc__ for value in own)
