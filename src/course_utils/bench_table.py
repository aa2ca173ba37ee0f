"""What a record of `course bench` says: rows for a figure, and tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from course_utils.benchmark import rank_test
from course_utils.plausibility import BYTES, cards_named
from course_utils.roofline import roofline

NAMES = {
    "naive": "naive",
    "sdpa_math": "torch math",
    "sdpa_flash": "torch flash",
    "sdpa_efficient": "torch efficient",
    "sdpa_cudnn": "torch cuDNN",
    "tiled": "tiled",
    "triton": "Triton",
    "flex": "FlexAttention",
}
STANDARD = "sdpa_flash"  # what the others are compared with
MARGIN, SURPRISE = 0.05, 0.01  # "faster" is faster by more than 5 %, in a rank test at 1 %
BUSY = 0.15  # spread above which one should measure again


def table_rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a table or a figure shows, one row an entry of a record, in the order of the table.

    Returns:
        Rows with ``implementation`` (a key of `NAMES`), ``direction``, ``dtype``, ``width``, ``causal``, ``length``,
        ``batch``, ``heads``, ``samples``; ``milliseconds`` (the median), ``spread`` (interquartile range as a share of
        it), ``tflops`` (a second), ``peak_bytes``; ``of_best`` and ``of_flash``, the speed as a share of that of the
        fastest, and of torch's flash backend, in the same run (None where that was not run); ``faster``, whether it is
        so than torch's flash by more than 5 %, by the rank test; ``busy``, whether the spread is above 15 %, so that
        one should measure again; ``impossible``, whether no card of this name can be as fast.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for entry in record["entries"]:
        keys = ("direction", "dtype", "width", "causal", "length")
        groups.setdefault(tuple(entry[key] for key in keys), []).append(entry)
    order = list(NAMES)
    return [
        _row(entry, group, record["device"]["name"])
        for group in groups.values()
        for entry in sorted(group, key=lambda entry: order.index(entry["implementation"]))
    ]


def _row(entry: Mapping[str, Any], group: list[Mapping[str, Any]], device: str) -> dict[str, Any]:
    middle, (first, third) = entry["median"], entry["quartiles"]
    standard = [each for each in group if each["implementation"] == STANDARD]
    names = ("implementation", "direction", "dtype", "width", "causal", "length", "batch", "heads", "peak_bytes")
    return {
        **{name: entry[name] for name in names},
        "samples": len(entry["seconds"]),
        "milliseconds": 1000 * middle,
        "spread": (third - first) / middle,
        "tflops": entry["flops"] / middle / 1e12,
        "of_best": min(each["median"] for each in group) / middle,
        "of_flash": standard[0]["median"] / middle if standard else None,
        "faster": any(rank_test(entry["seconds"], each["seconds"], margin=MARGIN) < SURPRISE for each in standard),
        "busy": (third - first) / middle > BUSY,
        "impossible": middle < _least_seconds(entry, device),
    }


def _least_seconds(entry: Mapping[str, Any], device: str) -> float:
    """The roof of the fastest card that the name may mean; 0 for an unknown one.

    The backward's FLOPs are counted with the scores made again, which a form that kept the weights does not do: four
    products of five. It moves queries, keys, values, output, their gradients, each once; the forward the first four.
    """
    backward, dtype = entry["direction"] == "backward", entry["dtype"]
    flops = entry["flops"] * (0.8 if backward else 1.0)
    numbers = entry["batch"] * entry["heads"] * entry["length"] * entry["width"]
    moved = (8 if backward else 4) * numbers * BYTES[dtype]
    cards = [card for card in cards_named(device) if dtype in card.peak]
    return min((roofline(flops, moved, card, dtype).seconds for card in cards), default=0.0)


# --- For a terminal ---------------------------------------------------------------------------------------------

LEGEND = (
    "ms: median of the samples; spread: the middle half of them, as a share of it. MiB: peak memory; a backward's is "
    "measured with its forward, its time without. of best, of flash: the speed as a share of the fastest here, and of "
    "torch's flash backend. faster: than torch's flash by more than 5 % (rank test at 1 %)."
)


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print all tables, what their columns mean, and the machine."""
    for table in tables(record):
        console.print(table)
    for line in (LEGEND, *_warnings(table_rows(record)), about(record)):
        console.print(line, markup=False, soft_wrap=False)


