"""Numbers that stand for a preference and for its prompt: equal content, equal number."""

import hashlib
import json
from collections.abc import Iterable, Sequence

from engine.data.rows.messages import ChatPreference, Message, Preference


def prompt_bytes(preference: Preference) -> bytes:
    """What tells a prompt from all others, as bytes."""
    return _part(preference.prompt)


def pair_key(preference: Preference, prompt: bytes) -> int:
    """64 bits over all a preference hands to training; `prompt`: its `prompt_bytes`."""
    digest = hashlib.blake2b(prompt, digest_size=8)
    digest.update(_part(preference.chosen))
    digest.update(_part(preference.rejected))
    if isinstance(preference, ChatPreference) and (preference.tools or preference.template_kwargs):
        more = [list(preference.tools or ()), dict(preference.template_kwargs)]
        digest.update(json.dumps(more, sort_keys=True, default=str).encode())
    return int.from_bytes(digest.digest(), "little")


def _part(part: str | Sequence[Message]) -> bytes:
    if isinstance(part, str):
        return b"t" + _framed([part])
    return (
        b"c" + _framed(text for turn in part for text in (turn["role"], turn["content"], _rest(turn))) + b";"
    )


def _rest(turn: Message) -> str:
    """What a message holds besides its role and content; tool calls, mostly nothing."""
    if len(turn) == 2:
        return ""
    rest = {key: value for key, value in turn.items() if key not in ("role", "content")}
    return json.dumps(rest, sort_keys=True, default=str)


def _framed(texts: Iterable[str]) -> bytes:
    """The texts one after the other, each with its length: no other texts give the same bytes."""
    return b"".join(
        b"%d:%s" % (len(raw), raw) for raw in (text.encode("utf-8", "surrogatepass") for text in texts)
    )
