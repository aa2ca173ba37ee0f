"""Expands the square: q² - 2qk + k² cancels for near neighbours far from the origin."""

FAILS = ["similarities-hidden"]

# %% similarities
def dot_scores(queries, keys):
    return queries @ keys


def cosine_scores(queries, keys):
    lengths = queries.norm(dim=1, keepdim=True) * keys.norm(dim=0, keepdim=True)
    return queries @ keys / lengths.clamp(min=1e-12)


def distance_scores(queries, keys, widths):
    differences = queries[:, :, None] - keys[None]
    return (
        2 * (queries / widths) @ (keys / widths[:, None])
        - (queries / widths).square().sum(1, keepdim=True)
        - (keys / widths[:, None]).square().sum(0)
    )
