"""Pairs whose prompts are six times as long as their answers, made of other pairs: questions about documents."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ANSWER_CHARACTERS = 480
PROMPT_CHARACTERS = 6 * ANSWER_CHARACTERS


def write_long_prompts(source: Path, target: Path, count: int) -> Path:
    """Write `count` rows to `target` from the conversations of a ShareGPT ranking file; returns it."""
    rows = [row for row in json.loads(source.read_text()) if _usable(row)]
    texts = _texts(rows)
    with target.open("w") as file:
        for row in rows[:count]:
            file.write(json.dumps(_long(row, texts)) + "\n")
    return target


def _usable(row: dict[str, Any]) -> bool:
    return all(len(row[side]["value"]) > ANSWER_CHARACTERS for side in ("chosen", "rejected"))


def _texts(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Text enough for all documents, none of it twice in a prompt."""
    while True:
        for row in reversed(rows):
            yield row["chosen"]["value"]
            yield row["rejected"]["value"]


def _long(row: dict[str, Any], texts: Iterator[str]) -> dict[str, Any]:
    question = row["conversations"][-1]["value"][: ANSWER_CHARACTERS // 2]
    document = ""
    while len(document) + len(question) < PROMPT_CHARACTERS:
        document += next(texts) + "\n\n"
    prompt = document[: PROMPT_CHARACTERS - len(question)] + "\n\n" + question
    answers = {side: row[side]["value"][:ANSWER_CHARACTERS] for side in ("chosen", "rejected")}
    return {
        "prompt": [{"role": "user", "content": prompt}],
        **{side: [{"role": "assistant", "content": text}] for side, text in answers.items()},
    }
