"""Messages as rows have them, read into the one form: roles in the usual words, content as one text."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.data.formats.tools import called, tool_calls
from engine.data.rows.messages import Message, Role, RowError
from engine.data.rows.shapes import kind

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
    "ipython": "tool",
    "tool_response": "tool",
    "function_response": "tool",
}
CALLS = frozenset({"function_call", "tool_call"})
"""Roles of turns whose content is the JSON text of the call of a tool."""

TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
PICTURES = ("image", "video", "audio")
KEPT = ("name", "tool_call_id", "reasoning_content", "thinking")


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def speaker(value: Mapping[str, Any]) -> Role:
    """Whose turn a message is; the assistant's where the role is not known, as that of a tool's call."""
    role = value["role"] if "role" in value else value["from"]
    return ROLES.get(role.strip().lower(), "assistant")


def message(value: Mapping[str, Any]) -> Message:
    """Read one message. Raises `RowError` for unknown roles, for pictures and sound, and for broken calls."""
    chat = "role" in value or "from" not in value
    role, content = (value["role"], value.get("content")) if chat else (value["from"], value.get("value"))
    known = ROLES.get(role) or ROLES.get(role.strip().lower())
    if known is None:
        return _call(role, content)
    turn: Message = {"role": known, "content": joined(content)}
    if content is not None and len(value) == 2:  # nothing else is in most messages
        return turn
    for key in KEPT:
        if isinstance(value.get(key), str) and value[key]:
            turn[key] = value[key]  # type: ignore[literal-required]
    if value.get("tool_calls"):
        turn["tool_calls"] = tool_calls(value["tool_calls"])
    return turn


def _call(role: str, content: Any) -> Message:
    """A turn that is nothing but the call of a tool."""
    if role.strip().lower() not in CALLS:
        known = ", ".join(sorted({*ROLES, *CALLS}))
        raise RowError(f'the role "{role}" is not known: expected one of {known}')
    return {"role": "assistant", "content": "", "tool_calls": called(joined(content))}


def joined(content: Any) -> str:
    """The text of a message: as it is, or its text parts one after the other. Null is no text."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(_part(part) for part in content)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    named = part.get("type") if isinstance(part, dict) else None
    if not isinstance(named, str):
        raise RowError(f'a part of a message has {kind(named)} as its type: expected "text"')
    if named in TEXT_PARTS:
        text = next((part[key] for key in ("text", "value") if isinstance(part.get(key), str)), None)
        if text is None:
            raise RowError("a text part of a message holds no text: expected it under `text`")
        return str(text)
    if any(word in named for word in PICTURES):
        raise RowError(f'a message holds a part of type "{named}", and only text can be trained on')
    raise RowError(f'a part of a message has the type "{named}": expected "text"')


def conversation(values: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Read a list of messages; calls of tools that follow one another become one turn with all of them."""
    turns: list[Message] = []
    for value in values:
        turn = message(value)
        before = turns[-1] if turns else None
        if before and _only_calls(before) and _only_calls(turn):
            before["tool_calls"] += turn["tool_calls"]
        else:
            turns.append(turn)
    return turns


def _only_calls(turn: Message) -> bool:
    return turn["role"] == "assistant" and not turn["content"] and "tool_calls" in turn


def reply(value: Any) -> list[Message]:
    """A completion, however it is given: a text, one message, or several."""
    if isinstance(value, str):
        return [assistant(value)]
    return conversation(value if isinstance(value, list) else [value])


def asked(value: Any) -> list[Message]:
    """A prompt, however it is given: the text of a question, or messages."""
    return [user(value)] if isinstance(value, str) else conversation(value)
