"""The mask of a chunk begins at the first key."""

FAILS = ["cache-visible", "cache-hidden"]

# %% cache
def continue_text(tokens: Tensor, cache, model: dict) -> tuple[Tensor, object]:
    """Logits [n, N] after each of the next tokens [n] of a text, and the cache for what follows."""
    before = 0 if cache is None else cache[0][0].shape[1]
    positions = torch.arange(before, before + len(tokens))
    allowed = torch.arange(before + len(tokens)) <= torch.arange(len(tokens))[:, None]
    x, kept = model["embed"](tokens), []
    for number, layer in enumerate(model["layers"]):
        queries = rotate(layer["query"](x), positions)
        keys = rotate(layer["key"](x), positions)
        values = layer["value"](x)
        if cache is not None:
            keys = torch.cat([cache[number][0], keys], dim=1)
            values = torch.cat([cache[number][1], values], dim=1)
        kept.append((keys, values))
        x = layer["finish"](x, attend(queries, keys, values, allowed[None]))
    return model["logits"](x), kept