def _warnings(rows: list[dict[str, Any]]) -> Iterator[str]:
    impossible, busy = (sum(row[key] for row in rows) for key in ("impossible", "busy"))
    if impossible:
        yield f"impossible: {impossible} of {len(rows)} are below what the card can do at best: do not trust this run."
    if busy:
        yield f"busy: {busy} of {len(rows)} have a spread above 15 %: measure again on an idle machine."


def wrong(record: Mapping[str, Any]) -> list[str]:
    """The names of implementations whose results were wrong somewhere."""
    return sorted({NAMES[each["implementation"]] for each in record["not_run"] if each["wrong"]})


def tables(record: Mapping[str, Any]) -> Iterator[Table]:
    """A table for each direction, dtype, width and mask, then one of what was not run and why."""

    def name(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return row["dtype"], row["width"], row["causal"], row["direction"] == "backward"

    for _, group in groupby(sorted(table_rows(record), key=name), key=name):
        yield _table(list(group))
    if record["not_run"]:
        yield _not_run(record)


def about(record: Mapping[str, Any]) -> str:
    """The machine, in a line."""
    device, versions = record["device"], record["versions"]
    on_gpu = device["type"] == "cuda"
    facts = [
        device["name"],
        f"driver {device['driver']}, CUDA {versions['cuda']}" if on_gpu else f"{device['threads']} thread",
        ", ".join(f"{name} {said}" for name, said in record["clocks"].items()),
        ", ".join(f"{name} {versions[name]}" for name in ("torch", "triton", "python") if versions[name]),
        f"{record['wall_seconds']:.0f} s, {record['date']}",
    ]
    return "; ".join(fact for fact in facts if fact)


def _empty(title: str) -> Table:
    return Table(title=Text(title, style="bold"), title_justify="left", box=box.HORIZONTALS, pad_edge=False)


def _title(row: Mapping[str, Any]) -> str:
    return f"{row['direction']}, {row['dtype']}, width {row['width']}, {'causal' if row['causal'] else 'full'}"


def _table(rows: list[dict[str, Any]]) -> Table:
    table = _empty(_title(rows[0]))
    table.add_column("N", justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for column in ("ms", "spread", "TFLOP/s", "MiB", "of best", "of flash"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column()
    for length, group in groupby(rows, key=lambda row: row["length"]):
        for place, row in enumerate(group):
            table.add_row("" if place else str(length), *_cells(row), style="bold" if row["of_best"] == 1 else "")
        table.add_section()
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        NAMES[row["implementation"]],
        f"{row['milliseconds']:.3f}",
        f"{row['spread']:.0%}",
        f"{row['tflops']:.3g}",
        f"{row['peak_bytes'] / 2**20:,.1f}",
        f"{row['of_best']:.0%}",
        "" if row["of_flash"] is None else f"{row['of_flash']:.0%}",
        ", ".join(word for word in ("impossible", "busy", "faster") if row[word]),
    ]


def _not_run(record: Mapping[str, Any]) -> Table:
    """The same reason is said once, with all that it holds for."""
    table = _empty("not run")
    for column in ("", "where", "why"):
        table.add_column(column, ratio=None if column != "why" else 1)
    reasons: dict[tuple[str, str, bool], list[Mapping[str, Any]]] = {}
    for each in record["not_run"]:
        reasons.setdefault((each["implementation"], each["reason"], each["wrong"]), []).append(each)
    for (name, reason, wrong), places in reasons.items():
        table.add_row(NAMES[name], _where(places, record["settings"]), Text(reason, style="red" if wrong else ""))
    return table


def _where(places: list[Mapping[str, Any]], chosen: Mapping[str, Any]) -> str:
    tables = 2 * 2 * len(chosen["dtypes"]) * len(chosen["widths"])  # two directions, two masks
    if sum(len(place["lengths"]) for place in places) == tables * len(chosen["lengths"]):
        return "everywhere"
    return "\n".join(f"{_title(place)}, N = {', '.join(map(str, place['lengths']))}" for place in places)
