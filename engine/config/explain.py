"""What pydantic finds, in sentences: what was expected, what was found, and which key was probably meant."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from engine.config.problems import MOST_SHOWN, Fault, KeyPath, Message, found, shown
from engine.config.schema import RUN_NAME, Config
from engine.config.section import Section
from engine.config.slurm import PATTERNS as SLURM_PATTERNS

_OTHER_NAMES = {
    "lr": "learning_rate",
    "batch_size": "pairs_per_step",
    "per_device_train_batch_size": "pairs_per_step",
    "gradient_accumulation_steps": "pairs_per_step",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "logging_steps": "log_every",
    "eval_steps": "eval_every",
    "save_steps": "save_every",
    "save_total_limit": "keep",
    "lr_scheduler_type": "schedule",
    "loss_type": "loss",
    "model_name_or_path": "id",
    "torch_dtype": "dtype",
    "max_seq_length": "max_length",
    "r": "rank",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "target_modules": "targets",
}
"""What other trainers call our keys."""

PATTERNS = {
    RUN_NAME: "expected letters, digits, '.', '_' and '-', at most 64, the first a letter or digit",
    **SLURM_PATTERNS,
}
"""What each pattern of the schema allows, in words."""


def faults(error: ValidationError) -> Iterator[Fault]:
    """One fault a key, in pydantic's order; pydantic reports each member of a union by itself.

    Finding what was meant takes time: in a flood of faults those that are not shown go without.
    """
    seen: set[KeyPath] = set()
    for details in error.errors(include_url=False):
        key, field = _place(details["loc"])
        if key not in seen:
            seen.add(key)
            told = len(seen) <= MOST_SHOWN
            message = _sentence(details, key, field) if told else Message(details["msg"], "")
            yield Fault.of(key, message, missing=details["type"] == "missing")


def field_at(key: KeyPath) -> FieldInfo | None:
    """The schema's field at `key`, or None where the schema has no such key."""
    reached, field = _place(key)
    return field if reached == key else None


def accepts_text(field: FieldInfo) -> bool:
    """Whether any text may stand in `field`."""
    return any(member is str for member in members(field.annotation))


def _place(loc: tuple[str | int, ...]) -> tuple[KeyPath, FieldInfo | None]:
    """The key path in `loc` as far as the schema reaches, with the field there.

    pydantic adds the member of a union it tried (`list[...]`) to a loc; an unknown key is the last part.
    """
    section: type[Section] | None = Config
    field: FieldInfo | None = None
    key: KeyPath = ()
    for part in loc:
        if isinstance(part, int):
            key = (*key, part)
        elif section is None:
            break
        else:
            key = (*key, part)
            field = section.model_fields.get(part)
            section = section_in(field.annotation) if field else None
            if field is None:
                break
    return key, field


def _sentence(details: ErrorDetails, key: KeyPath, field: FieldInfo | None) -> Message:
    value = details["input"]
    if field is None:
        return _unknown(key, value)
    kind, limits = details["type"], details.get("ctx", {})
    if kind == "missing":
        text = f"missing. {field.description or 'Every config needs this table.'}"
        return Message(text, "missing", {"field": ".".join(_table(key))})
    if kind in LIMITS:
        text = f"{LIMITS[kind](limits)}, found {shown(value)}"
        return Message(text, kind, {**limits, "found": found(value)})
    if kind == "too_short":
        table = ".".join(map(str, key))
        return Message(f"needs at least one entry: write a [[{table}]] table", "too_short", {"table": table})
    return _wrong_type(field, key, value)


LIMITS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda limits: f"must be greater than {limits['gt']:g}",
    "greater_than_equal": lambda limits: f"must be at least {limits['ge']:g}",
    "less_than": lambda limits: f"must be less than {limits['lt']:,}",
    "less_than_equal": lambda limits: f"must be at most {limits['le']:g}",
    "finite_number": lambda _: "expected a finite number",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda limits: f"must have at most {limits['max_length']} characters",
    "string_pattern_mismatch": lambda limits: PATTERNS[limits["pattern"]],
}


def _wrong_type(field: FieldInfo, key: KeyPath, value: Any) -> Message:
    """What is allowed, in words; None is not among it, since TOML cannot write it."""
    allowed = members(field.annotation)
    hint = _hint(field, key, value)
    words = " or ".join(map(_described, allowed))
    text = f"expected {words}, found {shown(value)}{'. ' if hint else ''}{hint.text if hint else ''}"
    params = {"expected": [word for member in allowed for word in _each(member)], "found": found(value)}
    return Message(text, "expected", params | ({"case": hint.code} | hint.params if hint else {}))


def _each(member: Any) -> list[str]:
    """As `_described`, with each choice by itself."""
    return [*map(repr, get_args(member))] if get_origin(member) is Literal else [_described(member)]


def _described(member: Any) -> str:
    if get_origin(member) is Literal:
        choices = [repr(choice) for choice in get_args(member)]
        return choices[0] if len(choices) == 1 else "one of " + ", ".join(choices)
    if get_origin(member) is list:
        inner = get_args(member)[0]
        return "a list of tables" if section_in(inner) else "a list of texts"
    if get_origin(member) is dict:
        return _TABLE_OF_LISTS if holds_lists(member) else _TABLE_OF_TEXTS
    if isinstance(member, type) and issubclass(member, Section):
        return "a table"
    return _TYPES[member]


