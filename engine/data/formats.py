"""The layouts preference pairs come in: one table, one entry each, told apart by the rows themselves.

A further layout is one more entry: its columns with the shape of each, and a small reader.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from engine.data.messages import (
    ChatPreference,
    Preference,
    RowError,
    TextPreference,
    conversation,
    message,
    split_conversations,
    split_texts,
    without_prompt,
)
from engine.data.shapes import MESSAGES, OPTIONAL_TEXT, TEXT, TURN, TURNS, Shape, kind
from engine.exits import UnusableError, UsageError
from engine.sanitize import one_line

Fields: TypeAlias = Mapping[str, Any]

# Columns that hold a part of the prompt in some layout: one that knows nothing of them would train without.
PROMPT_COLUMNS = frozenset(
    {
        "prompt",
        "question",
        "instruction",
        "input",
        "query",
        "messages",
        "conversations",
        "conversation",
        "context",
    }
    | {"history", "trajectory"}
)
CONTEXT_COLUMNS = frozenset({"system", "tools", "images", "image"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One layout of a row.

    columns: what a row must hold. marks: columns that only tell it apart. absent: columns that must be missing
    or empty for it to be detected. sample: a row of it, for the documentation and the tests.
    """

    name: str
    purpose: str
    columns: Mapping[str, Shape]
    read: Callable[[Fields], Preference]
    sample: Fields
    marks: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    def problem(self, fields: Fields) -> str | None:
        """What is wrong with the first wrong column of a row; None when all are as they should be."""
        for column, shape in self.columns.items():
            found = shape.problem(fields.get(column))
            if found:
                missing = column not in fields
                return f"`{column}` is {'missing' if missing else found}: expected {shape.name}"
        return None

    def matches(self, fields: Fields) -> bool:
        """Whether a row looks like this layout, and like it alone."""
        return (
            self.marks <= fields.keys()
            and not any(fields.get(column) for column in self.absent)
            and self.problem(fields) is None
        )

    def preference(self, fields: Fields) -> Preference:
        """Read a row. Raises `RowError` saying which column is wrong and what was expected."""
        problem = self.problem(fields)
        if problem:
            raise RowError(f"{problem} (format {self.name})")
        return self.read(fields)


def _trl_explicit(row: Fields) -> Preference:
    return TextPreference(row["prompt"], row["chosen"], row["rejected"])


def _trl_implicit(row: Fields) -> Preference:
    return split_texts(row["chosen"], row["rejected"])


def _trl_conversational(row: Fields) -> Preference:
    return without_prompt(*(conversation(row[column]) for column in ("prompt", "chosen", "rejected")))


def _whole_conversations(row: Fields) -> Preference:
    return split_conversations(conversation(row["chosen"]), conversation(row["rejected"]))


def _sharegpt_ranking(row: Fields) -> Preference:
    prompt = conversation(row["conversations"], "from", "value")
    if row.get("system"):
        prompt.insert(0, {"role": "system", "content": row["system"]})
    chosen, rejected = (message(row[column], "from", "value") for column in ("chosen", "rejected"))
    return ChatPreference(prompt, [chosen], [rejected])


_ASKED = {"role": "user", "content": "What colour is the sky?"}
_GOOD = {"role": "assistant", "content": "It is blue by day."}
_BAD = {"role": "assistant", "content": "Green, I think."}

