import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.masks import causal_mask, padding_mask, sliding_window_mask

lengths = st.integers(0, 9)


@given(lengths, lengths)
def test_causal_mask_is_aligned_at_the_last_query_and_key(n_queries: int, n_keys: int) -> None:
    mask = causal_mask(n_queries, n_keys)
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[n_keys - 1 - j >= n_queries - 1 - i for j in range(n_keys)] for i in range(n_queries)]


def test_square_causal_mask_agrees_with_torch() -> None:
    query, key = torch.randn(1, 1, 5, 7), torch.randn(1, 1, 5, 7)
    attention = torch.nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(
        attention(query, key, key, attn_mask=causal_mask(5)), attention(query, key, key, is_causal=True)
    )


@given(lengths, lengths, st.integers(1, 12))
def test_sliding_window_counts_positions_from_the_querys_own(n_queries: int, n_keys: int, window: int) -> None:
    mask = sliding_window_mask(n_queries, n_keys, window)
    for i in range(n_queries):
        own = n_keys - (n_queries - i)
        assert mask[i].tolist() == [j in range(own - window + 1, own + window) for j in range(n_keys)]


def test_padding_mask_allows_the_first_of_each_sequence() -> None:
    mask = padding_mask(torch.tensor([3, 0, 5]), 5)
    assert mask.shape == (3, 1, 5)
    assert mask[:, 0].int().tolist() == [[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: causal_mask(-1, 3), "causal_mask: lengths cannot be negative, got -1 queries and 3 keys"),
        (lambda: sliding_window_mask(3, -2, 1), "sliding_window_mask: lengths cannot be negative"),
        (lambda: sliding_window_mask(3, 3, 0), "sliding_window_mask: window needs to be at least 1, got 0"),
        (lambda: padding_mask(torch.tensor([6]), 5), r"lengths need to lie between 0 and 5, got \[6\]"),
        (lambda: padding_mask(torch.tensor([-1, 2]), 5), "lengths need to lie between 0 and 5"),
        (lambda: padding_mask(torch.tensor([[1]]), 5), r"integers of shape \[B\], got torch.int64 \(1, 1\)"),
        (lambda: padding_mask(torch.tensor([1.0]), 5), r"integers of shape \[B\], got torch.float32"),
    ],
)
def test_input_that_cannot_work_is_refused_by_name(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
