"""Configs made of the schema's own keys with any values, templates with any damage, and any overrides."""

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from engine.config.load import load_config, resolved_toml
from engine.config.schema import Config
from engine.config.section import Section
from engine.shipped import template_dir
from tests.fuzz.cases import case, fuzzed

TEMPLATES = [path.read_bytes() for path in sorted(template_dir().glob("*.toml"))]


def keys_of(section: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every key of the schema by its path, with its type."""
    for name, field in section.model_fields.items():
        yield (*path, name), field.annotation
        for inner in sections(field.annotation):
            yield from keys_of(inner, (*path, name))


def sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for member in get_args(annotation) if get_origin(annotation) else ():
        yield from sections(member)


TYPES = dict(keys_of(Config))
LEAVES = sorted(path for path, annotation in TYPES.items() if not list(sections(annotation)))
KEYS = sorted(".".join(path) for path in TYPES)
NAMES = sorted({path[-1] for path in TYPES})
LIKELY = st.sampled_from(
    ["hub", "local", "builtin", "smollm2-135m-instruct", "quickstart", "a/b", "auto", "sigmoid", "cosine", "~x", "..",
     "bfloat16", "latest", "best", "all-linear", "truncate", "", "x" * 5000, "hf_" + "a" * 30, "\u202e", 0, 1, 16, -1,
     0.5, 1e-5, 1e308, 5e-324, 2**31, 2**63 - 1, -(2**63), True, False]
)  # fmt: skip
SCALARS = (
    LIKELY
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.dates(datetime.date(1900, 1, 1))
    | st.times()
    | st.datetimes(datetime.datetime(1900, 1, 1))
)
KEY = st.sampled_from(NAMES) | st.text("abc.-_ \"'\\\n", max_size=4)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4)
)
VALID = st.fixed_dictionaries(
    {
        "model": st.just({"source": "builtin", "id": "smollm2-135m-instruct"}),
        "data": st.just({"sources": [{"source": "builtin", "path": "quickstart"}]}),
    }
)


def fitting(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a type, most of them within a key's limits."""
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if annotation in SIMPLE:
        return SIMPLE[annotation]
    if get_origin(annotation) in (Union, UnionType):
        return st.one_of([fitting(member) for member in get_args(annotation) if member is not NoneType])
    if get_origin(annotation) is dict:
        return st.dictionaries(SIMPLE[str], fitting(get_args(annotation)[1]), max_size=2)
    if get_origin(annotation) is list and not list(sections(annotation)):
        return st.lists(SIMPLE[str], max_size=2)
    return fitting(get_args(annotation)[0]) if hasattr(annotation, "__metadata__") else VALUES


SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(0, 5000),
    float: st.floats(0, 1) | st.integers(0, 2),
    str: st.sampled_from(["a", "quickstart", "me/mine", "pairs.jsonl", "~", "main"]),
}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A config, most often a good one, with some of its keys set to what fits or to anything."""
    document: dict[str, Any] = draw(VALID | VALID | st.dictionaries(KEY, VALUES, max_size=4))
    for path in draw(st.lists(st.sampled_from(LEAVES), max_size=6)):
        value = draw(VALUES if draw(st.integers(0, 9)) == 9 else fitting(TYPES[path]))
        *outer, last = path
        table: Any = document
        for part in outer:
            table = table.setdefault(part, {}) if isinstance(table, dict) else table
            table = table[0] if isinstance(table, list) and table else table
        if isinstance(table, dict):
            table[last] = value
    return document


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "c.toml"


def check(path: Path, content: bytes, test: str, overrides: list[str] | None = None) -> None:
    """A config that is taken reads back as the same one."""
    path.write_bytes(content)
    with case(test):
        config = load_config(path, overrides or ()).config
        path.write_text(resolved_toml(config), encoding="utf-8")
        assert load_config(path).config == config


@fuzzed
@given(document=documents())
def test_documents_of_the_schema_s_own_keys(path: Path, document: dict[str, Any]) -> None:
    check(path, tomlkit.dumps(document).encode(), "documents")


def flip(content: bytes, at: int, byte: int) -> bytes:
    return content[:at] + bytes([byte % 256]) + content[at + 1 :]


def delete(content: bytes, at: int, count: int) -> bytes:
    lines = content.splitlines(keepends=True)
    first = at % len(lines) if lines else 0
    return b"".join(lines[:first] + lines[first + count % 8 :])


def duplicate(content: bytes, at: int, count: int) -> bytes:
    lines = content.splitlines(keepends=True)
    first = at % len(lines) if lines else 0
    return b"".join(lines[: first + 1 + count % 8] + lines[first:])


def insert(content: bytes, at: int, which: int) -> bytes:
    piece = PIECES[which % len(PIECES)]
    return content[:at] + piece + content[at:]


def cut(content: bytes, at: int, _: int) -> bytes:
    return content[:at]


PIECES = [b"[", b"]", b"[[", b"]]", b"{", b"}", b"=", b",", b".", b"\n", b'"', b"'", b'"""', b"'''", b"\\",
b"\r", b"\0",
          b"\x1b", b"\xff", b"\xef\xbb\xbf", b"#", b"nan", b"-inf", b"0x", b"1e999", b"9" * 200, b"[" * 99, b"a." * 99,
          b"1979-05-27T07:32:00Z", "\u2028".encode(), b"\xed\xa0\x80"]  # fmt: skip
Damage = tuple[Callable[[bytes, int, int], bytes], int, int]
DAMAGE = st.lists(
    st.tuples(
        st.sampled_from([flip, delete, duplicate, insert, cut]), st.integers(0, 9999), st.integers(0, 999)
    ),
    min_size=1,
    max_size=6,
)


@fuzzed
@given(content=st.sampled_from(TEMPLATES), damage=DAMAGE)
def test_damaged_templates(path: Path, content: bytes, damage: list[Damage]) -> None:
    for change, at, how in damage:
        content = change(content, at % (len(content) + 1), how)
    check(path, content, "templates")


@fuzzed
@given(content=st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
def test_any_bytes(path: Path, content: bytes) -> None:
    check(path, content, "bytes")


ANY = st.text(max_size=20)
WRITTEN = ANY | SCALARS.map(str) | VALUES.map(lambda value: tomlkit.item({"x": value}).as_string()) | st.sampled_from(
    ["[", "{", "'", '"', "nan", "[[]]", "{}", "{a=", "[1,", "\\", "\n", "", "# x", "1 # x", "\x1b", "\udcff",
    "9" * 5000]
)  # fmt: skip
SETTING = st.builds("{}{}{}".format, st.sampled_from(KEYS) | st.builds(
    "data.sources.{}.{}".format, st.integers(-1, 3), st.sampled_from(NAMES)
) | ANY, st.sampled_from(["=", "=", "=", " = ", "", "=="]), WRITTEN)  # fmt: skip


@fuzzed
@given(content=st.sampled_from(TEMPLATES), overrides=st.lists(SETTING, min_size=1, max_size=4))
def test_any_overrides(path: Path, content: bytes, overrides: list[str]) -> None:
    check(path, content, "overrides", overrides)
