"""A foreign config's statements and expressions: what each name is, without running any of it."""

import ast
from pathlib import Path
from typing import Any

import pytest

from dpo_tui.importing import syntax
from dpo_tui.importing.module import Module
from dpo_tui.importing.values import Called, Place, Symbol, Unread, Value
from tests.unit.importing import module, written


def plain(value: Value) -> Any:
    """A value without its places."""
    if isinstance(value.data, tuple):
        return [plain(entry) for entry in value.data]
    if isinstance(value.data, dict):
        return {key: plain(entry) for key, entry in value.data.items()}
    return value.data


def name(folder: Path, text: str, wanted: str = "x") -> Any:
    return plain(module(folder, text).names[wanted])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("5e-7", 5e-7),
        ("'a' 'b'", "ab"),
        ("None", None),
        ("-3", -3),
        ("not 0", True),
        ("2 * 3 + 1", 7),
        ("7 / 2", 3.5),
        ("7 // 2 % 2", 1),
        ("2 ** 10", 1024),
        ("0.03 * 3", 0.09),
        ("'a' + 'b'", "ab"),
        ("[1] + [2, 'c']", [1, 2, "c"]),
        ("(1, (2,))", [1, [2]]),
        ("dict(a=1, b=dict(c=[2]))", {"a": 1, "b": {"c": [2]}}),
        ("dict(**dict(a=1), a=2)", {"a": 2}),
        ("{'a': 1, **{'b': 2}}", {"a": 1, "b": 2}),
        ("1 if 2 > 1 else 3", 1),
        ("1 if 'a' == 'b' or None else 3", 3),
        ("0 or 'x'", "x"),
        ("0 is not None and 4", 4),
        ("f'{1 + 1}-{\"b\"}c'", "2-bc"),
        ("os.path.join('a', 'b', 'c.jsonl')", "a/b/c.jsonl"),
        ("dict(a=[1, 2]).a[-1]", 2),
        ("dict(a=1)['a']", 1),
        ("torch.float16", Symbol("torch.float16")),
        ("os", Symbol("os")),
        ("path.join", Symbol("os.path.join")),
    ],
)
def test_an_expression_that_is_worked_out(tmp_path: Path, expression: str, expected: Any) -> None:
    found = name(tmp_path, f"import os, torch\nfrom os import path\nx = {expression}\n")
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("y", Unread("name", "y")),
        ("1 + y", Unread("name", "y")),
        ("y.z", Unread("name", "y")),
        ("1 / 0", Unread("expression")),
        ("(-8) ** 0.5", Unread("expression")),
        ("'a' * 9", Unread("expression")),
        ("b'a'", Unread("expression")),
        ("1 < 2 < 3", Unread("expression")),
        ("1 < 'a'", Unread("expression")),
        ("[n for n in (1, 2)]", Unread("expression")),
        ("lambda: 1", Unread("expression")),
        ("[*(1, 2)]", Unread("expression")),
        ("f'{1:x}'", Unread("expression")),
        ("dict(a=1).b", Unread("expression")),
        ("[1][1]", Unread("expression")),
        ("{1: 2}", Unread("expression")),
        ("'a'.join(['b'])", Unread("expression")),
        ("9 ** 9 ** 9", Unread("long")),
        ("1 << 4", Unread("expression")),
        ("~1", Unread("expression")),
        ("2 ** 63 * 2", Unread("long")),
        ("'" + "a" * 9000 + "' + '" + "b" * 9000 + "'", Unread("long")),
        ("1e308 ** 2", Unread("long")),
    ],
)
def test_an_expression_that_is_not(tmp_path: Path, expression: str, expected: Unread) -> None:
    assert name(tmp_path, f"x = {expression}\n") == expected


def test_a_call_is_known_by_its_name_and_never_made(tmp_path: Path) -> None:
    found = module(tmp_path, "from hub import get\nx = get('a', to=1)\ny = int('3')\n").names
    assert isinstance(found["x"].data, Called)
    assert found["x"].data.function == "hub.get"
    assert [plain(one) for one in found["x"].data.arguments] == ["a"]
    assert isinstance(found["y"].data, Called)


def test_only_the_part_that_is_not_known_is_lost(tmp_path: Path) -> None:
    assert name(tmp_path, "x = dict(a=1, b=[y, 2], c=3)\n") == {"a": 1, "b": [Unread("name", "y"), 2], "c": 3}


def test_a_value_keeps_the_line_and_the_name_it_was_written_under(tmp_path: Path) -> None:
    found = (
        module(tmp_path, "rate = 1\nsame = rate\nx = dict(\n    lr=same,\n    wd=0.1,\n)\n").names["x"].data
    )
    assert isinstance(found, dict)
    assert (found["lr"].place, found["lr"].name) == (Place(1), "rate")
    assert (found["wd"].place, found["wd"].name) == (Place(5), "")


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("x = y = 3", 3),
        ("x: int = 3", 3),
        ("x = 2\nx *= 4", 8),
        ("x = dict(a=1)\nx.a = 2", {"a": 2}),
        ("x = dict(a=dict(b=1))\nx['a']['b'] += 2\nx.c = 0", {"a": {"b": 3}, "c": 0}),
        ("x = [1, 2]\nx[0] = 3", [3, 2]),
        ("x = dict(a=1)\nx.update(b=2)\nx.update(dict(a=3), c=4)", {"a": 3, "b": 2, "c": 4}),
        ("x = 1\nif x > 0:\n    x = 2\nelse:\n    x = 3", 2),
        ("x = 1\n'a text in the open'\npass", 1),
        ("y = dict(a=1)\nx = dict(**y)\ny.a = 2", {"a": 1}),
    ],
)
def test_a_statement_that_is_carried_out(tmp_path: Path, statements: str, expected: Any) -> None:
    read = module(tmp_path, statements + "\n")
    assert plain(read.names["x"]) == expected
    assert read.skipped == []


