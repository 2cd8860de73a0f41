"""Calls in a foreign config, none of which is made: what they are called, and which may change what they are given."""

import ast
from collections.abc import Iterator

from dpo_tui.importing.values import Unread

CHANGELESS = frozenset({
    "bool", "dict", "enumerate", "float", "int", "isinstance", "len", "list", "max", "min", "print", "range", "set",
    "sorted", "str", "sum", "tuple", "zip", "copy", "count", "deepcopy", "endswith", "format", "get", "index", "items",
    "join", "keys", "lower", "replace", "split", "startswith", "upper", "values",
})  # fmt: skip
"""Functions and methods by which nothing changes that they are given or of."""

_READ = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)
"""Statements whose calls would be made where they stand."""


def changing_calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """Calls that may change the dicts and lists in them; not the one that a statement is, which is read by itself."""
    if not isinstance(statement, _READ):
        return
    for node in ast.walk(statement):
        itself = isinstance(statement, ast.Expr) and node is statement.value
        if isinstance(node, ast.Call) and not itself and _name(node.func) not in CHANGELESS:
            yield node


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def call_of(function: ast.expr) -> Unread:
    """A call that is not made: by its name as it is written, if that is one of few parts."""
    parts: list[str] = []
    while isinstance(function, ast.Attribute) and len(parts) < 5:
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        return Unread("expression")
    return Unread("call", ".".join([function.id, *reversed(parts)]))
