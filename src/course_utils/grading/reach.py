"""Which of a student's cells a cell may make use of, by the names that one binds and the other reads.

Names are compared, values are not followed. Where the text does not tell, more is taken for bound than may be; what
is computed when the code runs (``setattr(builtins, "a" + "b", f)``, ``exec``) is not seen.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

_WRITERS = {"setattr", "__setattr__", "setitem", "__setitem__", "setdefault", "update", "push"}
_READERS = {"getattr", "attrgetter", "__getattribute__"}
_NAMESPACES = {
    *("globals", "vars", "locals", "__dict__", "__main__", "__globals__", "f_globals"),
    *("modules", "get_ipython", "user_ns"),
}
_CHANGERS = {"append", "extend", "insert", "add", "appendleft", "put", "register"} | _WRITERS

# Attributes with such names that only their owner's users meet.
_DATA = {"__code__", "__defaults__", "__kwdefaults__", "__dict__", "__doc__", "__name__", "__qualname__", "__wrapped__"}


@dataclass(frozen=True)
class Names:
    """What a cell leaves for others, and what it takes from them.

    Attributes:
        left: names that it binds at global scope, whose objects it changes, or that it sets on whatever object.
        attributes: those of them that it sets as attributes.
        rebound: names under which another object stands afterwards, or the same one with other attributes.
        tree: its syntax tree.
    """

    left: frozenset[str]
    attributes: frozenset[str]
    rebound: frozenset[str]
    tree: ast.Module = field(repr=False)

    @cached_property
    def read(self) -> frozenset[str]:
        """Names read at global scope, but for those that the cell itself has bound just before."""
        return frozenset(_read(self.tree))

    @cached_property
    def looked_up(self) -> frozenset[str]:
        """Attributes that it reads."""
        return frozenset(name for node in walked(self.tree) for name in _looked_up(node))


@lru_cache(maxsize=256)
def walked(tree: ast.Module) -> tuple[ast.AST, ...]:
    """The nodes of a cell's tree, which is not changed any more: listed once for all who look through it."""
    return tuple(ast.walk(tree))


def names_of(tree: ast.Module, carries: Callable[[str], bool]) -> Names:
    """The names of a cell.

    Args:
        tree: the cell's syntax tree.
        carries: whether an import of this dotted path passes something on; of others (``import torch``) the name is
            not taken for bound, since every cell may import it.
    """
    nodes = walked(tree)
    in_class = {id(node) for top in nodes if isinstance(top, ast.ClassDef) for node in ast.walk(top)}
    attributes = {name for node in nodes for name in _attributes(node, id(node) in in_class)}
    by_name = any(map(_is_namespace, nodes))  # then text may be the name of a global
    if by_name:
        attributes |= {name for node in nodes for name in _keys(node)}
    bound = set(_bound(tree, carries))
    patched = {name for node in nodes for name in _patched(node)}
    return Names(
        left=frozenset({*bound, *attributes, *(name for node in nodes for name in _changed(node))}),
        attributes=frozenset(attributes),
        rebound=frozenset({*bound, *patched, *(attributes if by_name else ())}),
        tree=tree,
    )


class Links:
    """Who may make use of whom.

    Args:
        cells: the names of every cell.
        offered: for some cells, names that are for anyone's use: what stands behind them is not followed.
    """

    def __init__(self, cells: Mapping[str, Names], offered: Mapping[str, Collection[str]]) -> None:
        self.cells = cells
        self.left: dict[str, set[str]] = {}
        self.attributes: dict[str, set[str]] = {}
        for cell, names in cells.items():
            for index, found in ((self.left, names.left), (self.attributes, names.attributes)):
                for name in found.difference(offered.get(cell, ())):
                    index.setdefault(name, set()).add(cell)

    def reached(self, start: Iterable[str]) -> set[str]:
        """The cells that some cells may make use of, directly or through others; those cells among them."""
        found: set[str] = set()
        # Who sets ``__add__`` or its like on something may be used by a mere ``+``.
        waiting = [*start, *(cell for name in self.attributes if _is_special(name) for cell in self.attributes[name])]
        seen: set[tuple[bool, str]] = set()  # each name is looked after once, however many cells read it
        while waiting:
            cell = waiting.pop()
            if cell in found:
                continue
            found.add(cell)
            names = self.cells[cell]
            new = {(True, name) for name in names.read} | {(False, name) for name in names.looked_up}
            for is_read, name in new - seen:
                waiting += (self.left if is_read else self.attributes).get(name, ())
            seen |= new
        return found


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _DATA


