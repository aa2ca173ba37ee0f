"""Calls that an assignment forbids, found by reading the student's code, without running it.

The reader follows names as far as the text tells: import aliases, ``from`` imports, assignments such as
``f = torch.softmax``, ``getattr(torch, "softmax")`` and ``importlib.import_module("torch")`` with literals. It does
not follow values. So it cannot catch:

- text that is executed or looked up when the code runs: ``exec``, ``eval``, ``getattr`` with a computed name,
  ``vars(torch)["softmax"]``, ``torch.__dict__``, ``sys.modules[...]``;
- a module that travels in a container, an argument or a return value before it is used;
- code outside the notebook: a file that the student imports, a shell or cell magic (``!``, ``%%bash``, ``%run``);
- what an object of a class of the student's really is: its methods count as its own, whatever ``__new__`` returns;
- the same function under a name that the assignment did not list, such as ``torch.special.softmax``.

What matters must therefore also show in behaviour. In the other direction, names are read without scopes: a
parameter that has the name of an imported module is taken for the module. A cell that is neither Python nor IPython
is passed over, since it cannot be run either; one that is nested deeper than can be read is itself a finding.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from nbformat import NotebookNode

from course_utils.grading.reach import Links, names_of, walked
from course_utils.notebooks import course_of, grade_id, is_locked, is_solution

TOO_DEEP = "code nested too deeply to be read"
DEEPEST = 150  # levels of a syntax tree; people's code has about 25
MOST_OPTIONS = 10  # words before the code in a magic
MOST_PATHS = 64  # that one name may stand for; those on the way to a forbidden name are not counted
# name -> the dotted paths that it may stand for; None among them: also something that the text does not tell
Bindings = dict[str, set[str | None]]
_CLASS, _OBJECT = "a class, ", "an object of "  # no module's path begins so: what is the student's own


@dataclass(frozen=True, order=True)
class Finding:
    """A forbidden name in a student's cell: the cell's label, the line in it (from 1), the dotted name."""

    cell: str
    line: int
    name: str


def forbidden_calls(sources: Mapping[str, str], names: Sequence[str], *, given: Iterable[str] = ()) -> list[Finding]:
    """Find every mention of a forbidden name in the student's own code.

    A mention is enough, no call is needed: ``f = torch.softmax`` is one.

    Args:
        sources: the student's code cells, label -> source, in notebook order.
        names: dotted names, such as ``torch.softmax``. A name forbids itself and all below it. One whose last part
            but one is capitalised is a method: ``torch.Tensor.softmax`` forbids ``.softmax`` on everything that the
            text does not show to be a module.
        given: the instructor's cells (setup), read for their imports only.

    Returns:
        The findings in order of cell and line, each name once a line.
    """
    return _Code(sources, given, names).findings(names)


class _Code:
    """The student's code, read for what its names stand for.

    Args:
        sources, given: as for :func:`forbidden_calls`.
        names: all that may be looked for in it.
    """

    def __init__(self, sources: Mapping[str, str], given: Iterable[str], names: Sequence[str]) -> None:
        self.cells = {cell: tree for cell, source in sources.items() if (tree := _parse(source)) is not None}
        nodes = [node for tree in (*map(_imports, given), *self.cells.values()) for node in walked(tree)]
        self.bindings, self.own_methods = _bindings(nodes, names), _own_methods(nodes)
        self.order = {cell: place for place, cell in enumerate(sources)}

    def findings(self, names: Sequence[str]) -> list[Finding]:
        """The mentions of some names, in order of cell and line."""
        reader = _Reader(self.bindings, names, self.own_methods)
        found = {Finding(cell, line, name) for cell, tree in self.cells.items() for line, name in reader.read(tree)}
        found |= {Finding(cell, 1, TOO_DEEP) for cell, tree in self.cells.items() if tree is _UNREADABLE}
        return self.sorted(found)

    def sorted(self, findings: Iterable[Finding]) -> list[Finding]:
        """Findings in order of cell and line."""
        return sorted(findings, key=lambda finding: (self.order[finding.cell], finding.line, finding.name))


# --- whom a finding costs ---------------------------------------------------------------------------------------


def forbidden_by_problem(
    source: NotebookNode, submission: NotebookNode
) -> tuple[dict[str, list[Finding]], list[Finding]]:
    """Find the forbidden names in a submission, and say which problems they cost.

    A name in a problem's solution cell, in a copy of it, or in a cell that binds what the problem asks for, costs that
    problem. One in another of the student's cells costs the problems whose cells may make use of that cell, directly
    or through others; what another problem asks for may be used by all. What nothing uses is only to be noted.

    Args:
        source: the assignment: it alone says which cells are the instructor's and what is forbidden.
        submission: the student's notebook; what it says of its own cells is not believed.

    Returns:
        The findings that cost a problem, by problem, and those that cost none; each in the order of the notebook.
    """
    cells = _students_cells(source, submission)
    given = [cell.source for cell in source.cells if is_locked(cell) and cell.cell_type == "code"]
    sources = {where: cell.source for where, cell in cells.items()}
    solutions = [cell for cell in source.cells if is_solution(cell) and cell.cell_type == "code"]
    everywhere = source.metadata["course"].get("forbidden") or []
    own = {_problem(cell): course_of(cell).get("forbidden") or [] for cell in solutions}
    names = [*everywhere, *(name for each in own.values() for name in each)]
    code = _Code(sources, given, names)
    found = set(code.findings(everywhere))
    theirs = {problem: found.union(code.findings(own[problem]) if own[problem] else ()) for problem in own}
    if not any(theirs.values()):  # then who uses what need not be known
        return {}, []
    areas = _areas(solutions, code, cells, names, [problem for problem in own if theirs[problem]])
    costing = {
        problem: code.sorted(each for each in theirs[problem] if each.cell in area or each.name == TOO_DEEP)
        for problem, area in areas.items()
    }
    costly = {finding for findings in costing.values() for finding in findings}
    costing = {problem: findings for problem, findings in costing.items() if findings}
    return costing, code.sorted(found - costly)


def _students_cells(source: NotebookNode, submission: NotebookNode) -> dict[str, NotebookNode]:
    """The student's code cells, each under a label of its own: the grade_id where it is one of the source's."""
    locked = {grade_id(cell) for cell in source.cells if is_locked(cell) and cell.cell_type == "code"}
    known = {grade_id(cell) for cell in source.cells if is_solution(cell)}
    cells: dict[str, NotebookNode] = {}
    for place, cell in enumerate(submission.cells, start=1):
        where = f"cell '{grade_id(cell)}'" if grade_id(cell) in known else f"cell {place}"
        if cell.cell_type == "code" and grade_id(cell) not in locked:
            cells[where if where not in cells else f"cell {place}, a copy of {where}"] = cell
    return cells


def _problem(cell: NotebookNode) -> str:
    return str(course_of(cell).get("problem") or "")


def _areas(
    solutions: Sequence[NotebookNode],
    code: _Code,
    cells: Mapping[str, NotebookNode],
    names: Sequence[str],
    problems: Iterable[str],
) -> dict[str, set[str]]:
    """For each of some problems the cells that may have a part in its answer."""
    known = {where: names_of(tree, lambda path: _is_below(path, names)) for where, tree in code.cells.items()}
    answers: dict[str, set[str]] = {}
    offered: dict[str, set[str]] = {}
    for cell in solutions:
        asked = set(course_of(cell).get("defines") or [])
        for where in known:
            if grade_id(cells[where]) == grade_id(cell) or asked & known[where].rebound:
                answers.setdefault(_problem(cell), set()).add(where)
                offered.setdefault(where, set()).update(asked)
    links = Links(known, offered)
    return {problem: links.reached(answers.get(problem, ())) for problem in problems}


# --- reading ----------------------------------------------------------------------------------------------------

_UNREADABLE = ast.Module(body=[], type_ignores=[])


@cache
def _parse(source: str) -> ast.Module | None:
    """The cell's syntax tree, code in magics included; None for what IPython could not run either."""
    # What begins like a prompt is Python too, an annotation, but not to IPython.
    for change in (_translated,) if "In [" in source else (str, _translated):
        try:
            tree = _Magics().opened(ast.parse(change(source)))
        except (RecursionError, MemoryError):
            return _UNREADABLE
        except (SyntaxError, ValueError):
            continue
        return tree if _depth(tree) <= DEEPEST else _UNREADABLE
    return None