_TABLE_OF_TEXTS = "a table of texts, like { prompt = 'question' }"
_TABLE_OF_LISTS = "a table of lists of texts, numbers, true and false, like { source = ['web', 'forum'] }"
_TYPES = {str: "text in quotes", bool: "true or false", int: "a whole number", float: "a number"}


def _hint(field: FieldInfo, key: KeyPath, value: Any) -> Message | None:
    """What was probably meant by a value of the wrong type, as a further sentence."""
    allowed = members(field.annotation)
    choices = [choice for member in allowed if get_origin(member) is Literal for choice in get_args(member)]
    if isinstance(value, str):
        if close := get_close_matches(value.lower(), choices, n=1):
            return Message(f"Did you mean '{close[0]}'?", "meant", {"meant": close[0]})
        if _is_number(value) and (int in allowed or float in allowed):
            return Message("Remove the quotes", "quoted")
        if value.lower() in ("true", "false") and bool in allowed:
            return Message(f"Write {value.lower()} without quotes", "quoted")
    if isinstance(value, dict) and section_in(field.annotation):
        table = ".".join(map(str, key))
        return Message(f"Write [[{table}]], with two brackets", "brackets", {"table": table})
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unknown(key: KeyPath, value: Any) -> Message:
    """A key the schema does not have: a likely spelling in its table, or the table it belongs in."""
    table = _table(key[:-1])
    word = "table" if isinstance(value, dict) else "key"
    here = _tables()[table]
    name = _OTHER_NAMES.get(str(key[-1]), str(key[-1]))
    if name in here:
        return _meant(word, name)
    if homes := [other for other, names in _tables().items() if name in names]:
        return _belongs(word, name, homes)
    if close := get_close_matches(name.lower(), here, n=1):
        return _meant(word, close[0])
    everywhere = {known for names in _tables().values() for known in names}
    if close := get_close_matches(name.lower(), everywhere, n=1, cutoff=0.8):
        homes = [other for other, names in _tables().items() if close[0] in names]
        return _belongs(word, close[0], homes, f" Did you mean '{close[0]}'?")
    text = f"unknown {word}; {_header(table)} has {', '.join(here)}"
    return Message(text, "unknown", {"case": "has", "word": word, "table": _header(table), "names": [*here]})


def _meant(word: str, name: str) -> Message:
    text = f"unknown {word}. Did you mean '{name}'?"
    return Message(text, "unknown", {"case": "meant", "word": word, "meant": name})


def _belongs(word: str, name: str, homes: list[tuple[str, ...]], question: str = "") -> Message:
    """The table that has `name`; `question` goes before it where `name` is only like what was written."""
    params: dict[str, Any] = {"word": word, "meant": name}
    if (*homes[0], name) in _tables():
        table = ".".join((*homes[0], name))
        text = f"unknown {word}.{question} Write it as [{table}]"
        return Message(text, "unknown", {"case": "table", "table": f"[{table}]", **params})
    headers = [*map(_header, homes)]
    text = f"unknown {word}.{question} '{name}' belongs in {' or '.join(headers)}"
    return Message(text, "unknown", {"case": "belongs", "homes": headers, **params})


def _table(key: KeyPath) -> tuple[str, ...]:
    """The key with list indices left out."""
    return tuple(part for part in key if isinstance(part, str))


def _header(table: tuple[str, ...]) -> str:
    if not table:
        return "the file"
    name = ".".join(table)
    return f"[[{name}]]" if table in _lists_of_tables() else f"[{name}]"


@cache
def _tables() -> dict[tuple[str, ...], tuple[str, ...]]:
    """Every table of the schema, by its path, with the names of its keys."""
    tables: dict[tuple[str, ...], tuple[str, ...]] = {}

    def collect(section: type[Section], path: tuple[str, ...]) -> None:
        tables[path] = tuple(section.model_fields)
        for name, field in section.model_fields.items():
            if inner := section_in(field.annotation):
                collect(inner, (*path, name))

    collect(Config, ())
    return tables


@cache
def _lists_of_tables() -> frozenset[tuple[str, ...]]:
    return frozenset(
        path
        for path in _tables()
        if path and (field := field_at(path)) and get_origin(field.annotation) is list
    )


def holds_lists(table: Any) -> bool:
    """Whether a type of tables, `dict[str, ...]`, is one of tables of lists."""
    return get_origin(get_args(table)[1]) is list


def section_in(annotation: Any) -> type[Section] | None:
    """The table type in `Lora | None`, `list[Source]` or `Run`."""
    for member in members(annotation):
        inner = get_args(member)[0] if get_origin(member) is list else member
        if isinstance(inner, type) and issubclass(inner, Section):
            return inner
    return None


def members(annotation: Any) -> list[Any]:
    """The types a union allows, without None and without Annotated's constraints."""
    if get_origin(annotation) in (Union, UnionType):
        return [inner for member in get_args(annotation) for inner in members(member)]
    if hasattr(annotation, "__metadata__"):
        return members(get_args(annotation)[0])
    return [] if annotation is NoneType else [annotation]