# --- what a cell leaves -----------------------------------------------------------------------------------------


def _bound(tree: ast.Module, carries: Callable[[str], bool]) -> Iterator[str]:
    """Names bound in the cell's own scope, or declared ``global`` in any other."""
    nodes = walked(tree)
    yield from (name for node in nodes if isinstance(node, ast.Global) for name in node.names)
    yield from (name for node in nodes for name, path in _imported(node) if carries(path))
    try:
        table = symtable.symtable(ast.unparse(tree), "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError):
        yield from (node.id for node in nodes if isinstance(node, ast.Name))
        return
    for symbol in table.get_symbols():
        if (
            symbol.is_assigned() or symbol.is_namespace() or symbol.is_declared_global()
        ):  # the last: := in a comprehension
            yield symbol.get_name()


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that an import binds, with what they stand for."""
    match node:
        case ast.Import(names=aliases):
            yield from ((alias.asname or alias.name.split(".")[0], alias.name) for alias in aliases)
        case ast.ImportFrom(module=str(module), names=aliases):
            yield from ((alias.asname or alias.name, f"{module}.{alias.name}") for alias in aliases)


def _attributes(node: ast.AST, in_class: bool) -> Iterator[str]:
    """Names set as attributes, but for those of a class's own objects."""
    match node:
        case ast.Attribute(value=base, attr=attr, ctx=ast.Store()):
            if not (in_class and isinstance(base, ast.Name) and base.id == "self"):
                yield attr
        case ast.Call(func=function) if _called(function) in _WRITERS:
            yield from (keyword.arg for keyword in node.keywords if keyword.arg)
            yield from _identifiers(node)


def _keys(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(key)), ctx=ast.Store()):
            yield key


def _is_namespace(node: ast.AST) -> bool:
    """Whether a node gives access to a module's names as text."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            return name in _NAMESPACES
    return False


def _changed(node: ast.AST) -> Iterator[str]:
    """Names of containers that something is put into."""
    match node:
        case ast.Subscript(ctx=ast.Store(), value=ast.Name(id=name)):
            yield name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if attr in _CHANGERS:
            yield name


def _patched(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(ctx=ast.Store(), value=ast.Name(id=name)):
            yield name
        case ast.Call(func=function, args=[ast.Name(id=name), *_]) if _called(function) in _WRITERS:
            yield name


# --- what a cell takes ------------------------------------------------------------------------------------------


def _read(tree: ast.Module) -> Iterator[str]:
    """Names read at global scope; after a plain ``x = …`` of its own, the cell's ``x`` is its own."""
    own: set[str] = set()
    for statement in tree.body:
        at_once, later = _read_by(statement)
        yield from at_once - own
        yield from later
        own -= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del)}
        match statement:
            case ast.Assign(targets=targets):
                own |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                own.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                own.add(name)
    yield from (name for node in walked(tree) for name in _read_by_key(node))


def _read_by(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """Global names that a statement reads when it is run, and those that functions in it may read later."""
    try:
        table = symtable.symtable(ast.unparse(statement), "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}, set()
    at_once = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        at_once.add(statement.target.id)
    return at_once, set(_read_later(table))


def _read_later(table: symtable.SymbolTable) -> Iterator[str]:
    """Global names that the functions and classes in a scope read."""
    for child in table.get_children():
        in_class = child.get_type() == "class"  # there a name that is bound may still be read from outside first
        for symbol in child.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or in_class):
                yield symbol.get_name()
        yield from _read_later(child)


def _read_by_key(node: ast.AST) -> Iterator[str]:
    """Names in ``globals()["h"]`` and the like."""
    match node:
        case ast.Subscript(value=base, slice=ast.Constant(value=str(key))):
            yield from [key] if any(map(_is_namespace, ast.walk(base))) else []
        case ast.Call(func=function) if any(map(_is_namespace, ast.walk(function))):
            yield from _identifiers(node)


def _looked_up(node: ast.AST) -> Iterator[str]:
    """Attributes that are read, or imported from a module that may have been given them."""
    match node:
        case ast.Attribute(attr=attr, ctx=ast.Load()):
            yield attr
        case ast.ImportFrom(names=aliases):
            yield from (alias.name for alias in aliases)
        case ast.Call(func=function) if _called(function) in _READERS:
            yield from _identifiers(node)


def _called(function: ast.expr) -> str:
    """The last part of a called name."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _identifiers(node: ast.Call) -> Iterator[str]:
    """The arguments of a call that are the text of a name, keys of a dictionary too."""
    for argument in node.args:
        for part in ast.walk(argument):
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
                yield part.value
