"""Cases of the Triton kernels, run in Triton's interpreter by a process of its own; a line of JSON for each.

``TRITON_INTERPRET=1 python tests/interpreted_cases.py``; tests/test_flash_triton.py starts it and judges what it says.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from test_flash import error, inputs, randn, reference, scores_of
from torch import Tensor

from course_utils.flash import naive_attention

LENGTHS, WIDTHS = (1, 17, 64, 100, 257), (16, 64, 128)
TILINGS = [(16, 16), (64, 16), (16, 64), (32, 128), (128, 32)]
ODD_WIDTHS = [(24, 80), (96, 16), (80, 24), (33, 100), (128, 128), (16, 127)]


@dataclass(frozen=True)
class Case:
    """Attention to random tensors with two batch entries, the queries of the second multiplied by ``factor``."""

    n_queries: int
    n_keys: int
    width: int
    value_width: int = 24
    causal: bool = False
    factor: int = 1
    dtype: str = "float32"
    tiling: tuple[int, int] = (64, 128)
    backward: bool = False
    by_logsumexp: bool = False  # differentiate it too


def cases() -> Iterator[Case]:
    """All lengths with each other and all widths, each shape backward with one of them; then one thing at a time."""
    for number, (n_queries, n_keys, causal) in enumerate(itertools.product(LENGTHS, LENGTHS, (False, True))):
        for width in WIDTHS:
            backward = width == WIDTHS[number % 3]
            yield Case(n_queries, n_keys, width, causal=causal, factor=60, backward=backward)
    for number, tiling in enumerate(TILINGS):
        yield Case(100, 77, 16, causal=number % 2 == 0, tiling=tiling, backward=True)
    for (width, value_width), dtype in zip(ODD_WIDTHS, itertools.cycle(("float32", "float16")), strict=False):
        yield Case(17, 50, width, value_width, causal=True, dtype=dtype, tiling=(16, 32), backward=True)
    for (n_queries, n_keys), causal in itertools.product([(100, 64), (64, 100), (33, 129)], (False, True)):
        yield Case(n_queries, n_keys, 64, causal=causal, dtype="float16", tiling=(32, 32), backward=True)
    for shift in (-2, -1, 1, 2):  # the diagonal beside the corners of tiles
        yield Case(40, 40 + shift, 16, causal=True, tiling=(16, 16), backward=True)
    for (n_queries, n_keys), causal in itertools.product([(17, 33), (33, 17), (64, 64)], (False, True)):
        yield Case(n_queries, n_keys, 16, causal=causal, tiling=(16, 16), backward=True, by_logsumexp=True)


def main() -> None:
    """Run all cases, then what is no comparison, and print what came out."""
    torch.set_num_threads(1)
    for case in cases():
        print(json.dumps({"case": asdict(case), **run(case)}), flush=True)
    for name, check in CHECKS.items():
        print(json.dumps({"check": name, "found": check()}), flush=True)


def run(case: Case) -> dict[str, Any]:
    """The errors of kernels and naive form, by result and batch entry, and what the kernels moved and multiplied.

    At ``factor`` times the logits the naive error is the largest of six orders in which a score can be summed: of one
    order alone it is a matter of luck (see tests/test_flash.py).
    """
    from course_utils.flash_triton import Tiling, flash_attention
    from course_utils.interpreted import counted

    dtype = getattr(torch, case.dtype)
    query, key, value = inputs(case.n_queries, case.n_keys, case.width, case.value_width, 2, dtype=dtype)
    query = query * torch.tensor([1, case.factor], dtype=dtype)[:, None, None]
    tensors = [query, key, value]
    upstream = [randn(2, case.n_queries, case.value_width, seed=7), randn(2, case.n_queries, seed=8)]
    tiling = Tiling(*case.tiling, 4, 2)

    def exact(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return reference(q, k, v, case.causal), scores_of(q, k, case.causal).logsumexp(-1)

    def naive(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return naive_attention(q, k, v, causal=case.causal), scores_of(q, k, case.causal).logsumexp(-1)

    def by_kernels(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return flash_attention(q, k, v, causal=case.causal, tiling=tiling)

    truth, _ = results(exact, [each.double() for each in tensors], upstream, case)
    orders = [torch.arange(case.width)]
    if case.factor > 1:
        orders += [torch.randperm(case.width, generator=torch.Generator().manual_seed(i)) for i in range(5)]
    plain = [results(naive, [query[..., each], key[..., each], value], upstream, case)[0] for each in orders]
    with counted() as counts:
        read = lambda: [counts.loaded, counts.stored, counts.flops]  # noqa: E731
        found, forward = results(by_kernels, tensors, upstream, case, read)
    errors = {
        name: [
            (excess(found[name][i], right[i]), max(excess(each[name][i], right[i]) for each in plain)) for i in (0, 1)
        ]
        for name, right in truth.items()
    }
    whole = [counts.loaded, counts.stored, counts.flops]
    backward = [both - first for both, first in zip(whole, forward, strict=True)]
    types = [str(each.dtype) for each in found.values()]
    return {"errors": errors, "types": types, "forward": forward, "backward": backward}


def results(
    attention: Callable[..., tuple[Tensor, Tensor]],
    tensors: list[Tensor],
    upstream: list[Tensor],
    case: Case,
    read: Callable[[], Any] = lambda: None,
) -> tuple[dict[str, Tensor], Any]:
    """Output, log-sum-exp and gradients by name, and what ``read`` says between forward and backward."""
    leaves = [each.clone().requires_grad_(case.backward) for each in tensors]
    output, logsumexp = attention(*leaves)
    middle, named = read(), {"output": output.detach(), "logsumexp": logsumexp.detach()}
    if case.backward:
        loss = (output * upstream[0].to(output.dtype)).sum()
        if case.by_logsumexp:  # of a query that sees nothing it is −inf
            sees = max(case.n_queries - case.n_keys, 0) if case.causal else 0
            loss = loss + (logsumexp * upstream[1].to(logsumexp.dtype))[:, sees:].sum()
        named |= dict(zip(("query", "key", "value"), torch.autograd.grad(loss, leaves), strict=True))
    return named, middle


def excess(found: Tensor, truth: Tensor) -> float:
    """The largest difference; where the truth is −inf there is none if −inf was found."""
    nothing = truth.isneginf()
    if not torch.equal(found.isneginf(), nothing):
        return math.inf
    return error(found.masked_fill(nothing, 0), truth.masked_fill(nothing, 0)) if truth.numel() else 0.0


# --- What is no comparison with float64 ---------------------------------------------------------------------------


def attend(*tensors: Tensor, causal: bool = False, tiling: tuple[int, int] = (16, 16)) -> tuple[Tensor, Tensor]:
    """The kernels, watched for addresses outside of tensors."""
    from course_utils.flash_triton import Tiling, flash_attention
    from course_utils.interpreted import counted

    with counted():
        return flash_attention(*tensors, causal=causal, tiling=Tiling(*tiling, 4, 2))


def gradients(*tensors: Tensor, causal: bool = False) -> list[Tensor]:
    """Output, log-sum-exp, and the gradients of a loss of both."""
    leaves = [each.detach().requires_grad_() for each in tensors]
    output, logsumexp = attend(*leaves, causal=causal)
    loss = (output * randn(*output.shape, seed=7).to(output.dtype)).sum() + logsumexp[logsumexp.isfinite()].sum()
    return [output.detach(), logsumexp.detach(), *torch.autograd.grad(loss, leaves)]


def equal(some: list[Tensor], others: list[Tensor]) -> bool:
    """Bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def float_inputs(*sizes: int) -> list[Tensor]:
    """As :func:`inputs`, float32."""
    return inputs(*sizes, dtype=torch.float32)


