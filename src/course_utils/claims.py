"""Claims that a page checks: what a source says, what was predicted, what was measured, and what follows.

A *theorem* (also a count: shapes, FLOPs, bytes) must hold, or the page fails to build. An *empirical* claim is
written down before it is run; whatever comes out is recorded and printed.
"""

import html
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from course_utils.records import Record

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class ClaimError(AssertionError):
    """A theorem did not hold."""


@dataclass(frozen=True)
class Claim:
    """One checked statement.

    Attributes:
        name: short and unique in the book, for links.
        statement: what is claimed, in words.
        kind: ``theorem`` must hold, ``empirical`` is reported as it comes out.
        within: lowest and highest value that agree with the statement, written before the run.
        measured: one number a run, in the statement's unit.
        source: the work with its table, figure or equation; None if the claim is ours.
        reported: what the source itself measured, in its own numbers.
        follows: what to conclude if it holds.
    """

    name: str
    statement: str
    kind: Literal["theorem", "empirical"]
    within: tuple[float, float]
    measured: tuple[float, ...]
    source: str | None = None
    reported: str | None = None
    follows: str | None = None

    @property
    def verdict(self) -> str:
        """``holds``; or ``reproduced`` (of a source) or ``as predicted`` (of our own): by all runs, partly or not."""
        success = "reproduced" if self.source else "as predicted"
        if all(self.agreeing):
            return "holds" if self.kind == "theorem" else success
        return f"partly {success}" if any(self.agreeing) else f"not {success}"

    @property
    def agreeing(self) -> list[bool]:
        """Which runs agree with the statement."""
        low, high = self.within
        return [low <= value <= high for value in self.measured]

    def __repr__(self) -> str:
        return f"{self.name}: {self.verdict}"

    def _repr_html_(self) -> str:
        # The record travels in an attribute, where the page that is generated from all claims finds it.
        record = json.dumps(asdict(self) | {"verdict": self.verdict})
        rows = {
            "Reported": self.reported,
            "Expected": self.interval,
            "Measured": self.spread,
            "Source": self.source,
            "Then": self.follows if all(self.agreeing) else None,
        }
        items = "".join(f"<dt>{k}</dt><dd>{html.escape(v)}</dd>" for k, v in rows.items() if v)
        return (
            f'<div class="claim-record" id="claim-{html.escape(self.name)}" data-claim="{html.escape(record)}">'
            f'<p><strong class="claim-verdict">{self.verdict.capitalize()}.</strong> {html.escape(self.statement)}</p>'
            f"<dl>{items}</dl></div>"
        )

    @property
    def interval(self) -> str:
        """What was expected, as text."""
        low, high = self.within
        if low == -math.inf:
            return f"at most {_in_print(high)}"
        if high == math.inf:
            return f"at least {_in_print(low)}"
        ends = dict.fromkeys([_in_print(low), _in_print(high)])  # two that print alike are one
        return " to ".join(ends)

    @property
    def spread(self) -> str:
        """What was measured, as text: each run by itself."""
        return ", ".join(map(_in_print, self.measured))


def _in_print(value: float) -> str:
    """Write a number as a book does: four digits, a true minus, 10⁻⁷ for 1e-07, all digits of a whole one."""
    if value.is_integer():
        return f"{value:,.0f}".replace("-", "−")
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    factor = "" if mantissa == "1" else f"{mantissa} · "
    text = f"{factor}10{str(int(exponent)).translate(RAISED)}" if exponent else mantissa
    return text.replace("-", "−")


def claim(
    name: str,
    statement: str,
    measured: float | Sequence[float],
    *,
    within: tuple[float, float],
    kind: Literal["theorem", "empirical"] = "empirical",
    source: str | None = None,
    reported: str | None = None,
    follows: str | None = None,
) -> Claim:
    """Record a checked statement; as the last line of a cell it shows itself on the page.

    Args:
        name: short and unique in the book.
        statement: what is claimed, in words.
        measured: one number, or one a run.
        within: lowest and highest value that agree with the statement.
        kind: ``theorem`` or ``empirical``.
        source: the work with its table, figure or equation.
        reported: what the source itself measured, in its own numbers.
        follows: what to conclude if it holds.

    Returns:
        The record.

    Raises:
        ClaimError: if a theorem does not hold.
        ValueError: if nothing was measured, or ``within`` is not an interval.
    """
    values = tuple(map(float, measured)) if isinstance(measured, Sequence) else (float(measured),)
    if not values:
        raise ValueError(f"claim {name}: nothing was measured")
    if not within[0] <= within[1]:
        raise ValueError(f"claim {name}: within={within} is not an interval from low to high")
    record = Claim(name, statement, kind, (float(within[0]), float(within[1])), values, source, reported, follows)
    if kind == "theorem" and record.verdict != "holds":
        raise ClaimError(f"claim {name} does not hold: measured {values}, expected within {within}")
    return record


def recorded(record: Record, names: str, statement: str, **more: Any) -> Claim:
    """A claim on the runs of a record, with the interval that was written down before them.

    Args:
        record: what was run.
        names: of the claim in the record's ``expected``; or of several, with spaces between, that share an interval.
        statement: what is claimed, without a full stop: how many seeds there were is added.
        more: source, reported and follows, as for :func:`claim`.

    Raises:
        ValueError: the claims named have different intervals.
    """
    each = names.split()
    intervals = {record.expected[name] for name in each}
    if len(intervals) > 1:
        raise ValueError(f"recorded: names: expected claims that share an interval, got {sorted(intervals)}")
    values = [run["claims"][name] for name in each for run in record.runs]
    seeds = f"{len(record.seeds)} seeds" if len(each) == 1 else f"{len(each)} networks, {len(record.seeds)} seeds each"
    name = f"{record.name}-{each[0]}".replace("_", "-")
    return claim(name, f"{statement} ({seeds}).", values, within=intervals.pop(), **more)


def glue(name: str, value: object) -> None:
    """Make a value of a cell available to the prose of its page, there written ``{glue:text}`name```.

    The format is that of ``myst_nb.glue``, without the need to install the book's tools to run the page's cells.

    Args:
        name: unique on the page.
        value: shown as its ``str``; format numbers before.
    """
    from IPython.display import display

    prefix = "application/papermill.record/"
    text = repr(str(value))  # MyST-NB reads it as a Python literal where it can: a bare 20,000 would be a pair
    metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    display({f"{prefix}text/plain": text}, raw=True, metadata=metadata)
