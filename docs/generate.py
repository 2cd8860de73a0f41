"""Write the pages that come from the code: `config.md` from the schema, `formats.md` from the table of layouts.

make docs
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.config.jsonschema import json_schema
from engine.data.formats.catalogue import CATALOGUE, VARIANTS
from engine.data.formats.format import Format
from engine.data.formats.scores import MARGINS, SCORE_PAIRS
from engine.data.formats.table import FORMATS
from engine.data.report.tallies import CUT, DROPPED

ENTRIES = (*CATALOGUE.values(), *VARIANTS)
HERE = Path(__file__).parent
WRITTEN = "<!-- Written by `make docs`. Change the code it comes from instead. -->"
KINDS = {"string": "text", "boolean": "true or false", "integer": "whole number", "number": "number"}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def main() -> None:
    """Write every page into this folder."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Each generated page by its file name."""
    return {"config.md": config_page(), "formats.md": formats_page()}


# The config


def config_page() -> str:
    """Every table and key of the TOML file."""
    schema = json_schema()
    parts = [
        f"# The config\n\n{WRITTEN}",
        "One TOML file is one run. Required are `model.id` and one `[[data.sources]]` with a `path`; every other key "
        "has a default. Unknown keys, wrong types and numbers that are not finite are errors, all of them reported at "
        "once with their lines: `dpo-tui validate config.toml`. `--set key=value` changes a key for one start, "
        "`dpo-tui schema` prints this page for editors, and `dpo-tui templates cat full` is a file with every key.",
    ]
    parts += [_table(*section) for section in _sections(schema, "", schema)]
    return "\n\n".join(parts) + "\n"


def _sections(
    schema: Mapping[str, Any], path: str, root: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every table below `schema` with its TOML header, a table before those within it."""
    for name, key in schema["properties"].items():
        inner, many = _inner(key, root)
        if inner is not None:
            where = f"{path}.{name}" if path else name
            yield (f"[[{where}]]" if many else f"[{where}]"), inner
            yield from _sections(inner, where, root)


def _inner(key: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, bool]:
    """The table a key holds, if any, and whether it holds a list of them."""
    many = key.get("type") == "array"
    reference = (key.get("items", {}) if many else key).get("$ref")
    return (root["$defs"][reference.rsplit("/", 1)[1]] if reference else None), many


def _table(header: str, section: Mapping[str, Any]) -> str:
    rows = [
        f"| `{name}` | {_kind(key)} | {_default(key, name in section.get('required', ()))} | {key['description']} |"
        for name, key in section["properties"].items()
        if "$ref" not in key and "$ref" not in key.get("items", {})
    ]
    lines = ["| key | value | default | |", "|---|---|---|---|", *rows]
    return f"## `{header}`\n\n{section['description']}\n\n" + "\n".join(lines)


def _kind(key: Mapping[str, Any]) -> str:
    """What may stand at a key, in words."""
    if "anyOf" in key:
        return " or ".join(map(_kind, key["anyOf"]))
    if "enum" in key or "const" in key:
        return " ".join(f"`{json.dumps(choice)}`" for choice in key.get("enum", [key.get("const")]))
    if key["type"] == "array":
        return "list of texts"
    if key["type"] == "object":
        of_lists = key["additionalProperties"].get("type") == "array"
        return "table of lists of texts, numbers, true and false" if of_lists else "table of texts"
    limits = ", ".join(f"{sign} {key[word]:,}" for word, sign in LIMITS.items() if word in key)
    return f"{KINDS[key['type']]} {limits}".rstrip()


def _default(key: Mapping[str, Any], required: bool) -> str:
    if required:
        return "**required**"
    return f"`{json.dumps(key['default'])}`" if "default" in key else "absent"


# The layouts


def formats_page() -> str:
    """Every layout with a row of it."""
    pairs = [f"`{chosen}` less `{rejected}`" for chosen, rejected in SCORE_PAIRS]
    scores = ", ".join([*pairs, *(f"`{margin}`" for margin in MARGINS)])
    reasons = "\n".join(f"* {text}" for text in DROPPED.values())
    cuts = "; ".join(CUT.values())
    parts = [
        f"# Layouts of preference data\n\n{WRITTEN}",
        "The layout of a source is told from its first rows: `dpo-tui data FILE` says which one was found, and shows a "
        "pair as the model will see it. A layout fits a row when it accounts for every column that has a meaning in "
        "any of them; where two fit, or none, the message names the candidates, and `format` in `[[data.sources]]` "
        'decides. `columns = { prompt = "question", chosen = "good", rejected = "bad" }` gives a layout the columns of '
        "your data, whatever they are called.",
        "Files may be JSON Lines, one JSON array, CSV (these also gzipped), Parquet or Arrow; folders of them, and "
        "datasets saved to disk or on the hub.",
        f"Scores are read where rows have them: {scores}. With `min_margin` a pair whose chosen completion does not "
        "score that much higher is left out.",
        f"A row that cannot be read stops the run, with its file and line. A pair is left out, counted and reported "
        f'with its place, when:\n\n{reasons}\n\nA pair over the limits is cut unless `too_long = "drop"`: {cuts}.',
    ]
    return "\n\n".join([*parts, _catalogue(), *map(_layout, FORMATS)]) + "\n"


def _catalogue() -> str:
    """Every layout known in the wild, and the format that reads it."""
    rows = [f"| {entry.found} | [`{entry.format}`](#{entry.format}) |" for entry in ENTRIES]
    return "## Where layouts are found\n\n" + "\n".join(["| found in | format |", "|---|---|", *rows])


def _layout(entry: Format) -> str:
    also = f" Also called {', '.join(f'`{name}`' for name in entry.aliases)}." if entry.aliases else ""
    seen = f"\n\nFound in {entry.seen_in}." if entry.seen_in else ""
    refused = f"\n\nNot trained: {entry.refusal}" if entry.refusal else ""
    found = [(f"A row of {case.found}:", case.sample) for case in ENTRIES if case.format == entry.name]
    samples = [f"{title}\n\n{_json(row)}" for title, row in found or [("A row:", entry.sample)]]
    read = f"\n\n{_columns(entry)}" if not entry.refusal else ""
    return "\n\n".join([f"## `{entry.name}`\n\n{entry.purpose}{also}{seen}{read}{refused}", *samples])


def _columns(entry: Format) -> str:
    """Which columns a layout needs, reads where they are filled, and passes over."""
    lists = {
        "Needs": (*entry.columns, *entry.marks),
        "Reads where filled": tuple(entry.optional),
        "Passes over": tuple(sorted(entry.repeats)),
    }
    named = {words: ", ".join(map(_key, keys)) for words, keys in lists.items() if keys}
    return " ".join(f"{words}: {keys}." for words, keys in named.items())


def _key(key: str) -> str:
    """A column of a layout with its other names."""
    return " or ".join(f"`{name}`" for name in key.split("|"))


def _json(row: Mapping[str, Any]) -> str:
    """A row as a person reads it: one column a line."""
    columns = [
        f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in row.items()
    ]
    return "```json\n{\n" + ",\n".join(columns) + "\n}\n```"


if __name__ == "__main__":
    main()
