"""The few ways in which rows say a prompt and two completions; the layouts differ in whose columns hold them."""

from collections.abc import Callable, Sequence
from typing import Any

from engine.data.formats.format import Fields, pick
from engine.data.formats.tools import template_kwargs, tools
from engine.data.formats.turns import asked, conversation, reply, user
from engine.data.rows.messages import ChatPreference, Message, NoPair, Preference, common_beginning
from engine.data.rows.parting import first_difference
from engine.data.rows.shapes import OBJECT, TEXT, TOOLS, Shape, empty

TOLD = "system|system_prompt"
SYSTEM: dict[str, Shape] = {TOLD: TEXT}
CHAT: dict[str, Shape] = {**SYSTEM, "tools": TOOLS, "chat_template_kwargs": OBJECT}
"""Columns that most layouts of chats may have besides."""

ASKING = frozenset({"user", "system"})
"""Whose turns are the history of an answer; those of tools and of the assistant may be a part of it."""


def has_system(row: Fields) -> bool:
    """Whether a row has a column for a system message, which makes it a chat, also where it is empty."""
    return any(name in row for name in TOLD.split("|"))


def with_system(row: Fields, prompt: Sequence[Message]) -> list[Message]:
    """A prompt that begins with the system message of the row, unless it brings one of its own."""
    given = pick(row, TOLD)
    own = bool(prompt) and prompt[0]["role"] == "system"
    return list(prompt) if own or empty(given) else [{"role": "system", "content": str(given)}, *prompt]


def chat(
    row: Fields, prompt: Sequence[Message], chosen: Sequence[Message], rejected: Sequence[Message]
) -> ChatPreference:
    """A preference with what the row says of the whole conversation: system, tools, template arguments."""
    return ChatPreference(
        with_system(row, prompt),
        chosen,
        rejected,
        tools(row.get("tools")),
        template_kwargs(row.get("chat_template_kwargs")),
    )


def without_prompt(prompt: Sequence[Message], completion: Sequence[Message]) -> Sequence[Message]:
    """A completion that may repeat its prompt as its beginning, without it."""
    size = len(prompt)
    return completion[size:] if size and list(completion[:size]) == list(prompt) else completion


def prompt_and_replies(prompt: str, chosen: str, rejected: str) -> Callable[[Fields], Preference]:
    """Reads rows whose prompt is the text of a question, or messages, in a column of its own."""

    def read(row: Fields) -> Preference:
        before = asked(pick(row, prompt))
        sides = (reply(pick(row, column)) for column in (chosen, rejected))
        return chat(row, before, *(without_prompt(before, side) for side in sides))

    return read


def instructions(prompt: str, more: str, chosen: str, rejected: str) -> Callable[[Fields], Preference]:
    """Reads rows whose question is in two columns, and which may have earlier turns as `history`."""

    def read(row: Fields) -> Preference:
        before = instructed(row, prompt, more)
        return chat(row, before, reply(pick(row, chosen)), reply(pick(row, rejected)))

    return read


def instructed(row: Fields, prompt: str, more: str) -> list[Message]:
    """Earlier turns and a question in two columns, the second on its own line."""
    turns: list[Message] = []
    earlier = row.get("history")
    for question, answer in () if empty(earlier) else earlier or ():
        turns += [user(question), {"role": "assistant", "content": answer}]
    parts = [pick(row, column) for column in (prompt, more)]
    return [*turns, user("\n".join(part for part in parts if not empty(part)))]


def two_conversations(chosen: str, rejected: str) -> Callable[[Fields], Preference]:
    """Reads rows with two whole conversations: the prompt is the messages they begin with in common.

    Where both hold nothing but answers, the question is the text of `prompt` or `question`.
    """

    def read(row: Fields) -> Preference:
        sides = [reply(pick(row, column)) for column in (chosen, rejected)]
        question = pick(row, "prompt|question")
        if not empty(question) and all(only_answers(side) for side in sides):
            return chat(row, [user(question)], *sides)
        return divided(row, *sides)

    return read


def divided(row: Fields, chosen: Sequence[Message], rejected: Sequence[Message]) -> ChatPreference:
    """Two whole conversations, divided where they part.

    Raises `NoPair` when they part before the last question: the two answers are to different histories, and what
    one of them teaches about the other nobody can tell.
    """
    shared = common_beginning(chosen, rejected)
    if any(turn["role"] in ASKING for side in (chosen, rejected) for turn in side[shared:-1]):
        raise NoPair("histories_differ", first_difference(chosen, rejected))
    return chat(row, chosen[:shared], chosen[shared:], rejected[shared:])


def only_answers(turns: Sequence[Message]) -> bool:
    return bool(turns) and all(turn["role"] not in {"user", "system"} for turn in turns)


def last_answer(value: Any) -> tuple[list[Message], list[Message]]:
    """A conversation as its part up to the last question, and what follows it."""
    turns = conversation(value)
    asking = [position for position, turn in enumerate(turns, 1) if turn["role"] == "user"]
    end = asking[-1] if asking else sum(turn["role"] == "system" for turn in turns[:1])
    return turns[:end], turns[end:]
