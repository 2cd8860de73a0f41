"""The statements of a foreign config, one after the other: what each name is at the end of the file.

A statement that is not understood is listed, and every name that it may have changed is unread from then on: a value
that something else might have replaced is not passed off as the file's.
"""

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpo_tui.importing.calls import call_of, changing_calls
from dpo_tui.importing.evaluate import Evaluator, NotReadError
from dpo_tui.importing.sharing import Sharing, containers
from dpo_tui.importing.syntax import read_tree
from dpo_tui.importing.values import Place, Symbol, Unread, Value
from engine.exits import UsageError

DEEPEST = 8
"""Most bases on top of one another."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A statement that was not read, and why."""

    place: Place
    unread: Unread


class Module:
    """The names of a config after its last statement; `skipped` is what was not read of it."""

    def __init__(
        self,
        path: Path,
        file: str = "",
        above: tuple[Path, ...] = (),
        bases: dict[Path, "Module"] | None = None,
    ) -> None:
        """`file` is how places name it, `above` the configs that it is a base of, `bases` those read already."""
        self.path = path
        self.names: dict[str, Value] = {}
        self.skipped: list[Skipped] = []
        self._above = (*above, path.absolute())
        self._bases: dict[Path, Module] = {} if bases is None else bases
        self._sharing = Sharing()
        self._of_bases: set[int] = set()
        self._evaluator = Evaluator(self.names, file)
        self._statements: Mapping[type[ast.stmt], Callable[[Any], None]] = {
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
            ast.Assign: self._assign,
            ast.AnnAssign: self._annotated,
            ast.AugAssign: self._augmented,
            ast.With: self._with,
            ast.If: self._if,
            ast.Expr: self._expression,
            ast.FunctionDef: self._definition,
            ast.AsyncFunctionDef: self._definition,
            ast.ClassDef: self._definition,
        }

    @property
    def used(self) -> frozenset[str]:
        """The names that other values were made from."""
        return frozenset(self._evaluator.used)

    def read(self) -> "Module":
        """Read the file. Raises UsageError for one that is no Python."""
        self._block(read_tree(self.path).body)
        return self

    def _block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            try:
                self._statement(statement)
            except NotReadError as error:
                self._skip(statement, error.unread)
            except RecursionError:
                self._skip(statement, Unread("deep"))

    def _statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Pass):
            return
        reader = self._statements.get(type(statement))
        if reader is None:
            raise NotReadError(Unread("statement", type(statement).__name__.lower()))
        reader(statement)
        inner = () if isinstance(statement, ast.If) else ast.walk(statement)
        if any(isinstance(node, ast.NamedExpr) for node in inner):
            raise NotReadError(Unread("expression"))
        self._distrust(statement)

    def _distrust(self, statement: ast.stmt) -> None:
        """Forget what calls in the statement, none of which is made, may have changed."""
        for call in changing_calls(statement):
            given = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
            if given := {name for name in given if self._has_parts(name)}:
                place = self._evaluator.place(call)
                self.skipped.append(Skipped(place, call_of(call.func)))
                self._forget(given, place)

    def _skip(self, statement: ast.stmt, unread: Unread) -> None:
        """List the statement, and forget whatever it may have changed."""
        place = self._evaluator.place(statement)
        self.skipped.append(Skipped(place, unread))
        changed = {
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and self._may_change(node)
        }
        changed |= {
            name for node in ast.walk(statement) if isinstance(node, ast.Global) for name in node.names
        }
        self._forget(changed, place)

    def _forget(self, changed: Iterable[str], place: Place) -> None:
        """From here on nobody knows what these names hold, nor what else held it."""
        for name in changed:
            unread = Unread("changed", name)
            if self._has_parts(name) and (held := self.names[name].data) and id(held) not in self._of_bases:
                self.names.update(self._sharing.swapped(self.names, held, unread) or {})
            self.names[name] = Value(unread, place)

    def _may_change(self, node: ast.Name) -> bool:
        """A name that is written, or that holds something with parts."""
        if not isinstance(node.ctx, ast.Load):
            return True
        return self._has_parts(node.id)

    def _has_parts(self, name: str) -> bool:
        return name in self.names and isinstance(self.names[name].data, tuple | Mapping)

    # Statements

    def _import(self, statement: ast.Import) -> None:
        for alias in statement.names:
            name, as_ = alias.name, alias.asname
            bound = as_ or name.partition(".")[0]
            self._bind(bound, Value(Symbol(name if as_ else bound), self._evaluator.place(statement)))

    def _import_from(self, statement: ast.ImportFrom) -> None:
        module = "." * statement.level + (statement.module or "")
        if any(alias.name == "*" for alias in statement.names):
            raise NotReadError(Unread("base", module))
        for alias in statement.names:
            symbol = Symbol(f"{module}.{alias.name}")
            self._bind(alias.asname or alias.name, Value(symbol, self._evaluator.place(statement)))

    def _assign(self, statement: ast.Assign) -> None:
        value = self._evaluator.value(statement.value)
        for target in statement.targets:
            self._put(target, value)

    def _annotated(self, statement: ast.AnnAssign) -> None:
        if statement.value is not None:
            self._put(statement.target, self._evaluator.value(statement.value))

    def _augmented(self, statement: ast.AugAssign) -> None:
        target = statement.target
        before = self._look(target)
        after = self._evaluator.combined(type(statement.op), before, self._evaluator.value(statement.value))
        self._put(target, Value(after, self._evaluator.place(statement)))

    def _with(self, statement: ast.With) -> None:
        """`with read_base():`, the only one that means something: the configs that this one starts from."""
        context = statement.items[0].context_expr
        named = isinstance(context, ast.Call) and ast.unparse(context.func).endswith("read_base")
        if not named or len(statement.items) > 1:
            raise NotReadError(Unread("statement", "with"))
        for inner in statement.body:
            try:
                self._base(inner)
            except NotReadError as error:
                self._skip(inner, error.unread)

    def _base(self, statement: ast.stmt) -> None:
        """A config that this one starts from, if it lies where a relative import says."""
        if not isinstance(statement, ast.ImportFrom):
            raise NotReadError(Unread("statement", type(statement).__name__.lower()))
        written = "." * statement.level + (statement.module or "")
        base = self._base_path(statement)
        if base is None or base in self._above or len(self._above) > DEEPEST:
            raise NotReadError(Unread("base", written))
        if base not in self._bases:
            try:
                self._bases[base] = Module(base, base.name, self._above, self._bases).read()
            except UsageError:
                raise NotReadError(Unread("base", written)) from None
            self.skipped += self._bases[base].skipped
        module = self._bases[base]
        self._evaluator.used |= module.used
        self._of_bases |= containers(module.names.values())
        for alias in statement.names:
            if alias.name == "*":
                self.names.update(module.names)
            elif alias.name in module.names:
                self.names[alias.asname or alias.name] = module.names[alias.name]

    def _base_path(self, statement: ast.ImportFrom) -> Path | None:
        """The file beside this one, or above it, that a relative import names."""
        if not statement.level or not statement.module:
            return None
        folder = self._above[-1].parent
        for _ in range(statement.level - 1):
            folder = folder.parent
        path = folder.joinpath(*statement.module.split(".")).with_suffix(".py")
        return path if path.is_file() else None

    def _if(self, statement: ast.If) -> None:
        """One whose condition is known: the part that applies."""
        self._block(statement.body if self._evaluator.scalar(statement.test) else statement.orelse)

    def _expression(self, statement: ast.Expr) -> None:
        """A text in the open is a comment; `name.update(...)` sets entries; no other call is made."""
        call = statement.value
        if isinstance(call, ast.Constant):
            return
        if not isinstance(call, ast.Call):
            raise NotReadError(Unread("expression"))
        if not (isinstance(call.func, ast.Attribute) and call.func.attr == "update"):
            raise NotReadError(call_of(call.func))
        of = self._look(call.func.value)
        unpacked = [ast.keyword(None, argument) for argument in call.args]
        news = ast.Call(ast.Name("dict", ast.Load()), [], [*unpacked, *call.keywords])
        added = self._evaluator.value(ast.fix_missing_locations(ast.copy_location(news, call)))
        if not (isinstance(of.data, Mapping) and isinstance(added.data, Mapping)):
            raise NotReadError(call_of(call.func))
        self._change(call.func.value, of, Value({**of.data, **added.data}, of.place))

    def _definition(self, statement: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        """Known by its name, and listed: it is not run."""
        place = self._evaluator.place(statement)
        self.skipped.append(Skipped(place, Unread("definition", statement.name)))
        for node in ast.walk(statement):
            for name in node.names if isinstance(node, ast.Global) else ():
                self.names[name] = Value(Unread("changed", name), place)
        self._bind(statement.name, Value(Symbol(statement.name), place))

    # Names and their parts

    def _bind(self, name: str, value: Value) -> None:
        self.names[name] = value

    def _look(self, target: ast.expr) -> Value:
        """What is there before it is changed, which is no use of it."""
        as_read = (
            ast.copy_location(ast.Name(target.id, ast.Load()), target)
            if isinstance(target, ast.Name)
            else target
        )
        return Evaluator(self.names, self._evaluator.file).value(as_read)

    def _put(self, target: ast.expr, value: Value) -> None:
        """Give a name, or a part of what it holds, a value; raises NotReadError for any other target."""
        if isinstance(target, ast.Name):
            self._bind(target.id, value)
        elif isinstance(target, ast.Attribute | ast.Subscript):
            key = target.attr if isinstance(target, ast.Attribute) else self._evaluator.scalar(target.slice)
            of = self._look(target.value)
            self._change(target.value, of, _with_entry(of, key, value))
        else:
            raise NotReadError(Unread("expression"))

    def _change(self, target: ast.expr, before: Value, after: Value) -> None:
        """What `target` names has other parts now, and so has all else that holds it.

        Not so what is from a base: mmengine hands out a copy by each of its names.
        """
        if id(before.data) in self._of_bases:
            self._put(target, after)
            return
        changed = self._sharing.swapped(self.names, before.data, after.data)
        if changed is None:
            raise NotReadError(Unread("long"))
        self.names.update(changed)


def _with_entry(of: Value, key: Any, value: Value) -> Value:
    """A copy with one entry set: no value ever changes, so that none can come to hold itself."""
    if isinstance(of.data, Unread):
        raise NotReadError(of.data, of.place)
    if isinstance(of.data, Mapping) and isinstance(key, str):
        return Value({**of.data, key: value}, of.place, of.name)
    if isinstance(of.data, tuple) and type(key) is int and -len(of.data) <= key < len(of.data):
        entries = list(of.data)
        entries[key] = value
        return Value(tuple(entries), of.place, of.name)
    raise NotReadError(Unread("expression"))
