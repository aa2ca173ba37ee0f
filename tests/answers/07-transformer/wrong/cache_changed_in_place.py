"""Appends to the cache that it was given."""

FAILS = ["cache-visible", "cache-hidden"]

# %% cache
def continue_text(tokens: Tensor, cache, model: dict) -> tuple[Tensor, object]:
    """Logits [n, N] after each of the next tokens [n] of a text, and the cache for what follows."""
    cache = [[] for _ in model["layers"]] if cache is None else cache
    before = sum(keys.shape[1] for keys, _ in cache[0])
    positions = torch.arange(before, before + len(tokens))
    allowed = torch.arange(before + len(tokens)) <= positions[:, None]
    x = model["embed"](tokens)
    for number, layer in enumerate(model["layers"]):
        queries = rotate(layer["query"](x), positions)
        keys = rotate(layer["key"](x), positions)
        values = layer["value"](x)
        cache[number].append((keys, values))
        keys, values = (torch.cat(each, dim=1) for each in zip(*cache[number]))
        x = layer["finish"](x, attend(queries, keys, values, allowed[None]))
    return model["logits"](x), cache
