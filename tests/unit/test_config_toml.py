"""Reading and editing TOML: bytes and comments stay, lines are known."""

from pathlib import Path

import pytest

from engine.config.locate import locate
from engine.config.toml import TomlDocument, parse_value

HERE = Path("config.toml")

COMMENTED = """\
# what this is for
[model]
id = "a/b"          # the model

[train]
epochs = 1.0        # once
# max_steps = 10
"""


def test_an_untouched_file_keeps_every_byte(tmp_path: Path) -> None:
    content = (
        b'\r\n# odd  spacing\r\n[model]\r\n  id=\'a/b\'\t# c\r\n[[data.sources]]\r\npath = """x"""   \r\n\r\n'
    )
    (tmp_path / "crlf.toml").write_bytes(content)
    assert TomlDocument.read(tmp_path / "crlf.toml").dumps().encode() == content


def test_an_edit_changes_its_value_and_nothing_else() -> None:
    document = TomlDocument.parse(COMMENTED, HERE)
    document.set("train.epochs", 2.5)
    assert document.dumps() == COMMENTED.replace("epochs = 1.0", "epochs = 2.5")


def test_an_edit_keeps_windows_line_endings() -> None:
    document = TomlDocument.parse(COMMENTED.replace("\n", "\r\n"), HERE)
    document.set("train.pairs_per_step", 4)
    document.set("optimizer.learning_rate", 1e-6)
    assert document.dumps().count("\n") == document.dumps().count("\r\n")
    assert document.unwrap()["optimizer"] == {"learning_rate": 1e-6}


def test_an_edit_of_an_array_of_tables_counts_from_0() -> None:
    document = TomlDocument.parse(
        '[[data.sources]]\npath = "a" # first\n[[data.sources]]\npath = "b"\n', HERE
    )
    document.set("data.sources.1.path", "c")
    assert document.dumps() == '[[data.sources]]\npath = "a" # first\n[[data.sources]]\npath = "c"\n'


@pytest.mark.parametrize(
    "key", ["model.id.deeper", "data.sources.1.path", "data.sources.x", "data.sources.-1"]
)
def test_an_edit_that_leads_nowhere_is_refused(key: str) -> None:
    document = TomlDocument.parse('[model]\nid = "a"\n[[data.sources]]\npath = "a"\n', HERE)
    with pytest.raises(KeyError):
        document.set(key, "x")


@pytest.mark.parametrize(
    "text",
    [
        '[a]\nx = 1\n[b]\ny = 2\n[a.c]\nz = 3\n',
        'a.x = 1\na.y = 2\n[b]\n',
        'a = {x = 1}\n',
        '[[a.l]]\nx = 1\n[a.l.t]\ny = 1\n[[a.l]]\n',
    ],
)  # fmt: skip
def test_an_edit_means_the_same_in_any_order_of_tables(text: str) -> None:
    document = TomlDocument.parse(text, HERE)
    document.set("a.new.key", "é\"'\\")
    again = TomlDocument.parse(document.dumps(), HERE)
    assert again.unwrap() == document.unwrap()
    assert again.unwrap()["a"]["new"]["key"] == "é\"'\\"


def test_lines_are_known_for_every_way_to_write_a_key() -> None:
    text = '''# a comment with [brackets] and = signs
top = 1
dotted.key . "with space" = 2
[table]  # comment
text = """
[not] = "a table"
\\""" still text"""
after = 'a # b'
inline = { one = 1, two = [ 1,
  2, { three = 3 } ] }
[[list]]
x = 1
[list.inner]
y = 2
[[list]]
[[list.deep]]
z = 3
'''
    assert locate(text).lines == {
        ("top",): 2,
        ("dotted",): 3,
        ("dotted", "key"): 3,
        ("dotted", "key", "with space"): 3,
        ("table",): 4,
        ("table", "text"): 5,
        ("table", "after"): 8,
        ("table", "inline"): 9,
        ("table", "inline", "one"): 9,
        ("table", "inline", "two"): 9,
        ("table", "inline", "two", 0): 9,
        ("table", "inline", "two", 1): 10,
        ("table", "inline", "two", 2): 10,
        ("table", "inline", "two", 2, "three"): 10,
        ("list",): 11,
        ("list", 0): 11,
        ("list", 0, "x"): 12,
        ("list", 0, "inner"): 13,
        ("list", 0, "inner", "y"): 14,
        ("list", 1): 15,
        ("list", 1, "deep"): 16,
        ("list", 1, "deep", 0): 16,
        ("list", 1, "deep", 0, "z"): 17,
    }


def test_a_missing_key_has_the_line_of_its_table() -> None:
    document = TomlDocument.parse('x = 1\n[[data.sources]]\nsplit = "train"\n', HERE)
    assert document.line_of(("data", "sources", 0, "path")) == 2
    assert document.line_of(("model", "id")) is None


def test_lines_stay_those_of_the_file_after_an_edit() -> None:
    document = TomlDocument.parse("[a]\nx = 1\n[b]\ny = 1\n", HERE)
    document.set("a.new", 1)
    assert document.line_of(("b", "y")) == 4


def test_a_value_of_the_command_line_is_toml_or_else_text() -> None:
    written = ["5e-7", "true", '"5"', "[1, 2]", "cosine", "a = b", "1\nx = 2", "", "[", "~/x"]
    assert [parse_value(text) for text in written] == [
        5e-7, True, "5", [1, 2], "cosine", "a = b", "1\nx = 2", "", "[", "~/x",
    ]  # fmt: skip


def test_a_key_that_is_removed_takes_nothing_else_with_it() -> None:
    document = TomlDocument.parse(COMMENTED.replace("\n", "\r\n"), HERE)
    document.remove("train.epochs")
    kept = COMMENTED.replace("epochs = 1.0        # once\n", "")
    assert document.dumps() == kept.replace("\n", "\r\n")
    assert document.unwrap() == {"model": {"id": "a/b"}, "train": {}}


@pytest.mark.parametrize("key", ["train.keep", "launch", "model.id.deeper", "data.sources.3"])
def test_what_is_not_there_is_removed_without_a_trace(key: str) -> None:
    document = TomlDocument.parse(COMMENTED, HERE)
    document.remove(key)
    assert document.dumps() == COMMENTED


def test_a_new_table_is_set_off_like_the_others() -> None:
    document = TomlDocument.parse('[model]\nid = "a"\n\n[train]\nepochs = 1\n', HERE)
    document.set("model.lora.rank", 8)
    assert document.dumps() == '[model]\nid = "a"\n\n[model.lora]\nrank = 8\n\n[train]\nepochs = 1\n'