@pytest.mark.parametrize(
    "statement",
    [
        "for n in (1, 2):\n    x.a = n",
        "while x.a:\n    x.a = 2",
        "if unknown:\n    x = dict(a=2)",
        "del x['a']",
        "x.pop('a')",
        "x['a'].append(1)",
        "change(x)",
        "x, y = 1, 2",
        "x[unknown] = 2",
        "x.update(unknown)",
        "with open('f') as x: pass",
        "try:\n    x = 2\nexcept E: pass",
        "y = [x := 2]",
        "def f():\n    global x\n    x = 2",
    ],
)
def test_what_a_statement_that_is_not_read_may_have_changed_is_not_known(
    tmp_path: Path, statement: str
) -> None:
    read = module(tmp_path, f"x = dict(a=1)\n{statement}\n")
    assert plain(read.names["x"]) == Unread("changed", "x")
    assert [one.place for one in read.skipped] == [Place(2)]


def test_a_statement_that_is_not_read_leaves_all_else(tmp_path: Path) -> None:
    read = module(tmp_path, "x = dict(a=1)\nlr = 1\nprint(lr)\nassert lr\ndef f():\n    lr = 2\n")
    assert plain(read.names["x"]) == {"a": 1}
    assert plain(read.names["lr"]) == 1
    assert [one.unread.why for one in read.skipped] == ["call", "statement", "definition"]


def test_a_base_beside_the_file_comes_first(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    written(tmp_path / "base", "x = dict(a=1, b=1)\ny = 2\n", "one.py")
    read = module(tmp_path, "with read_base():\n    from .base.one import *\nx.b = y\n")
    assert plain(read.names["x"]) == {"a": 1, "b": 2}
    assert read.names["y"].place == Place(2, "one.py")


def test_only_the_names_asked_for_come_from_a_base(tmp_path: Path) -> None:
    written(tmp_path, "x = 1\ny = 2\n", "base.py")
    read = module(tmp_path, "with read_base():\n    from .base import x as z, gone\n")
    assert {key: plain(value) for key, value in read.names.items()} == {"z": 1}


@pytest.mark.parametrize(
    "statement", ["from .gone import *", "from xtuner.configs import *", "from .config import *"]
)
def test_a_base_that_is_not_there_or_goes_round_is_listed(tmp_path: Path, statement: str) -> None:
    read = module(tmp_path, f"with read_base():\n    {statement}\nx = 1\n")
    assert [(one.place, one.unread.why) for one in read.skipped] == [(Place(2), "base")]
    assert plain(read.names["x"]) == 1


def test_bases_upon_bases_are_each_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = "    from .{0} import *\n" * 50
    for number in range(6):
        text = "with read_base():\n" + again.format(f"b{number + 1}") if number < 5 else "x = 1\n"
        written(tmp_path, text, f"b{number}.py")
    opened: list[str] = []
    read_tree = syntax.read_tree

    def counted(path: Path) -> ast.Module:
        opened.append(path.name)
        return read_tree(path)

    monkeypatch.setattr("dpo_tui.importing.module.read_tree", counted)
    assert plain(Module(tmp_path / "b0.py").read().names["x"]) == 1
    assert sorted(opened) == [f"b{number}.py" for number in range(6)]


@pytest.mark.parametrize(
    "line",
    [
        "part['a'] = 2",
        "part.update(a=2)",
        "whole['part'].a = 2",
        "again = part\nagain.a = 2",
        "both = [part]\nboth[0]['a'] = 2",
    ],
)
def test_a_change_is_one_of_all_that_hold_what_is_changed(tmp_path: Path, line: str) -> None:
    text = f"part = dict(a=1)\nother = dict(a=1)\nwhole = dict(part=part)\n{line}\n"
    names = module(tmp_path, text).names
    assert plain(names["part"]) == {"a": 2}
    assert plain(names["whole"]) == {"part": {"a": 2}}
    assert plain(names["other"]) == {"a": 1}
    assert names["whole"].data["part"].data is names["part"].data  # type: ignore[index, call-overload, union-attr]


def test_names_of_a_base_hold_copies(tmp_path: Path) -> None:
    written(tmp_path, "part = dict(a=1)\nwhole = dict(part=part)\n", "base.py")
    text = "with read_base():\n    from .base import *\npart['a'] = 2\n"
    names = module(tmp_path, text).names
    assert plain(names["part"]) == {"a": 2}
    assert plain(names["whole"]) == {"part": {"a": 1}}


@pytest.mark.parametrize(
    "line",
    [
        "y = part.pop('a')",
        "y = [change(part)]",
        "y: int = change(all=[part])",
        "print(whole.clear(), part.clear())",
    ],
)
def test_what_a_call_may_have_changed_is_not_known_any_more(tmp_path: Path, line: str) -> None:
    read = module(
        tmp_path, f"part = dict(a=1)\nwhole = dict(part=part)\nkept = dict(a=part.get('a'))\n{line}\n"
    )
    assert read.names["part"].data == Unread("changed", "part")
    assert plain(read.names["whole"]) in ({"part": Unread("changed", "part")}, Unread("changed", "whole"))
    assert 4 in [skipped.place.line for skipped in read.skipped]


def test_a_call_that_changes_nothing_leaves_all_known(tmp_path: Path) -> None:
    text = "part = dict(a=[1])\nx = dict(b=len(part), c=part.get('a'), d=dict(part, e=make('name')))\n"
    read = module(tmp_path, text)
    assert plain(read.names["part"]) == {"a": [1]}
    assert not read.skipped