def _translated(source: str) -> str:
    """The cell as IPython would run it: magics as calls, prompts and indentation taken away."""
    from IPython.core.inputtransformer2 import TransformerManager

    return str(TransformerManager().transform_cell(source))


class _Magics(ast.NodeTransformer):
    """Puts the code that is an argument of a magic, such as ``%time f(x)``, in the place of the call."""

    def __init__(self) -> None:
        self.beside: list[ast.stmt] = []

    def opened(self, tree: ast.Module) -> ast.Module:
        """The tree with such code in it."""
        if _depth(tree) <= DEEPEST and any(map(_is_magic, ast.walk(tree))):
            self.visit(tree)
            tree.body += self.beside
        return tree

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """A call that may be a magic's."""
        self.generic_visit(node)
        if not _is_magic(node.func):
            return node
        texts = [part.value for part in node.args[1:] if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        body: list[ast.stmt] = []
        for below, text in enumerate(texts):  # the rest of the magic's line, then the lines below it
            body += (ast.increment_lineno(part, node.lineno - 1 + below) for part in _code_in(text))
        if len(body) == 1 and isinstance(body[0], ast.Expr):
            return body[0].value
        self.beside += body
        return node


def _is_magic(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("run_line_magic", "run_cell_magic")


def _code_in(text: str) -> list[ast.stmt]:
    """The code in a magic's text, behind whatever options it has; none where there is none."""
    for _ in range(MOST_OPTIONS):
        if (tree := _parse(text)) is not None:
            return deepcopy(tree).body
        text = text.strip().partition(" ")[2]
    return []


@cache
def _imports(source: str) -> ast.Module:
    """The imports of an instructor's cell, wherever in it."""
    tree = _parse(source) if "import" in source else None
    found = [node for node in ast.walk(tree or _UNREADABLE) if isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.Module(body=list(found), type_ignores=[])


def _depth(tree: ast.AST) -> int:
    """Levels of a tree, as far as it matters."""
    level, depth = [tree], 0
    while level and depth <= DEEPEST:
        level, depth = [child for node in level for child in ast.iter_child_nodes(node)], depth + 1
    return depth


def _bindings(nodes: Sequence[ast.AST], names: Sequence[str]) -> Bindings:
    """What every name may stand for, over all cells: read until nothing new is learnt (``g = f`` needs two)."""
    bindings: Bindings = {}
    binding = [node for node in nodes if isinstance(node, _BINDING)]
    leading = {each for name in names for each in accumulate(name.split("."), "{}.{}".format)}
    before, size = -1, 0
    while before != size:
        for node in binding:
            for name, target in _bound_by(node, bindings, names):
                known = bindings.setdefault(name, set())
                if target is None or target in leading or len(known) < MOST_PATHS:
                    known.add(target)
        binding.reverse()  # by turns, so that a chain of names is followed at once, whichever way it is written
        before, size = size, sum(map(len, bindings.values()))
    return bindings


_BINDING = (
    *(ast.Import, ast.ImportFrom, ast.Assign, ast.NamedExpr, ast.AnnAssign),
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.arg),
)


def _bound_by(node: ast.AST, bindings: Bindings, names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The (name, dotted path or None) pairs that one node binds."""
    match node:
        case ast.Import():
            for alias in node.names:
                top = alias.name.split(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        case ast.ImportFrom(module=str(module), level=0):
            for alias in node.names:
                if alias.name == "*":
                    yield from ((leaf, f"{module}.{leaf}") for leaf in _leaves(module, names))
                else:
                    yield alias.asname or alias.name, f"{module}.{alias.name}"
        case ast.Assign(targets=targets, value=value):
            yield from (found for target in targets for found in _assigned(target, value, bindings))
        case ast.NamedExpr(target=target, value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _assigned(target, value, bindings)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name, None
        case ast.ClassDef(name=name):
            yield from ((name, None), (name, _CLASS + name))
        case ast.arg(arg=name):
            yield name, None


def _assigned(target: ast.expr, value: ast.expr, bindings: Bindings) -> Iterator[tuple[str, str | None]]:
    match target, value:
        case ast.Name(id=name), _:
            yield from ((name, path) for path in _resolve(value, bindings) or {None})
        case ((ast.Tuple(elts=names) | ast.List(elts=names)), (ast.Tuple(elts=values) | ast.List(elts=values))):
            if len(names) == len(values):
                yield from (found for pair in zip(names, values, strict=True) for found in _assigned(*pair, bindings))


def _leaves(module: str, names: Sequence[str]) -> list[str]:
    """The forbidden names that ``from module import *`` may bring in."""
    return [name.rsplit(".", 1)[1] for name in names if name.rpartition(".")[0] == module]


def _resolve(node: ast.expr, bindings: Bindings) -> set[str | None]:
    """The dotted paths that an expression may stand for; empty when the text does not tell."""
    match node:
        case ast.Name(id=name):
            return bindings.get(name, set())
        case ast.Attribute(value=base, attr=attr):
            return {f"{path}.{attr}" for path in _resolve(base, bindings) if path}
        case ast.IfExp(body=one, orelse=other):
            return _resolve(one, bindings) | _resolve(other, bindings)
        case ast.BoolOp(values=values):
            return {path for value in values for path in _resolve(value, bindings)}
        case ast.Call(func=ast.Name(id=name)) if bindings.get(name) == {None, _CLASS + name}:
            return {_OBJECT + name}
        case ast.Call(func=ast.Name(id="getattr"), args=[base, ast.Constant(value=str(attr)), *_]):
            return {f"{path}.{attr}" for path in _resolve(base, bindings) if path}
        case ast.Call(func=ast.Name(id="__import__")):
            return {module.split(".")[0] for module in _imported(node)}
        case ast.Call(func=function) if "importlib.import_module" in _resolve(function, bindings):
            return set(_imported(node))
    return set()


def _imported(call: ast.Call) -> list[str]:
    """The module that a call of an importing function names, where it does so in plain text."""
    named = {word.arg: word.value for word in call.keywords}
    values = [*call.args[:1], named.get("name")][:1] + [*call.args[1:2], named.get("package")][:1]
    texts = [value.value if isinstance(value, ast.Constant) else None for value in values]
    match texts:
        case [str(module), str(parent)]:
            with contextlib.suppress(ImportError, ValueError):
                return [importlib.util.resolve_name(module, parent)]
        case [str(module), _]:
            return [module]
    return []


def _own_methods(nodes: Iterable[ast.AST]) -> dict[str, set[str]]:
    """The methods of the classes that the cells define."""
    found: dict[str, set[str]] = {}
    for node in (node for node in nodes if isinstance(node, ast.ClassDef)):
        found.setdefault(node.name, set()).update(each.name for each in node.body if isinstance(each, ast.FunctionDef))
    return found


def _is_below(path: str, names: Sequence[str]) -> bool:
    """Whether a path is a forbidden name or lies below one."""
    return any(f"{path}.".startswith(f"{name}.") for name in names)


@dataclass
class _Reader:
    """Reads trees for forbidden names, once the bindings are known."""

    bindings: Bindings
    names: Sequence[str]
    own_methods: Mapping[str, set[str]]

    def __post_init__(self) -> None:
        parts = [name.split(".") for name in self.names]
        self.methods = {part[-1]: ".".join(part) for part in parts if len(part) > 1 and part[-2][:1].isupper()}

    def read(self, tree: ast.AST, own: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
        """The (line, dotted name) pairs in a tree; below an expression that matched, nothing is looked for.

        Args:
            tree: what is read.
            own: names that stand for an object of the student's: ``self`` within a method.
        """
        for node in ast.iter_child_nodes(tree):
            found = list(self._at(node, own))
            yield from ((getattr(node, "lineno", 1), name) for name in found)
            if not found or isinstance(node, ast.stmt | ast.Call):
                yield from self.read(node, _own_in(node, tree, own))

    def _at(self, node: ast.AST, own: frozenset[str]) -> Iterator[str]:
        match node:
            case ast.Import():
                yield from self._matches({alias.name for alias in node.names})
            case ast.ImportFrom(module=str(module), level=0):
                brought = [f"{module}.{alias.name}" for alias in node.names if alias.name != "*"]
                yield from self._matches({*brought, module} if len(brought) < len(node.names) else set(brought))
            case ast.Name(id=name):
                paths = self.bindings.get(name, set())
                if None not in paths:  # the student may define a function of the same name
                    yield from self._matches(paths)
            case (
                ast.Attribute(value=base, attr=attr)
                | ast.Call(func=ast.Name(id="getattr"), args=[base, ast.Constant(value=str(attr)), *_])
            ):
                assert isinstance(node, ast.expr)
                yield from self._matches(_resolve(node, self.bindings)) or self._method(base, attr, own)
            case ast.Call():
                yield from self._matches(_resolve(node, self.bindings))

    def _matches(self, paths: Iterable[str | None]) -> list[str]:
        """Those of the paths that are forbidden or lie below a forbidden name."""
        return sorted(path for path in paths if path and _is_below(path, self.names))

    def _method(self, base: ast.expr, attr: str, own: frozenset[str]) -> list[str]:
        """The forbidden method that ``base.attr`` is, unless base is a module or the student's own object."""
        if attr not in self.methods:
            return []
        if isinstance(base, ast.Name) and base.id in own and any(attr in each for each in self.own_methods.values()):
            return []
        paths = _resolve(base, self.bindings)
        if paths and None not in paths and all(self._has_own(path, attr) for path in paths if path):
            return []
        return [self.methods[attr]]

    def _has_own(self, path: str, attr: str) -> bool:
        """Whether a path is a module, or an object of a class of the student's that has its own ``attr``."""
        return not path.startswith(_OBJECT) or attr in self.own_methods.get(path.removeprefix(_OBJECT), ())


def _own_in(node: ast.AST, parent: ast.AST, own: frozenset[str]) -> frozenset[str]:
    """The names that stand for an object of the student's within a node."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return own
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
    rebound = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    first = names[:1] if isinstance(parent, ast.ClassDef) else []
    return (own - set(names) | set(first)) - rebound
