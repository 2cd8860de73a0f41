"""The config as a TOML file whose comments say where each value came from."""

import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from dpo_tui.importing.convert import Imported
from dpo_tui.importing.findings import Taken
from dpo_tui.importing.sentences import origins, sentence
from dpo_tui.text import t
from engine.config.toml import written
from engine.sanitize import one_line

_WIDTH = 110
_COMMENT_AT = 44

ORDER = ("run", "model", "model.lora", "data", "data.sources", "objective", "optimizer", "train", "launch")


def toml_text(imported: Imported) -> str:
    """The file; it reads back as the values."""
    lines = [f"# {t('import.header', path=one_line(imported.path.name))}"]
    for table in ORDER:
        lines += _table(imported, table)
    text = "\n".join(lines) + "\n"
    assert tomllib.loads(text) == imported.values()
    return text


def _table(imported: Imported, table: str) -> Iterator[str]:
    if table == "data.sources":
        for index in range(len(imported.values()["data"]["sources"])):
            yield from _keys(imported, f"{table}.{index}", "[[data.sources]]")
    else:
        yield from _keys(imported, table, f"[{table}]")


def _keys(imported: Imported, table: str, header: str) -> Iterator[str]:
    taken = [one for one in imported.taken if one.key.rpartition(".")[0] == table]
    if not taken:
        return
    yield ""
    yield header
    remarks = {one.about: one for one in imported.remarks if one.kind == "differs"}
    for one, following in zip_longest(taken, taken[1:]):
        if one.key in remarks:
            said = sentence(remarks[one.key])
            yield from (f"# {line}" for line in textwrap.wrap(said, _WIDTH, break_on_hyphens=False))
        told_next = following is not None and following.origins == one.origins
        yield _line(one, "" if told_next else origins(one))


def _line(one: Taken, origin: str) -> str:
    """A key with its value, and behind it where that was written."""
    line = f"{one.key.rpartition('.')[2]} = {value_text(one.value)}"
    return f"{line:<{_COMMENT_AT}}  # {origin}" if origin else line


def value_text(value: Any) -> str:
    """A value as TOML has it, an exponent as people write it."""
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, float) and "e" in (text := repr(value)):
        return text.replace("e-0", "e-").replace("e+0", "e+")
    assert not isinstance(value, Mapping)
    return written(value)
