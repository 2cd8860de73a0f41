"""Chat messages and preferences, in the one form everything after reading works with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

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
}


class RowError(ValueError):
    """A row that cannot be understood: what was found and expected; whoever reads adds where."""


class Message(TypedDict):
    """One turn, as chat templates take it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class TextPreference:
    """Plain text: trained as it stands."""

    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class ChatPreference:
    """A conversation and two ways to go on: rendered with the model's chat template."""

    prompt: Sequence[Message]
    chosen: Sequence[Message]
    rejected: Sequence[Message]


Preference: TypeAlias = TextPreference | ChatPreference


def message(value: Mapping[str, Any], role_key: str = "role", content_key: str = "content") -> Message:
    """Read one message, its role in the usual words. Raises `RowError` for unknown roles and tool calls."""
    role = ROLES.get(value[role_key].strip().lower())
    if role is None:
        known = ", ".join(sorted(set(ROLES)))
        raise RowError(f'the role "{value[role_key]}" is not known: expected one of {known}')
    if value.get("tool_calls"):
        raise RowError("a message has `tool_calls`, which cannot be trained on yet: remove such rows")
    return {"role": role, "content": value[content_key]}


def conversation(
    values: Sequence[Mapping[str, Any]], role_key: str = "role", content_key: str = "content"
) -> list[Message]:
    """Read a list of messages."""
    return [message(value, role_key, content_key) for value in values]


def split_conversations(chosen: Sequence[Message], rejected: Sequence[Message]) -> ChatPreference:
    """Two whole conversations: the messages they begin with in common are the prompt.

    Each side keeps at least its last message, also when one conversation is the beginning of the other.
    """
    limit = min(len(chosen), len(rejected)) - 1
    shared = 0
    while shared < limit and chosen[shared] == rejected[shared]:
        shared += 1
    return ChatPreference(chosen[:shared], chosen[shared:], rejected[shared:])


def without_prompt(
    prompt: Sequence[Message], chosen: Sequence[Message], rejected: Sequence[Message]
) -> ChatPreference:
    """A prompt and two completions, some of which repeat the prompt as their beginning."""
    size = len(prompt)
    repeated = list(chosen[:size]) == list(prompt) == list(rejected[:size])
    return (
        ChatPreference(prompt, chosen[size:], rejected[size:])
        if repeated
        else ChatPreference(prompt, chosen, rejected)
    )


def split_texts(chosen: str, rejected: str) -> TextPreference:
    """Two whole texts: the prompt is what they begin with in common, back to the last whole word.

    A space before the first differing word belongs to the completions, as tokenizers join it to the word.
    Each side keeps something, also when one text is the beginning of the other.
    """
    if chosen == rejected:
        return TextPreference("", chosen, rejected)
    cut = 0
    limit = min(len(chosen), len(rejected)) - 1
    while cut < limit and chosen[cut] == rejected[cut]:
        cut += 1
    while cut > 0 and not _between_words(chosen, rejected, cut):
        cut -= 1
    return TextPreference(chosen[:cut], chosen[cut:], rejected[cut:])


def _between_words(chosen: str, rejected: str, at: int) -> bool:
    before = chosen[at - 1]
    in_word = before.isalnum() and (chosen[at].isalnum() or rejected[at].isalnum())
    return before != " " and not in_word


def flaw(preference: Preference) -> str | None:
    """Why a preference cannot teach anything, as a reason of `tallies.DROPPED`; None when it can."""
    if _blank(preference.chosen):
        return "empty_chosen"
    if _blank(preference.rejected):
        return "empty_rejected"
    if preference.chosen == preference.rejected:
        return "equal"
    if isinstance(preference, ChatPreference):
        return _conversation_flaw(preference)
    return "no_prompt" if _blank(preference.prompt) else None


def _conversation_flaw(preference: ChatPreference) -> str | None:
    completions = (preference.chosen, preference.rejected)
    if any(completion[0]["role"] != "assistant" for completion in completions):
        return "prompts_differ"
    if any(completion[-1]["role"] != "assistant" for completion in completions):
        return "not_assistant"
    return "no_prompt" if _blank(preference.prompt) else None


def _blank(part: str | Sequence[Message]) -> bool:
    if isinstance(part, str):
        return not part.strip()
    return not any(turn["content"].strip() for turn in part)
