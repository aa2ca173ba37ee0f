"""Keeps the text and computes everything again."""

FAILS = ["cache-visible", "cache-hidden"]

# %% cache
def continue_text(tokens: Tensor, cache, model: dict) -> tuple[Tensor, object]:
    """Logits [n, N] after each of the next tokens [n] of a text, and the cache for what follows."""
    text = tokens if cache is None else torch.cat([cache, tokens])
    return all_logits(text, model)[-len(tokens) :], text
