"""What no text in a config may hold: characters that steer a terminal, and tokens."""

import re
from collections.abc import Iterator
from typing import Any

from engine.config.problems import Fault, KeyPath, Message

CREDENTIAL = (
    "this looks like a Hugging Face token, or one of ModelScope. Never put a token in a file: it is copied into the "
    "run directory. Log in with `hf auth login`, or set HF_TOKEN or MODELSCOPE_API_TOKEN, and revoke this token"
)

# C0, DEL, C1, line and paragraph separators, bidirectional controls, surrogates.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_TOKEN = re.compile(
    r"\b(hf_|ms-)(?:(?<=hf_)[A-Za-z0-9]{20,}|(?<=ms-)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)


def string_faults(value: Any, key: KeyPath = ()) -> Iterator[Fault]:
    """A fault for each text under `value`, a key's name included, with a control character or a token."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if message := _fault_in(name):
                yield Fault.of((*key, name), message)
            yield from string_faults(inner, (*key, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from string_faults(inner, (*key, index))
    elif isinstance(value, str) and (message := _fault_in(value)):
        yield Fault.of(key, message)


def token_lines(text: str) -> Iterator[int]:
    """The lines of `text` that hold a token, comments included."""
    for number, line in enumerate(text.split("\n"), start=1):
        if _TOKEN.search(line):
            yield number


def holds_token(text: str) -> bool:
    """Whether a token of the Hugging Face hub or of ModelScope is in `text`."""
    return _TOKEN.search(text) is not None


def masked(text: str) -> str:
    """`text` with every token in it unreadable."""
    return _TOKEN.sub(r"\1***", text)


def _fault_in(text: str) -> Message | None:
    if _TOKEN.search(text):
        return Message(CREDENTIAL, "credential")
    if found := _CONTROL.search(text):
        character = f"U+{ord(found.group()):04X}"
        sentence = f"contains the control character {character}; only printable text is allowed"
        return Message(sentence, "control", {"character": character})
    return None
