"""The full set of `course bench` on the device at hand, its record kept for the book.

    .venv/bin/python benchmarks/attention.py                 # a CPU, one thread: about 4 minutes

A GPU where torch sees one, else the CPU; the machine must have nothing else to do. The record is written to
benchmarks/attention-cuda.json or benchmarks/attention-cpu.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from course_utils import bench, bench_table, measuring


def main() -> None:
    at_hand = bench.device_at_hand()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default=at_hand, help=f"here {at_hand} if none")
    options = parser.parse_args()
    record = bench.measure(
        bench.settings(options.device), lambda what, done, of: print(f"{done} of {of}: {what}", flush=True)
    )
    bench_table.show(record, Console(highlight=False, width=100))
    measuring.keep(Path(__file__).with_name(f"attention-{options.device}.json"), record)


if __name__ == "__main__":
    main()
