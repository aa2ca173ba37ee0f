"""Computes the values of all places again, from vectors that it keeps."""

FAILS = ["cache-visible", "cache-hidden"]

# %% cache
def continue_text(tokens: Tensor, cache, model: dict) -> tuple[Tensor, object]:
    """Logits [n, N] after each of the next tokens [n] of a text, and the cache for what follows."""
    before = 0 if cache is None else cache[0][0].shape[1]
    positions = torch.arange(before, before + len(tokens))
    allowed = torch.arange(before + len(tokens)) <= positions[:, None]
    x, kept = model["embed"](tokens), []
    for number, layer in enumerate(model["layers"]):
        queries = rotate(layer["query"](x), positions)
        keys = rotate(layer["key"](x), positions)
        old_and_new = x if cache is None else torch.cat([cache[number][1], x])
        values = layer["value"](old_and_new)
        if cache is not None:
            keys = torch.cat([cache[number][0], keys], dim=1)
            pass
        kept.append((keys, old_and_new))
        x = layer["finish"](x, attend(queries, keys, values, allowed[None]))
    return model["logits"](x), kept
