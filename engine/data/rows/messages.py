"""Chat messages and preferences, in the one form everything after reading works with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

NOTHING_MORE: Mapping[str, Any] = MappingProxyType({})


class RowError(ValueError):
    """A row that cannot be understood: what was found and expected; whoever reads adds where."""


class NoPair(Exception):
    """A row that is understood, and holds no pair to train on: `reason` is one of `tallies.DROPPED`.

    detail: what of this row makes it so, short enough to stand beside the reason.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Message(TypedDict):
    """One turn, as chat templates take it; the content is empty where a turn only calls tools."""

    role: Role
    content: str
    name: NotRequired[str]
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]
    reasoning_content: NotRequired[str]
    thinking: NotRequired[str]


@dataclass(frozen=True, slots=True)
class TextPreference:
    """Plain text: trained as it stands."""

    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class ChatPreference:
    """A conversation and two ways to go on: rendered with the model's chat template.

    tools: what the template is told of, as JSON schemas. template_kwargs: what else this row hands to it.
    """

    prompt: Sequence[Message]
    chosen: Sequence[Message]
    rejected: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] | None = None
    template_kwargs: Mapping[str, Any] = field(default_factory=lambda: NOTHING_MORE)


Preference: TypeAlias = TextPreference | ChatPreference


def common_beginning(chosen: Sequence[Message], rejected: Sequence[Message]) -> int:
    """How many messages two whole conversations begin with in common: these are the prompt.

    Each side keeps at least its last message, also when one conversation is the beginning of the other.
    """
    limit = min(len(chosen), len(rejected)) - 1
    shared = 0
    while shared < limit and chosen[shared] == rejected[shared]:
        shared += 1
    return shared


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
    return not any(turn["content"].strip() or turn.get("tool_calls") for turn in part)
