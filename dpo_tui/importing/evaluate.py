"""Expressions of a foreign config, by their syntax: literals, names, arithmetic, `dict(...)`, conditions, joins.

Nothing is called, imported or looked up outside the file. Whatever else stands there is unread, with its line; what
could grow without end is bounded.
"""

import ast
import operator
import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from dpo_tui.importing.values import Called, Data, Place, Scalar, Symbol, Unread, Value, is_number

LARGEST = 2**63
LONGEST = 1 << 14
"""Most characters of a text that is put together, and most entries of a list or a dict."""

_DOTTED = 200
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}


class NotReadError(Exception):
    """A part of an expression is not known, so the whole is not."""

    def __init__(self, unread: Unread, place: Place | None = None) -> None:
        super().__init__()
        self.unread = unread
        self.place = place


class Evaluator:
    """Expressions over `names`; `used` collects the names that were read."""

    def __init__(self, names: dict[str, Value], file: str = "") -> None:
        self.names = names
        self.file = file
        self.used: set[str] = set()
        self._readers: Mapping[type[ast.expr], Callable[[Any], Data | Value]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Subscript: self._subscript,
            ast.Dict: self._display,
            ast.List: self._list,
            ast.Tuple: self._list,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._logical,
            ast.Compare: self._compare,
            ast.IfExp: self._conditional,
            ast.JoinedStr: self._joined,
            ast.Call: self._call,
        }

    def value(self, node: ast.expr) -> Value:
        """What the expression is; unread where it is not known."""
        place = self.place(node)
        reader = self._readers.get(type(node))
        if reader is None:
            return Value(Unread("expression"), place)
        try:
            found = reader(node)
        except NotReadError as error:
            return Value(error.unread, error.place or place)
        return found if isinstance(found, Value) else Value(found, place)

    def place(self, node: ast.expr | ast.stmt) -> Place:
        """Where it stands."""
        return Place(node.lineno, self.file)

    def scalar(self, node: ast.expr) -> Scalar:
        """A number, a text, a truth value or None; raises NotReadError for anything else."""
        value = self.value(node)
        if isinstance(value.data, Unread):
            raise NotReadError(value.data, value.place)
        if value.data is None or isinstance(value.data, bool | int | float | str):
            return value.data
        raise NotReadError(Unread("expression"), value.place)

    def combined(self, kind: type[ast.operator], left: Value, right: Value) -> Data:
        """What an arithmetic operator makes of two values; raises NotReadError."""
        a, b = left.data, right.data
        for value in (left, right):
            if isinstance(value.data, Unread):
                raise NotReadError(value.data, value.place)
        joins = kind is ast.Add and any(
            isinstance(a, type_) and isinstance(b, type_) for type_ in (str, tuple)
        )
        if joins:
            return _bounded(a + b)  # type: ignore[operator]
        if kind not in _ARITHMETIC or not (_arithmetical(a) and _arithmetical(b)):
            raise NotReadError(Unread("expression"))
        return _calculated(kind, a, b)

    def _constant(self, node: ast.Constant) -> Data:
        if node.value is None or isinstance(node.value, bool | float | str):
            return node.value
        if isinstance(node.value, int):
            return _bounded(node.value)
        raise NotReadError(Unread("expression"))

    def _name(self, node: ast.Name) -> Data | Value:
        if node.id not in self.names:
            raise NotReadError(Unread("name", node.id))
        self.used.add(node.id)
        value = self.names[node.id]
        if isinstance(value.data, Symbol):  # where it is used says more than where it was imported
            return value.data
        return value if value.name else replace(value, name=node.id)

    def _attribute(self, node: ast.Attribute) -> Data | Value:
        """A part of a name that was imported, or a key of a dict, as mmengine has it."""
        of = self.value(node.value)
        if isinstance(of.data, Symbol):
            if len(of.data.dotted) > _DOTTED:
                raise NotReadError(Unread("long"))
            return Symbol(f"{of.data.dotted}.{node.attr}")
        return _entry(of, node.attr)

    def _subscript(self, node: ast.Subscript) -> Data | Value:
        return _entry(self.value(node.value), self.scalar(node.slice))

    def _display(self, node: ast.Dict) -> Data:
        entries: dict[str, Value] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self._unpack(value, entries)
            else:
                name = self.scalar(key)
                if not isinstance(name, str):
                    raise NotReadError(Unread("expression"), self.place(key))
                entries[name] = self.value(value)
        return _bounded(entries)

    def _unpack(self, node: ast.expr, entries: dict[str, Value]) -> None:
        """`**other`."""
        other = self.value(node)
        if isinstance(other.data, Unread):
            raise NotReadError(other.data, other.place)
        if not isinstance(other.data, Mapping):
            raise NotReadError(Unread("expression"), other.place)
        entries.update(other.data)

    def _list(self, node: ast.List | ast.Tuple) -> Data:
        if any(isinstance(entry, ast.Starred) for entry in node.elts):
            raise NotReadError(Unread("expression"))
        return tuple(map(self.value, node.elts))

    def _binary(self, node: ast.BinOp) -> Data:
        return self.combined(type(node.op), self.value(node.left), self.value(node.right))

    def _unary(self, node: ast.UnaryOp) -> Data:
        value = self.scalar(node.operand)
        if isinstance(node.op, ast.Not):
            return not value
        if isinstance(node.op, ast.Invert) or not _arithmetical(value):
            raise NotReadError(Unread("expression"))
        return -value if isinstance(node.op, ast.USub) else value  # type: ignore[operator]

    def _logical(self, node: ast.BoolOp) -> Data:
        stops = isinstance(node.op, ast.Or)
        result: Scalar = None
        for part in node.values:
            result = self.scalar(part)
            if bool(result) == stops:
                break
        return result

    def _compare(self, node: ast.Compare) -> Data:
        if len(node.ops) > 1 or type(node.ops[0]) not in _COMPARISONS:
            raise NotReadError(Unread("expression"))
        a, b = self.scalar(node.left), self.scalar(node.comparators[0])
        try:
            return _COMPARISONS[type(node.ops[0])](a, b)
        except TypeError:
            raise NotReadError(Unread("expression")) from None

    def _conditional(self, node: ast.IfExp) -> Value:
        return self.value(node.body if self.scalar(node.test) else node.orelse)

    def _joined(self, node: ast.JoinedStr) -> Data:
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                if part.format_spec is not None or part.conversion != -1:
                    raise NotReadError(Unread("expression"))
                parts.append(str(self.scalar(part.value)))
            else:
                parts.append(str(self.scalar(part)))
        return _bounded("".join(parts))

    def _call(self, node: ast.Call) -> Data:
        function = self._called(node.func)
        named: dict[str, Value] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                self._unpack(keyword.value, named)
            else:
                named[keyword.arg] = self.value(keyword.value)
        if function == "dict" and not node.args:
            return _bounded(named)
        arguments = tuple(map(self.value, node.args))
        if function == "os.path.join" and not named:
            return _bounded(posixpath.join(*_texts(arguments)))
        return Called(function, arguments, named)

    def _called(self, node: ast.expr) -> str:
        """The dotted name of what is called; raises NotReadError where it is not simply named."""
        if isinstance(node, ast.Name) and node.id not in self.names:
            return node.id
        value = self.value(node)
        if isinstance(value.data, Symbol):
            return value.data.dotted
        raise NotReadError(value.data if isinstance(value.data, Unread) else Unread("expression"))