FORMATS: tuple[Format, ...] = (
    Format(
        name="trl-explicit",
        purpose="Prompt and both completions as plain text.",
        columns={"prompt": TEXT, "chosen": TEXT, "rejected": TEXT},
        absent=CONTEXT_COLUMNS,
        read=_trl_explicit,
        sample={"prompt": "The sky is", "chosen": " blue.", "rejected": " green."},
    ),
    Format(
        name="trl-implicit",
        purpose="Two whole texts; the prompt is what they begin with in common.",
        columns={"chosen": TEXT, "rejected": TEXT},
        absent=PROMPT_COLUMNS | CONTEXT_COLUMNS,
        read=_trl_implicit,
        sample={"chosen": "The sky is blue.", "rejected": "The sky is green."},
    ),
    Format(
        name="trl-conversational",
        purpose="Prompt and both completions as lists of chat messages.",
        columns={"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES},
        absent=CONTEXT_COLUMNS,
        read=_trl_conversational,
        sample={"prompt": [_ASKED], "chosen": [_GOOD], "rejected": [_BAD]},
    ),
    Format(
        name="trl-conversational-implicit",
        purpose="Two whole conversations; the prompt is the messages they begin with in common.",
        columns={"chosen": MESSAGES, "rejected": MESSAGES},
        absent=PROMPT_COLUMNS | CONTEXT_COLUMNS,
        read=_whole_conversations,
        sample={"chosen": [_ASKED, _GOOD], "rejected": [_ASKED, _BAD]},
    ),
    Format(
        name="orpo-dpo-mix-40k",
        purpose="Two whole conversations, with the prompt repeated as text (mlabonne/orpo-dpo-mix-40k).",
        columns={
            "chosen": MESSAGES,
            "rejected": MESSAGES,
            "prompt": OPTIONAL_TEXT,
            "question": OPTIONAL_TEXT,
        },
        marks=frozenset({"source", "prompt", "question"}),
        absent=CONTEXT_COLUMNS,
        read=_whole_conversations,
        sample={
            "source": "Airoboros",
            "chosen": [_ASKED, _GOOD],
            "rejected": [_ASKED, _BAD],
            "prompt": _ASKED["content"],
            "question": _ASKED["content"],
        },
    ),
    Format(
        name="sharegpt-ranking",
        purpose="A conversation and two further turns, with from and value (LLaMA-Factory).",
        columns={"conversations": TURNS, "chosen": TURN, "rejected": TURN, "system": OPTIONAL_TEXT},
        absent=CONTEXT_COLUMNS - {"system"},
        read=_sharegpt_ranking,
        sample={
            "conversations": [{"from": "human", "value": _ASKED["content"]}],
            "chosen": {"from": "gpt", "value": _GOOD["content"]},
            "rejected": {"from": "gpt", "value": _BAD["content"]},
        },
    ),
)

DETECTION_ROWS = 64
"""Rows looked at to tell the layout: enough that a few broken ones do not decide."""


def format_named(name: str, formats: Sequence[Format] = FORMATS) -> Format:
    """The format of that name. Raises `UsageError` with the nearest name."""
    for entry in formats:
        if entry.name == name:
            return entry
    names = [entry.name for entry in formats]
    near = difflib.get_close_matches(name, names, 1)
    hint = f'Did you mean "{near[0]}"?' if near else f"Known: auto, {', '.join(names)}."
    raise UsageError("data.unknown_format", f'There is no data format "{name}". {hint}', name=name, near=near)


def detect(rows: Sequence[Fields], place: str, formats: Sequence[Format] = FORMATS) -> Format:
    """The only format that fits any row, or of several the one most rows are in; the others are errors of those rows.

    place: where the rows are from, for the message. Raises `UnusableError` when none fits or several do.
    """
    seen = list(islice(rows, DETECTION_ROWS))
    counts = {entry.name: sum(entry.matches(fields) for fields in seen) for entry in formats}
    candidates = [entry for entry in formats if counts[entry.name]]
    if not candidates:
        raise _none_fits(seen, place, formats)
    if len(candidates) == 1:
        return candidates[0]
    winners = [entry for entry in candidates if 2 * counts[entry.name] > len(seen)]
    if len(winners) != 1:
        raise _several_fit(winners or candidates, counts, place)
    return winners[0]


def _none_fits(seen: Sequence[Fields], place: str, formats: Sequence[Format]) -> UnusableError:
    columns = (
        ", ".join(f"{column} ({kind(value)})" for column, value in list(seen[0].items())[:20]) if seen else ""
    )
    known = "; ".join(f"{entry.name}: {', '.join(_needed(entry))}" for entry in formats)
    text = (
        f"{place}: no known layout fits. Columns found: {columns or 'none'}. Known layouts, with the columns "
        f"they need: {known}. Rename the columns, or set `format` of this source if one of them is meant."
    )
    return UnusableError(
        "data.format_unknown", one_line(text), place=place, columns=list(seen[0]) if seen else []
    )


def _needed(entry: Format) -> list[str]:
    return [column for column, shape in entry.columns.items() if shape is not OPTIONAL_TEXT]


def _several_fit(candidates: Sequence[Format], counts: Mapping[str, int], place: str) -> UnusableError:
    names = [entry.name for entry in candidates]
    fits = " and ".join(f"{name} ({counts[name]} rows)" for name in names)
    text = (
        f"{place}: several layouts fit the first rows: {fits}. Say which one is meant, for example "
        f'format = "{names[0]}" in its [[data.sources]]; a file that mixes layouts has to be split.'
    )
    return UnusableError("data.format_ambiguous", text, place=place, formats=names)
