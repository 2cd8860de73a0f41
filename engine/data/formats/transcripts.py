r"""Dialogues written as one text, each turn begun by "\n\nHuman:" or "\n\nAssistant:", after a "System:" or none."""

import re

from engine.data.rows.messages import Message, Role, RowError

_SPEAKER = re.compile(r"(?:\A\s*(?=System:)|(?:\A\s*|\n\n)(?=Human:|Hum:|Assistant:))([A-Z][a-z]+):")
_ROLES: dict[str, Role] = {"System": "system", "Human": "user", "Hum": "user", "Assistant": "assistant"}


def is_transcript(text: object) -> bool:
    """Whether a text is a dialogue: it begins with a speaker, and the assistant speaks in it."""
    speakers = _SPEAKER.findall(text) if isinstance(text, str) and _SPEAKER.match(text) else []
    return "Assistant" in speakers


def turns(transcript: str) -> list[Message]:
    """The messages of a dialogue. Raises `RowError` where it does not begin with a speaker."""
    if not _SPEAKER.match(transcript):
        raise RowError(f'a dialogue begins with "{transcript[:20]}": expected "Human:" or "Assistant:"')
    parts = _SPEAKER.split(transcript)[1:]
    return [
        {"role": _ROLES[speaker], "content": said.strip()}
        for speaker, said in zip(parts[::2], parts[1::2], strict=True)
    ]


def question(transcript: str) -> list[Message]:
    """The messages of a dialogue that ends where the assistant is to speak."""
    found = turns(transcript)
    waits = found[-1]["role"] == "assistant" and not found[-1]["content"]
    return found[:-1] if waits else found
