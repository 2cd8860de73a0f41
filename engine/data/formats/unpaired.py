"""Layouts with one completion a row, good or bad: rows with the same prompt and opposite labels make pairs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from engine.data.files.sources import Row
from engine.data.formats.format import PROBLEM, Fields, Format, pick, problem
from engine.data.formats.readers import (
    CHAT,
    SYSTEM,
    chat,
    has_system,
    instructed,
    last_answer,
    with_system,
    without_prompt,
)
from engine.data.formats.samples import ALPACA_KTO, LABELLED_MESSAGES, TRL_UNPAIRED
from engine.data.formats.scratch import digest, shelf
from engine.data.formats.turns import asked, assistant, reply, speaker
from engine.data.rows.messages import NoPair, Preference, RowError, TextPreference
from engine.data.rows.shapes import HISTORY, LABEL, MESSAGES, PROMPT, REPLY, TEXT, Shape, empty, label

Half: TypeAlias = tuple[Any, Any]
"""A prompt and a completion: two texts, or messages."""

Shapes: TypeAlias = tuple[Mapping[str, Shape], Mapping[str, Shape]]
"""What a row must hold, and what it may hold."""

CONTEXT = ("tools", "chat_template_kwargs")
TURNS = "messages|conversations|completion"
ASKING = "instruction|question|query"
ANSWER = "output|completion|response"
INSTRUCTED = {"input": TEXT, "history": HISTORY, **SYSTEM}


def _pair_by_prompt(
    rows: Iterable[Row], scratch: Path, *, shapes: Shapes, mark: str, half: Callable[[Fields], Half]
) -> Iterator[Row]:
    """The i-th good completion of each prompt with its i-th bad one, in the order read; left-overs at the end."""
    with shelf(scratch, "prompt_good") as waiting:
        for row in rows:
            try:
                one, good = _one(row, shapes, mark, half)
            except (RowError, RecursionError) as error:
                yield replace(row, fields={PROBLEM: str(error)})
                continue
            key = digest(json.dumps([one["prompt"], *(one.get(name) for name in CONTEXT)], default=str))
            found = waiting.first("prompt_good = ?", key + bytes([not good]))
            if found:
                waiting.remove(found[0])
                yield replace(row, fields={**found[1].fields, **one})
            else:
                waiting.add(replace(row, fields=one), key + bytes([good]))
        for _, row in waiting.find():
            yield row


def _one(row: Row, shapes: Shapes, mark: str, half: Callable[[Fields], Half]) -> tuple[dict[str, Any], bool]:
    """A row as half of a pair, and whether it is the good half."""
    told = problem(row.fields, *shapes)
    if told:
        raise RowError(told)
    prompt, completion = half(row.fields)
    good = bool(label(pick(row.fields, mark)))
    context = {name: row.fields[name] for name in CONTEXT if not empty(row.fields.get(name))}
    return {**context, "prompt": prompt, "chosen" if good else "rejected": completion}, good


def _pair(row: Fields) -> Preference:
    if not {"prompt", "chosen", "rejected"} <= row.keys():
        raise NoPair("unpaired")
    told = problem(row, {"prompt": PROMPT, "chosen": REPLY, "rejected": REPLY})
    if told:
        raise RowError(told)
    if all(isinstance(row[name], str) for name in ("prompt", "chosen", "rejected")):
        return TextPreference(row["prompt"], row["chosen"], row["rejected"])
    return chat(row, asked(row["prompt"]), reply(row["chosen"]), reply(row["rejected"]))


def _completion(row: Fields) -> Half:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, str) and isinstance(completion, str) and not has_system(row):
        return prompt, completion
    before = asked(prompt)
    return with_system(row, before), list(without_prompt(before, reply(completion)))


def _conversation(row: Fields) -> Half:
    prompt, completion = last_answer(pick(row, TURNS))
    return with_system(row, prompt), completion


def _answered(row: Fields) -> bool:
    """Whether the conversation ends in an answer, so that the label can be of it: else it sorts questions."""
    return speaker(pick(row, TURNS)[-1]) == "assistant"


def _instruction(row: Fields) -> Half:
    return with_system(row, instructed(row, ASKING, "input")), [assistant(pick(row, ANSWER))]


def _unpaired(
    *,
    columns: Mapping[str, Shape],
    optional: Mapping[str, Shape],
    mark: str,
    half: Callable[[Fields], Half],
    **described: Any,
) -> Format:
    marks = {mark: LABEL}
    join = partial(_pair_by_prompt, shapes=({**columns, **marks}, optional), mark=mark, half=half)
    return Format(columns=columns, optional=optional, marks=marks, join=join, read=_pair, **described)


FORMATS = (
    _unpaired(
        name="trl-unpaired",
        purpose="Prompt, one completion and whether it is good: rows with the same prompt make pairs.",
        seen_in="TRL (KTO), trl-lib/kto-mix-14k, argilla/ultrafeedback-binarized-preferences-cleaned-kto",
        columns={"prompt": PROMPT, "completion": REPLY},
        optional=CHAT,
        mark="label",
        half=_completion,
        sample=TRL_UNPAIRED,
    ),
    _unpaired(
        name="labelled-messages",
        purpose="A whole conversation and whether its last answer is good: rows with the same prompt make pairs.",
        seen_in="ms-swift (KTO), LLaMA-Factory (kto_en_demo, sharegpt with kto_tag)",
        columns={TURNS: MESSAGES},
        optional=CHAT,
        mark="label|kto_tag",
        half=_conversation,
        looks=_answered,
        aliases=("swift-kto", "sharegpt-kto"),
        sample=LABELLED_MESSAGES,
    ),
    _unpaired(
        name="alpaca-kto",
        purpose="A question and one answer as text, and whether it is good: rows with the same prompt make pairs.",
        seen_in="LLaMA-Factory (alpaca with kto_tag), Axolotl (KTO), ms-swift (KTO with query and response)",
        columns={ASKING: TEXT, ANSWER: TEXT},
        optional=INSTRUCTED,
        mark="kto_tag|label",
        half=_instruction,
        sample=ALPACA_KTO,
    ),
)
