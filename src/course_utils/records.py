"""Recorded experiments: what is longer than a page may take is run by `make experiments`, and kept as a small file.

An experiment is a script in ``benchmarks/experiments/`` with ``SETTINGS``, ``EXPECTED`` (what was predicted, written
down before the run) and a function of a seed. Its record in ``book/data/`` carries all of that, what came out, the
versions, and a hash over the settings and the code that was reached: comments, layout and docstrings do not count. A
record whose hash no longer fits is *stale*; ``python -m course_utils.records`` names those, and `make check` refuses
them.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

PACKAGE = Path(__file__).parent
SCRIPTS, FOLDER = Path("benchmarks", "experiments"), Path("book", "data")


@dataclass(frozen=True)
class Record:
    """What an experiment gave.

    Attributes:
        name: the script's name.
        settings: what it was run with.
        expected: by the name of a claim, the lowest and highest value that would agree with it.
        seeds: one a run.
        runs: what each run gave, in the order of the seeds.
        seconds: for all runs together, on the machine named in `versions`.
        versions: of Python and the libraries, and the machine's architecture.
        code: the hash of settings and code.
        stale: whether the code has changed since; not kept in the file.
    """

    name: str
    settings: dict[str, Any]
    expected: dict[str, tuple[float, float]]
    seeds: list[int]
    runs: list[Any]
    seconds: float
    versions: dict[str, str]
    code: str
    stale: bool = field(default=False, compare=False)

    def mean(self, get: Callable[[Any], float]) -> float:
        """The mean over the seeds.

        Args:
            get: finds a number in what a run gave.
        """
        return fmean(map(get, self.runs))

    def _repr_html_(self) -> str:
        took = f"{self.seconds / 60:.1f} minutes" if self.seconds >= 60 else f"{self.seconds:.0f} seconds"
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        stale = " <strong>Stale: the code has changed since.</strong>" if self.stale else ""
        seeds = ", ".join(map(str, self.seeds))
        return (
            f'<p class="record-note">Recorded by <code>{SCRIPTS.as_posix()}/{self.name}.py</code>, seeds {seeds}, '
            f"in {took} ({versions}).{stale}</p>"
        )


def load(path: str | Path) -> Record:
    """Read a record.

    Args:
        path: the file, ``data/NAME.json`` from a page of the book; away from the book, the package's own is read.

    Raises:
        FileNotFoundError: there is none.
    """
    file = Path(path).resolve()
    if not file.is_file():
        file = PACKAGE / "recorded" / file.name
    if not file.is_file():
        raise FileNotFoundError(f"there is no record {path}: `make experiments` makes it")
    kept = json.loads(file.read_text(encoding="utf-8"))
    kept["expected"] = {name: tuple(interval) for name, interval in kept["expected"].items()}
    script = file.parents[len(FOLDER.parts)] / SCRIPTS / f"{kept['name']}.py"
    stale = script.is_file() and fingerprint(script, kept["settings"]) != kept["code"]
    return Record(**kept, stale=stale)


def experiment(
    script: str | Path,
    settings: Mapping[str, Any],
    expected: Mapping[str, tuple[float, float]],
    run: Callable[..., Any],
    seeds: Sequence[int] = (1, 2, 3),
) -> None:
    """Run an experiment once a seed and record it, unless its record is there and not stale.

    Args:
        script: the calling file.
        settings: plain values, given to `run` by name.
        expected: by the name of a claim, the lowest and highest value that would agree with it.
        run: called as ``run(seed, **settings)``; gives plain values.
        seeds: one a run.
    """
    from rich.progress import track

    path = Path(script).resolve()
    file = path.parents[len(SCRIPTS.parts)] / FOLDER / f"{path.stem}.json"
    if file.is_file() and not load(file).stale:
        print(f"{path.stem}: recorded and up to date")
        return
    began = time.monotonic()
    runs = [run(seed, **settings) for seed in track(seeds, description=path.stem)]
    record = Record(
        name=path.stem,
        settings=dict(settings),
        expected=dict(expected),
        seeds=list(seeds),
        runs=runs,
        seconds=round(time.monotonic() - began, 1),
        versions={"Python": platform.python_version(), "torch": version("torch"), "on": platform.machine()},
        code=fingerprint(path, settings),
    )
    kept = {name: value for name, value in asdict(record).items() if name != "stale"}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


# --- which code a record rests on -------------------------------------------------------------------------------


def fingerprint(script: Path, settings: Mapping[str, Any]) -> str:
    """A hash over settings and code: the whole script, and of the package whatever definition it reaches."""
    reached: dict[tuple[str, str], str] = {}
    module = _Module(script.read_text(encoding="utf-8"))
    for name in [*module.definitions, *module.imports]:
        _reach(module, script.stem, name, reached)
    parts = [json.dumps(settings, sort_keys=True), *(f"{key}{code}" for key, code in sorted(reached.items()))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


class _Module:
    """A module's top level: what each name is bound by, and where imported ones come from."""

    def __init__(self, source: str) -> None:
        self.definitions: dict[str, list[ast.stmt]] = {"": []}  # what binds nothing stands under no name
        self.imports: dict[str, tuple[str, str]] = {}
        tree = ast.parse(source)
        for node in tree.body[1:] if ast.get_docstring(tree) is not None else tree.body:
            if isinstance(node, ast.ImportFrom):
                self.imports |= {alias.asname or alias.name: (str(node.module), alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                parts = {alias.asname or alias.name: alias.name.rpartition(".") for alias in node.names}
                self.imports |= {name: (package, leaf) for name, (package, _, leaf) in parts.items()}
            else:
                for name in _bound(node) or {""}:
                    self.definitions.setdefault(name, []).append(node)


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    stored = (each for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
    return {each.id for each in stored}


@cache
def _module(name: str) -> _Module | None:
    """A module of the package by its dotted name; None for what is none, and for this one, which measures nothing."""
    package, *parts = name.split(".")
    path = PACKAGE.joinpath(*parts).with_suffix(".py")
    counts = package == "course_utils" and parts not in ([], ["records"]) and path.is_file()
    return _Module(path.read_text(encoding="utf-8")) if counts else None


def _reach(module: _Module, where: str, name: str, reached: dict[tuple[str, str], str]) -> None:
    """Follow a name to its definition, and from there on."""
    if name in module.imports:
        origin, original = module.imports[name]
        if whole := _module(f"{origin}.{original}"):  # a module as a whole: whatever of it is used
            for each in whole.definitions:
                _reach(whole, f"{origin}.{original}", each, reached)
        elif target := _module(origin):
            for each in ("", original):
                _reach(target, origin, each, reached)
    elif name in module.definitions and (where, name) not in reached:
        reached[where, name] = "".join(map(syntax, module.definitions[name]))
        for node in module.definitions[name]:
            for part in ast.walk(node):
                if isinstance(part, ast.Name):
                    _reach(module, where, part.id, reached)


_DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def syntax(node: Any) -> str:
    """The syntax tree as text: the same in every layout and every version of Python, without docstrings."""
    if isinstance(node, list):
        return "[" + ",".join(map(syntax, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {key: value for key, value in ast.iter_fields(node) if value not in (None, []) and key != "type_params"}
    if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
        fields["body"] = node.body[1:]
    return f"{type(node).__name__}({','.join(f'{key}={syntax(value)}' for key, value in fields.items())})"


def faults(root: Path) -> list[str]:
    """One line for each experiment whose record is missing or stale, and each record without its experiment."""
    scripts = {path.stem for path in (root / SCRIPTS).glob("*.py")}
    records = {path.stem: path for path in (root / FOLDER).glob("*.json")}
    found = [f"{name}: not recorded yet: `make experiments`" for name in scripts - records.keys()]
    found += [f"{name}: a record without its experiment: remove {records[name]}" for name in records.keys() - scripts]
    stale = (name for name in scripts & records.keys() if load(records[name]).stale)
    found += [f"{name}: its code or settings changed since it was recorded: `make experiments`" for name in stale]
    return sorted(found)


if __name__ == "__main__":
    lines = faults(Path.cwd())
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(bool(lines))