def _arithmetical(data: Data) -> bool:
    return isinstance(data, bool) or is_number(data)


def _calculated(kind: type[ast.operator], a: Any, b: Any) -> Data:
    if kind is ast.Pow and (abs(b) > 64 or abs(a) > LARGEST):
        raise NotReadError(Unread("long"))
    try:
        result = _ARITHMETIC[kind](a, b)
    except ArithmeticError:
        raise NotReadError(Unread("expression")) from None
    if not isinstance(result, int | float):  # a root of a negative number is complex
        raise NotReadError(Unread("expression"))
    return _bounded(result)


def _bounded(data: Any) -> Data:
    """The same; raises NotReadError for more than any config needs."""
    too_much = (
        abs(data) > LARGEST if isinstance(data, int) else not isinstance(data, float) and len(data) > LONGEST
    )
    if too_much:
        raise NotReadError(Unread("long"))
    known: Data = data
    return known


def _entry(of: Value, key: Scalar) -> Value:
    """An entry of a dict or a list; raises NotReadError."""
    if isinstance(of.data, Unread):
        raise NotReadError(of.data, of.place)
    if isinstance(of.data, Mapping) and isinstance(key, str) and key in of.data:
        return of.data[key]
    if isinstance(of.data, tuple) and type(key) is int and -len(of.data) <= key < len(of.data):
        return of.data[key]
    raise NotReadError(Unread("expression"))


def _texts(values: Iterable[Value]) -> list[str]:
    texts = []
    for value in values:
        if not isinstance(value.data, str):
            raise NotReadError(
                value.data if isinstance(value.data, Unread) else Unread("expression"), value.place
            )
        texts.append(value.data)
    if not texts:
        raise NotReadError(Unread("expression"))
    return texts