def queries_that_see_nothing() -> dict[str, bool]:
    """Of 40 queries and 17 keys the first 23 see nothing: the first block altogether, the second in part."""
    output, logsumexp, dq, dk, dv = gradients(*float_inputs(40, 17, 16, 24, 2), causal=True)
    return {
        "zeros": (output[:, :23] == 0).all().item(),
        "minus infinity": logsumexp[:, :23].isneginf().all().item(),
        "others finite": logsumexp[:, 23:].isfinite().all().item(),
        "pass nothing back": (dq[:, :23] == 0).all().item(),
        "others do": (dq[:, 23:] != 0).any(-1).all().item(),
        "no NaN": all(each.isfinite().all().item() for each in (output, dq, dk, dv)),
    }


def nothing_to_compute() -> dict[str, Any]:
    """No keys, no queries, no batch entry."""
    output, logsumexp, dq, dk, _ = gradients(*float_inputs(5, 0, 16, 24))
    found: dict[str, Any] = {"no keys": [output.abs().sum().item(), logsumexp.isneginf().all().item()]}
    found["no keys back"] = [dq.abs().sum().item(), list(dk.shape)]
    output, logsumexp, _, dk, dv = gradients(*float_inputs(0, 5, 16, 24, 2))
    found["no queries"] = [list(output.shape), list(logsumexp.shape), dk.abs().sum().item(), dv.abs().sum().item()]
    found["no batch"] = [list(each.shape) for each in gradients(*float_inputs(5, 7, 16, 24, 3, 0))]
    return found


