"""The Transformer against torch's stacks between embeddings written out in loops, in float64; all sizes differ."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from test_blocks import EXACT, NORMS, as_torch, fill_torch, filled, randn
from torch import Tensor, nn

from course_utils import checks
from course_utils.data import BOS, EOS, PAD, Pair, make_corpus
from course_utils.seq2seq import count_parameters, shift_right
from course_utils.training import TrainingConfig, evaluate, seeded, train
from course_utils.transformer import Transformer, with_heads

B, S, T, H, E, F, L, N_SOURCE, N = 3, 7, 5, 2, 12, 17, 4, 13, 19
SOURCE_LENGTHS, TARGET_LENGTHS = (7, 2, 4), (3, 5, 1)


def ids(*shape: int, high: int, seed: int = 0) -> Tensor:
    return torch.randint(4, high, shape, generator=torch.Generator().manual_seed(seed))


def source_and_mask() -> tuple[Tensor, Tensor]:
    mask = torch.arange(S) < torch.tensor(SOURCE_LENGTHS)[:, None]
    return ids(B, S, high=N_SOURCE).masked_fill(~mask, PAD), mask


def target() -> Tensor:
    rows = ids(B, T, high=N, seed=3)
    for row, length in enumerate(TARGET_LENGTHS):
        rows[row, length - 1] = EOS
        rows[row, length:] = PAD
    return rows


def real_tokens() -> Tensor:
    return torch.arange(T) < torch.tensor(TARGET_LENGTHS)[:, None]


def model(norm: str = "post", **options: object) -> Transformer:
    sizes = {"width": E, "n_heads": H, "hidden_width": F, "n_layers": L, "dropout": 0.0}
    return filled(Transformer(N_SOURCE, N, norm=norm, **(sizes | options)))


def talkative(norm: str, seed: int) -> Transformer:
    """A random model that does not say one word for ever, as a tied output map makes it: the last sign is turned."""
    made = filled(model(norm), seed)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name:
                parameter.fill_(float(name.endswith("weight")))
            else:
                parameter.mul_(0.3)
        last = made.decoder_norm if norm == "pre" else made.decoder[-1].around_feed_forward.norm
        last.weight.neg_()
    return made


# --- Against torch ------------------------------------------------------------------------------------------------


def sinusoid(t: int, i: int) -> float:
    angle = t / 10_000 ** ((i - i % 2) / E)
    return math.cos(angle) if i % 2 else math.sin(angle)


def embedded_by_hand(table: Tensor, tokens: Tensor) -> Tensor:
    places = torch.tensor([[sinusoid(t, i) for i in range(E)] for t in range(tokens.shape[1])], dtype=torch.float64)
    return table[tokens] * math.sqrt(E) + places


def torch_stacks(made: Transformer, norm: str) -> tuple[nn.Module, nn.Module]:
    options = {"dropout": 0.0, "batch_first": True, "norm_first": norm == "pre", "dtype": torch.float64}
    ends = [nn.LayerNorm(E).double() if norm == "pre" else None for _ in range(2)]
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(E, H, F, **options), L, norm=ends[0], enable_nested_tensor=False
    )
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(E, H, F, **options), L, norm=ends[1])
    for kind, stack, own, norms in (
        ("encoder", encoder, made.encoder, made.encoder_norm),
        ("decoder", decoder, made.decoder, made.decoder_norm),
    ):
        for layer, block in zip(stack.layers, own, strict=True):
            fill_torch(layer, block, kind)
        if stack.norm is not None:
            stack.norm.load_state_dict(norms.state_dict())
    return encoder, decoder


@pytest.mark.parametrize("norm", NORMS)
def test_the_whole_is_torchs_stacks_between_tied_embeddings_forward_and_backward(norm: str) -> None:
    made, (source, mask), written = model(norm), source_and_mask(), target()
    encoder, decoder = torch_stacks(made, norm)
    tables = [
        table.weight.detach().clone().requires_grad_() for table in (made.source_embedding, made.target_embedding)
    ]
    memory = encoder(embedded_by_hand(tables[0], source), src_key_padding_mask=~mask)
    states = decoder(
        embedded_by_hand(tables[1], shift_right(written)),
        memory,
        tgt_mask=torch.ones(T, T, dtype=torch.bool).triu(1),
        memory_key_padding_mask=~mask,
    )
    expected = states @ tables[1].T
    logits = made(source, mask, written)
    torch.testing.assert_close(logits, expected, **EXACT)
    torch.testing.assert_close(made.encode(source, mask)[0], memory, **EXACT)

    upstream = randn(B, T, N)
    (expected * upstream).sum().backward()
    (logits * upstream).sum().backward()
    torch.testing.assert_close(made.source_embedding.weight.grad, tables[0].grad, **EXACT)
    torch.testing.assert_close(made.target_embedding.weight.grad, tables[1].grad, **EXACT)
    for kind, stack, own in (("encoder", encoder, made.encoder), ("decoder", decoder, made.decoder)):
        for layer, block in zip(stack.layers, own, strict=True):
            ours = as_torch({name: p.grad for name, p in block.named_parameters()}, kind)
            theirs = {name: p.grad for name, p in layer.named_parameters()}
            torch.testing.assert_close(ours, {name: theirs[name] for name in ours}, **EXACT)


def test_one_vocabulary_has_one_embedding() -> None:
    made = filled(
        Transformer(N, N, width=E, n_heads=H, hidden_width=F, n_layers=L, norm="pre", dropout=0.0, shared=True)
    )
    assert made.source_embedding is made.target_embedding
    apart = model("pre", n_layers=L)
    assert apart.source_embedding is not apart.target_embedding
    with_two = filled(Transformer(N, N, width=E, n_heads=H, hidden_width=F, n_layers=L, norm="pre", dropout=0.0))
    with_two.load_state_dict(made.state_dict())
    (source, mask), written = source_and_mask(), target()
    torch.testing.assert_close(with_two(source, mask, written), made(source, mask, written))


def test_embeddings_begin_so_that_what_enters_a_block_has_variance_one() -> None:
    with seeded(1):
        made = Transformer(3_000, 3_000, width=64, n_heads=H, hidden_width=8, n_layers=1, shared=True)
    assert abs(made.target_embedding.weight.std().item() * 8 - 1) < 0.01


def test_the_dropout_of_embeddings_acts_on_the_sum_with_the_positions() -> None:
    made, (source, mask) = model("pre", dropout=1.0).train(), source_and_mask()
    memory, weights = made.encode(source, mask)
    torch.testing.assert_close(memory, made.encoder_norm.bias.expand(B, S, E))
    for layer in weights:
        checks.check_rows_sum_to_one(layer, mask[:, None, None])


# --- Counts -------------------------------------------------------------------------------------------------------


def attention_parameters(width: int) -> int:
    return 4 * width**2


def feed_forward_parameters(width: int, hidden: int) -> int:
    return 2 * width * hidden + hidden + width


def by_layer(made: Transformer) -> dict[str, int]:
    """Parameters of the embeddings, of each block and of each final norm."""
    counts: dict[str, int] = {}
    for name, count in count_parameters(made).items():
        part = ".".join(name.split(".")[: 1 + name.split(".")[-1].isdigit()])
        part = ".".join(name.split(".")[:2]) if name.startswith(("encoder.", "decoder.")) else part
        counts[part] = counts.get(part, 0) + count
    return counts


@pytest.mark.parametrize("norm", NORMS)
def test_every_layer_has_as_many_parameters_as_the_formulas_say(norm: str) -> None:
    counts = by_layer(Transformer(N_SOURCE, N, width=E, n_heads=H, hidden_width=F, n_layers=L, norm=norm))
    encoder = attention_parameters(E) + feed_forward_parameters(E, F) + 2 * 2 * E
    decoder = 2 * attention_parameters(E) + feed_forward_parameters(E, F) + 3 * 2 * E
    expected = {"source_embedding": N_SOURCE * E, "target_embedding": N * E}
    expected |= {f"encoder.{i}": encoder for i in range(L)} | {f"decoder.{i}": decoder for i in range(L)}
    if norm == "pre":
        expected |= {"encoder_norm": 2 * E, "decoder_norm": 2 * E}
    assert counts == expected


def test_the_base_model_has_63_million_parameters_within_4_percent_of_the_papers_65() -> None:
    with torch.device("meta"):
        made = Transformer(37_000, 37_000, width=512, n_heads=8, hidden_width=2048, n_layers=6, shared=True)
    encoder = attention_parameters(512) + feed_forward_parameters(512, 2048) + 4 * 512
    decoder = 2 * attention_parameters(512) + feed_forward_parameters(512, 2048) + 6 * 512
    total = sum(count_parameters(made).values())
    assert total == 37_000 * 512 + 6 * encoder + 6 * decoder == 63_045_632
    assert abs(total / 65e6 - 1) < 0.04


# --- What it may see ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_padding_changes_nothing(norm: str) -> None:
    made, (source, mask), written = model(norm), source_and_mask(), target()
    logits, (memory, _) = made(source, mask, written), made.encode(source, mask)
    other = made(source.masked_fill(~mask, 9), mask, written.masked_fill(~real_tokens(), 11))
    torch.testing.assert_close(logits[real_tokens()], other[real_tokens()])
    for row, (n, length) in enumerate(zip(SOURCE_LENGTHS, TARGET_LENGTHS, strict=True)):
        alone = source[row : row + 1, :n], torch.ones(1, n, dtype=torch.bool)
        torch.testing.assert_close(made(*alone, written[row : row + 1, :length])[0], logits[row, :length])
        torch.testing.assert_close(made.encode(*alone)[0][0], memory[row, :n])


def test_padding_of_the_source_gets_no_gradient() -> None:
    made, (source, mask) = model(), source_and_mask()
    made(source, mask, target())[real_tokens()].square().sum().backward()
    assert (made.source_embedding.weight.grad[PAD] == 0).all()
    assert (made.source_embedding.weight.grad[source[mask].unique()] != 0).any(-1).all()


@pytest.mark.parametrize("norm", NORMS)
def test_no_token_is_scored_with_itself_or_the_future(norm: str) -> None:
    made, (source, mask), written = model(norm), source_and_mask(), target()
    before = made(source, mask, written)
    for t in range(T):
        changed = written.clone()
        changed[:, t:] = ids(B, T - t, high=N, seed=8)
        after = made(source, mask, changed)
        torch.testing.assert_close(after[:, : t + 1], before[:, : t + 1], **EXACT)
        moved = (written[:, t] != changed[:, t]) & (t + 1 < T)
        assert ((after - before)[:, t + 1 :].abs().sum((1, 2)) > 1e-6)[moved].all()


@pytest.mark.parametrize("norm", NORMS)
def test_every_block_of_the_decoder_looks_at_the_whole_encoders_output(norm: str) -> None:
    made, (source, mask) = model(norm), source_and_mask()
    seen: list[Tensor] = []
    for block in made.decoder:
        block.cross_attention.key_map.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    made(source, mask, target())
    assert len(seen) == L
    memory = made.encode(source, mask)[0]
    assert all(torch.equal(each, memory) for each in seen)


def test_the_weights_are_those_of_the_pass_and_are_masked() -> None:
    made, (source, mask), written = model("pre"), source_and_mask(), target()
    maps = made.weights(source, mask, written)
    assert [len(kind) for kind in maps] == [L, L, L]
    triangle = torch.ones(T, T, dtype=torch.bool).tril()
    for encoder, decoder, cross in zip(*maps, strict=True):
        assert (encoder.shape, decoder.shape, cross.shape) == ((B, H, S, S), (B, H, T, T), (B, H, T, S))
        for weights, allowed in ((encoder, mask[:, None, None]), (decoder, triangle), (cross, mask[:, None, None])):
            checks.check_rows_sum_to_one(weights)
            assert (weights * ~allowed == 0).all()
            assert (weights > 0).sum() == allowed.expand(weights.shape).sum()
    memory, encoder_weights = made.encode(source, mask)
    assert all(torch.equal(one, other) for one, other in zip(encoder_weights, maps.encoder, strict=True))
    block, x = made.decoder[0], embedded_by_hand(made.target_embedding.weight, shift_right(written))
    torch.testing.assert_close(block(x, memory, triangle, mask[:, None, None])[1:], (maps.decoder[0], maps.cross[0]))


# --- Writing ------------------------------------------------------------------------------------------------------


def greedy_by_hand(made: Transformer, source: Tensor, mask: Tensor, max_length: int) -> list[int]:
    """One sentence, everything computed anew for each token."""
    written: list[int] = []
    while len(written) < max_length and EOS not in written:
        row = torch.tensor([[*written, EOS]])
        written.append(made(source, mask, row)[0, -1].argmax().item())
    return written


@pytest.mark.parametrize("norm", NORMS)
def test_greedy_decoding_with_a_cache_writes_what_it_writes_without(norm: str) -> None:
    (source, mask), seen = source_and_mask(), set()
    for seed in range(2):
        made = talkative(norm, seed)
        written = made.greedy_decode(source, mask, max_length=9)
        for row, n in enumerate(SOURCE_LENGTHS):
            expected = greedy_by_hand(made, source[row : row + 1, :n], mask[row : row + 1, :n], 9)
            assert written[row].tolist() == expected + [PAD] * (written.shape[1] - len(expected))
            seen.add(tuple(expected))
    assert len({len(each) for each in seen}) > 1
    assert max(len(set(each)) for each in seen) > 3


def test_decoding_begins_with_bos_and_stops_at_the_end_or_the_limit() -> None:
    made, (source, mask) = model(), source_and_mask()
    assert made.greedy_decode(source, mask, 1).shape == (B, 1)
    made.target_embedding.weight.data.zero_()
    made.target_embedding.weight.data[BOS] = 1.0
    made.target_embedding.weight.data[EOS] = 2.0
    made.decoder[-1].around_feed_forward.norm.weight.data.zero_()
    made.decoder[-1].around_feed_forward.norm.bias.data.fill_(1.0)
    assert made.greedy_decode(source, mask, 9).tolist() == [[EOS]] * B


def test_nothing_is_kept_and_no_argument_changes() -> None:
    made, (source, mask), written = model(), source_and_mask(), target()
    copies = [x.clone() for x in (source, mask, written)]
    parts = {name: set(vars(part)) for name, part in made.named_modules()}
    first = made(source, mask, written)
    made.greedy_decode(source, mask, 4)
    made.weights(source, mask, written)
    assert torch.equal(made(source, mask, written), first)
    assert {name: set(vars(part)) for name, part in made.named_modules()} == parts
    assert not list(made.buffers())
    assert all(torch.equal(x, copy) for x, copy in zip((source, mask, written), copies, strict=True))


@pytest.mark.parametrize("norm", NORMS)
def test_it_learns_to_turn_words_round_by_the_same_training_as_a_recurrent_model(norm: str) -> None:
    pairs = [Pair(word, word[::-1], 2) for word in product("abcde", repeat=2)]
    corpus = make_corpus("turned round", pairs, [])
    with seeded(1):
        made = Transformer(
            len(corpus.source), len(corpus.target), width=24, n_heads=3, hidden_width=31, n_layers=1, norm=norm
        )
    config = TrainingConfig(steps=100, batch_size=25, learning_rate=1e-2, label_smoothing=0.05, seed=2)
    history = train(made, corpus, config)
    assert history.losses[-1] < 0.5 * history.losses[0]
    assert evaluate(made, corpus.train, corpus).overall.exact_match > 0.9


# --- Heads --------------------------------------------------------------------------------------------------------


def test_switching_a_head_off_takes_its_columns_out_of_the_output_map() -> None:
    made, (source, mask), written = model("pre"), source_and_mask(), target()
    before = made(source, mask, written)
    for kind, (stack, name) in enumerate(
        (("encoder", "attention"), ("decoder", "attention"), ("decoder", "cross_attention"))
    ):
        heads = torch.ones(3, L, H, dtype=torch.bool)
        heads[kind, 2, 1] = False
        expected = model("pre")
        column = slice(E // H, 2 * (E // H))
        getattr(getattr(expected, stack)[2], name).output_map.weight.data[:, column] = 0
        after = with_heads(made, heads)(source, mask, written)
        torch.testing.assert_close(after, expected(source, mask, written), **EXACT)
        assert not torch.allclose(after, before)
    assert torch.equal(made(source, mask, written), before)
    assert torch.equal(with_heads(made, torch.ones(3, L, H))(source, mask, written), before)


def test_a_copy_with_other_heads_still_shares_its_embedding() -> None:
    made = filled(Transformer(N, N, width=E, n_heads=H, hidden_width=F, n_layers=L, shared=True))
    changed = with_heads(made, torch.zeros(3, L, H))
    assert changed.source_embedding is changed.target_embedding is not made.target_embedding


# --- What is refused ----------------------------------------------------------------------------------------------


def wrong_calls() -> dict[str, tuple[object, str]]:
    made, (source, mask), written = model(), source_and_mask(), target()
    sizes = {"width": E, "n_heads": H, "hidden_width": F, "n_layers": L}
    return {
        "an odd width": (lambda: Transformer(N, N, **(sizes | {"width": 9})), "even width"),
        "no layer": (lambda: Transformer(N, N, **(sizes | {"n_layers": 0})), "at least 1 layer"),
        "an unknown norm": (lambda: Transformer(N, N, **sizes, norm="both"), "norm: expected 'post' or 'pre'"),
        "two sizes to share": (lambda: Transformer(N_SOURCE, N, **sizes, shared=True), "shared: expected"),
        "a mask of numbers": (lambda: made(source, mask.double(), written), "source_mask: expected"),
        "a mask of another shape": (lambda: made(source, mask[:, 1:], written), "source_mask: expected"),
        "a source of floats": (lambda: made(source.double(), mask, written), "source: expected shape"),
        "an empty source": (lambda: made(source[:, :0], mask[:, :0], written), "source: expected shape"),
        "a target of one axis": (lambda: made(source, mask, written[0]), "target: expected shape"),
        "targets of another batch": (lambda: made(source, mask, written[1:]), "expected 3 sentences"),
        "no room to write": (lambda: made.greedy_decode(source, mask, 0), "max_length: expected at least 1"),
        "other heads": (lambda: with_heads(made, torch.ones(3, H, L)), "heads: expected"),
    }


@pytest.mark.parametrize("what", wrong_calls())
def test_what_cannot_work_is_refused_in_one_line(what: str) -> None:
    call, message = wrong_calls()[what]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
