"""Every code that the engine or the app can say something by, read out of their source, with the params it has there.

What is found: calls of errors, reasons, notices and warnings, and of the few functions that make them. A code in a
variable stands for every code written in the function around; so do params in a variable.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"[a-z]+\.[a-z0-9_]+")

ERRORS = (
    "EngineError", "GateFailed", "UsageError", "UnusableError", "HubError", "StopRequested", "CannotWriteError",
    "NonFiniteError", "EnvironmentUnfitError", "PreviewError",
)  # fmt: skip
REASONS = ("Reason", "Notice")
MAKERS: dict[str, set[str]] = {
    "_notice": {"count", "total"},
    "unusable": {"id"},
    "_because": {"action", "repo", "revision", "page"},
    "_lost": {"command"},
}
"""Functions that make one of a code, with the params that they add."""

ELSEWHERE = {
    "memory.tight": ("engine/remedy.py", "tight"),
    "train.out_of_memory": ("engine/train.py", "out_of_memory"),
}
"""Codes whose params another function puts together: its file and its name."""

FAULTS = ("Message", "Conflict", "KeyError", "OutOfBounds")
BUILT = {"model.bad_": ("model.bad_model", "model.bad_tokenizer")}
"""Codes that are put together at run time, by how they begin."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a code is used: by which call, with which params; `open` where more come from elsewhere.

    `case` is the one that is written there, if it is.
    """

    where: str
    call: str
    code: str
    params: set[str] = field(default_factory=set)
    open: bool = False
    case: str = ""


@cache
def places() -> tuple[Place, ...]:
    """All places of codes of errors, warnings and reasons."""
    return tuple(place for path in _sources() for place in _codes_in(path))


@cache
def faults() -> tuple[Place, ...]:
    """All places of codes of faults in a config."""
    return tuple(place for path in _sources() for place in _faults_in(path))


@cache
def words() -> frozenset[str]:
    """Every text written in the source by itself."""
    trees = map(_tree, _sources())
    return frozenset(
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _sources() -> Iterator[Path]:
    for package in ("engine", "dpo_tui"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "text" not in path.relative_to(ROOT / package).parts[:1]:
                yield path


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _calls(path: Path) -> Iterator[tuple[ast.Call, str, ast.AST]]:
    """Each call, what it calls, and the function it stands in."""

    def visit(node: ast.AST, around: ast.AST) -> Iterator[tuple[ast.Call, str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield child, ast.unparse(child.func), around
            inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else around
            yield from visit(child, inner)

    tree = _tree(path)
    return visit(tree, tree)


def _codes_in(path: Path) -> Iterator[Place]:
    for call, name, around in _calls(path):
        word = name.rpartition(".")[2]
        says = word in ("warning", "end") and name.startswith(
            ("events.", "trainer.events.", "self.trainer.events.")
        )
        makes = word in MAKERS and not (word == "unusable" and path.name not in ("resolve.py", "checks.py"))
        known = word in (*ERRORS, *REASONS) or says or makes or name == "super().__init__"
        for code in _codes(call, around) if known else ():
            yield _place(path, call, word, code, around)


def _codes(call: ast.Call, around: ast.AST) -> list[str]:
    """The code that a call names, or those that its variable can hold."""
    for argument in call.args[:3]:
        found = [code for code in _texts(argument) if CODE.fullmatch(code) or code in BUILT]
        if found:
            return [code for start in found for code in BUILT.get(start, (start,))]
        if isinstance(argument, ast.Name) and argument.id == "code":
            return [code for code in _texts(around) if CODE.fullmatch(code)]
    return []


def _place(path: Path, call: ast.Call, word: str, code: str, around: ast.AST) -> Place:
    where = f"{path.relative_to(ROOT)}:{call.lineno}"
    params = {keyword.arg for keyword in call.keywords if keyword.arg} | MAKERS.get(word, set())
    open_ = False
    if code in ELSEWHERE:
        file, function = ELSEWHERE[code]
        params |= next(
            _keys(node) for node in ast.walk(_tree(ROOT / file)) if getattr(node, "name", "") == function
        )
    for value in [*call.args[2:], *(keyword.value for keyword in call.keywords if keyword.arg is None)]:
        names = {part.id for part in ast.walk(value) if isinstance(part, ast.Name)}
        params |= _keys(around if names & {"params", "case", "told"} else value)
        open_ = open_ or (isinstance(value, ast.Attribute) and value.attr == "params")
    cases = [keyword.value for keyword in call.keywords if keyword.arg == "case"]
    case = next((str(value.value) for value in cases if isinstance(value, ast.Constant)), "")
    return Place(where, word, code, params, open_, case)


def _faults_in(path: Path) -> Iterator[Place]:
    for call, name, around in _calls(path):
        at = 1 if name in ("Message", "KeyError") else 2
        if name not in FAULTS or len(call.args) <= at:
            continue
        code = call.args[at]
        if isinstance(code, ast.Constant) and code.value:
            yield _place(path, call, name, str(code.value), around)


def _texts(node: ast.AST) -> list[str]:
    return [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def _keys(node: ast.AST) -> set[str]:
    """The keys of every dict written in `node`."""
    displays = [part for part in ast.walk(node) if isinstance(part, ast.Dict)]
    return {str(key.value) for part in displays for key in part.keys if isinstance(key, ast.Constant)}