def heads_and_strides() -> dict[str, bool]:
    """Each batch entry by itself; tensors that are not contiguous; the same again; inputs unchanged."""
    tensors = float_inputs(17, 23, 16, 24, 3, 2)
    copies = [each.clone() for each in tensors]
    whole = gradients(*tensors, causal=True)
    strided = [each.transpose(-3, -2).contiguous().transpose(-3, -2) for each in tensors]
    one = attend(*(each[2, 1] for each in tensors), causal=True)
    leaves = [each.clone().requires_grad_() for each in tensors]
    ones = [torch.ones(3, 2, 17, 24), torch.ones(3, 2, 17)]
    upstreams = ones, [torch.ones(()).expand_as(each) for each in ones]  # the same numbers, without strides
    by_both = [list(torch.autograd.grad(attend(*leaves), leaves, each)) for each in upstreams]
    return {
        "by itself": equal(list(one), [each[2, 1] for each in whole[:2]]),
        "strided": equal(gradients(*strided, causal=True), whole),
        "upstream": equal(*by_both),
        "again": equal(gradients(*tensors, causal=True), whole),
        "unchanged": equal(tensors, copies),
        "output contiguous": whole[0].is_contiguous(),
    }


def a_later_key_changes_nothing_before_it() -> bool:
    """Query i sees the keys up to i + 10."""
    query, key, value = float_inputs(23, 33, 16, 24)
    output, logsumexp = attend(query, key, value, causal=True)
    right = []
    for last in (11, 16, 20, 32):
        other_key, other_value = key.clone(), value.clone()
        other_key[last:], other_value[last:] = 50.0, -1e6
        changed, moved = attend(query, other_key, other_value, causal=True)
        before = last - 10
        right += [torch.equal(changed[:before], output[:before]), torch.equal(moved[:before], logsumexp[:before])]
        right.append(not torch.isclose(changed[before:], output[before:]).any().item())
    return all(right)


def large_scores() -> float:
    """Powers of e that float32 cannot hold, with a truth that can be written down: sigmoid(1) of 1, the rest of 2."""
    query, key, value = torch.zeros(1, 16), torch.zeros(3, 16), torch.zeros(3, 16)
    query[0, 0], key[:, 0], value[:, 0] = 4.0, torch.tensor([890.0, 889.0, -3000.0]), torch.tensor([1.0, 2.0, 3.0])
    output, logsumexp = attend(query, key, value)
    share = 1 / (1 + math.exp(-1))
    return max(abs(output[0, 0].item() - (2 - share)), abs(logsumexp.item() - 890 - math.log1p(math.exp(-1))) / 890)


def some_gradients_only() -> bool:
    """Any input may go without."""
    whole = gradients(*float_inputs(17, 23, 16, 24))[2:]
    right = []
    for position in range(3):
        tensors = float_inputs(17, 23, 16, 24)
        tensors[position].requires_grad_()
        output, logsumexp = attend(*tensors)
        ((output * randn(17, 24, seed=7).float()).sum() + logsumexp.sum()).backward()
        right.append(torch.equal(tensors[position].grad, whole[position]))
    return all(right)


def of_first_order_only() -> str:
    """What a second backward says."""
    leaves = [each.requires_grad_() for each in float_inputs(5, 7, 16, 16)]
    (gradient,) = torch.autograd.grad(attend(*leaves)[0].square().sum(), leaves[:1], create_graph=True)
    return refusal(lambda: gradient.sum().backward())


def kept_for_the_backward() -> list[int]:
    """Bytes that the forward puts by."""
    from course_utils.benchmark import saved_bytes

    leaves = [each.requires_grad_() for each in float_inputs(65, 33, 16, 24, 2)]
    return [saved_bytes(lambda: attend(*leaves)), 4 * 2 * (65 * 16 + 33 * (16 + 24) + 65 * (24 + 1))]


def refused() -> list[str]:
    """What cannot work, or not in the interpreter."""
    query, key, value = float_inputs(5, 7, 16, 24, 4)
    half = [each.bfloat16() for each in (query, key, value)]
    return [
        refusal(lambda: attend(query, key[..., :2], value)),
        refusal(lambda: attend(query, key, value[..., :6, :])),
        refusal(lambda: attend(query[0], key, value)),
        refusal(lambda: attend(query, key.half(), value)),
        refusal(lambda: attend(query.double(), key.double(), value.double())),
        refusal(lambda: attend(query.long(), key.long(), value.long())),
        refusal(lambda: attend(query[..., :15], key[..., :15], value)),
        refusal(lambda: attend(*float_inputs(5, 7, 16, 129))),
        refusal(lambda: attend(*half)),
        refusal(lambda: attend(query, key, value, tiling=(48, 16))),
        refusal(lambda: attend(query, key, value, tiling=(16, 8))),
    ]


def refusal(call: Callable[[], Any]) -> str:
    """The message of the exception that it raises."""
    try:
        call()
    except Exception as raised:
        return f"{type(raised).__name__}: {raised}"
    return "nothing was raised"


CHECKS: dict[str, Callable[[], Any]] = {
    each.__name__: each
    for each in (
        queries_that_see_nothing,
        nothing_to_compute,
        heads_and_strides,
        a_later_key_changes_nothing_before_it,
        large_scores,
        some_gradients_only,
        of_first_order_only,
        kept_for_the_backward,
        refused,
    )
}

if __name__ == "__main__":
    sys.exit(main())
