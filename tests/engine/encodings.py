"""Preferences, and what they are encoded to, for the tests of the tokenizing."""

from typing import Any

from transformers import PreTrainedTokenizerBase

from engine.data.encoding.encoder import encode
from engine.data.encoding.limits import Encoded, Limits
from engine.data.prepared.pairs import Pair
from engine.data.rows.messages import ChatPreference, Message

ROOM = Limits(4096, 2048)


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def chat(prompt: str, chosen: str, rejected: str) -> ChatPreference:
    return ChatPreference([user(prompt)], [assistant(chosen)], [assistant(rejected)])


def encoded(
    preference: Any, tokenizer: PreTrainedTokenizerBase, limits: Limits = ROOM, **more: Any
) -> Encoded:
    result = encode(preference, tokenizer, limits, **more)
    assert isinstance(result, Encoded), result
    return result


def parts(pair: Pair, tokenizer: PreTrainedTokenizerBase) -> tuple[str, str, str]:
    """Prompt, chosen and rejected completion as text."""
    return (
        str(tokenizer.decode(pair.chosen[: pair.chosen_start].tolist())),
        str(tokenizer.decode(pair.chosen[pair.chosen_start :].tolist())),
        str(tokenizer.decode(pair.rejected[pair.rejected_start :].tolist())),
    )
