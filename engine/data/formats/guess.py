"""What to say when no layout fits: the nearest layouts, and which columns may be meant."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from engine.data.formats.format import Fields, Format, column_of
from engine.data.rows.shapes import empty

WORDS = {
    "prompt": ("prompt", "question", "instruction", "query", "input", "user", "context", "task", "problem"),
    "chosen": ("chosen", "accepted", "preferred", "better", "good", "winner", "win", "positive", "best"),
    "rejected": ("rejected", "dispreferred", "worse", "bad", "loser", "lose", "negative", "worst"),
}
"""Words in the names of columns by what they may hold, the likelier first."""

QUESTIONS = frozenset(
    {"ask", "human", "input", "instruction", "problem", "prompt", "query", "question", "request", "user"}
)
"""Last words of names of columns that hold what is asked."""

ANSWERS = frozenset({"chosen", "rejected"})
BESIDES = frozenset({"system", "system_prompt", "response", "parent_id"})
"""Columns known that no answer is to."""

ALIKE = 0.85
"""How alike two words have to be, from 0 to 1, for a slip of the pen."""

ABOUT = frozenset({"id", "idx", "index", "score", "rating", "length", "count", "model", "source"})
"""Last words of names of columns that tell something about a part, and are not the part."""

TELLING = 5
"""Letters from which a word tells of itself inside a longer one, or misspelled: `win` is in `window` too."""


def suggested(columns: Sequence[str]) -> str:
    """The line that names the columns to read, with the nearest of those found; "..." where none is near."""
    return written({name: column or "..." for name, column in suggestion(columns).items()})


def suggestion(columns: Sequence[str]) -> dict[str, str | None]:
    """The column that each part of a pair may be in, by its name; None where no name speaks for itself.

    A wrong guess trains on the wrong answers, and a missing one only asks. The system message is a part where there
    is a column for it.
    """
    guesses: dict[str, str | None] = {}
    for part in ("rejected", "chosen", "prompt"):
        left = [column for column in columns if column not in guesses.values()]
        guesses[part] = _guess(part, left)
    system = [column for column in columns if "system" in column.lower()]
    return {part: guesses[part] for part in WORDS} | ({"system": system[0]} if system else {})


def written(columns: Mapping[str, str]) -> str:
    """The line of a config that names these columns."""
    pairs = ", ".join(
        f"{_quoted(name)} = {json.dumps(column, ensure_ascii=False)}" for name, column in columns.items()
    )
    return f"columns = {{ {pairs} }}"


def _quoted(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _guess(part: str, columns: Sequence[str]) -> str | None:
    named = [column for column in columns if not ABOUT.intersection(_words(column)[-1:])]
    for fits in (_says, _means):
        for word in WORDS[part]:
            within = [column for column in named if fits(column, word) and not _opposite(part, column)]
            if within:
                return min(within, key=len)
    return None


def _says(column: str, word: str) -> bool:
    """Whether a name has the word in it: as a word of its own, or run together with others."""
    return word in _words(column) or (len(word) >= TELLING and word in column.lower())


def _means(column: str, word: str) -> bool:
    """Whether a word of the name is this one misspelled."""
    return len(word) >= TELLING and any(
        len(one) >= TELLING and difflib.SequenceMatcher(None, word, one).ratio() >= ALIKE
        for one in _words(column)
    )


def _opposite(part: str, column: str) -> bool:
    """Whether a name says the contrary: `non_preferred` of the chosen, and `preferred` of the dispreferred."""
    lowered = column.lower()
    denied = any(word in lowered for word in ("non", "dis", "reject", "not_", "un"))
    praised = any(_says(column, word) or _means(column, word) for word in WORDS["chosen"])
    return {"chosen": denied, "rejected": praised and not denied}.get(part, False)


def question(fields: Fields) -> str | None:
    """A column of text that its name calls the question, whatever layouts know of it."""
    for name, value in fields.items():
        if isinstance(value, str) and not empty(value) and _words(name)[-1] in QUESTIONS:
            return name
    return None


def promptless(fields: Fields, known: Set[str]) -> bool:
    """Whether a row holds two answers as text, and nothing in the columns known that they could answer."""
    answers = all(isinstance(fields.get(name), str) and not empty(fields[name]) for name in ANSWERS)
    return answers and all(empty(fields.get(name)) for name in known - ANSWERS - BESIDES)


def _words(name: str) -> list[str]:
    """The words of a column's name in small letters, of userPrompt as of user_prompt."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return [word.lower() for word in words] or [""]


def nearest(fields: Fields, formats: Sequence[Format], most: int = 3) -> list[Format]:
    """The layouts whose columns are there in the largest part, the likeliest first."""

    def present(entry: Format) -> float:
        needed = [key.split("|") for key in (*entry.columns, *entry.marks)]
        return sum(any(name in fields for name in names) for names in needed) / len(needed)

    trained = [entry for entry in formats if not entry.refusal]
    return sorted(trained, key=present, reverse=True)[:most]


def blocked(fields: Fields, formats: Sequence[Format]) -> tuple[Format, str, str] | None:
    """A layout that would fit a row were it not for a column that it does not read; that column; and the line
    of a config that leaves it out."""
    for entry in formats:
        unread = entry.unread(fields)
        if unread and replace(entry, known=frozenset()).matches(fields):
            read = [column_of(key, fields) for key in (*entry.columns, *entry.marks, *entry.optional)]
            kept = {name: name for name in read if not empty(fields.get(name))}
            return entry, unread[0], written(kept)
    return None
