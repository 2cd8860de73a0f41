"""Searching the Hugging Face hub: one request, answered soon or given up, and every failure has a code.

huggingface_hub's own listing tries a hub that stumbles five times and waits without a limit; whoever types waits
for neither. Its session, address, login and offline switch are used.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from dpo_tui.hub.cache import Kind

LIMIT = 30
"""Repos asked for: a longer list is searched by typing on."""

SECONDS = 8.0
"""After which the hub counts as away."""

LONGEST_ANSWER = 1 << 23
"""Most bytes of an answer: 8 MiB; thirty repos have some hundred thousand."""

_FACTS: dict[Kind, tuple[str, ...]] = {
    "model": ("downloads", "likes", "gated", "tags", "safetensors"),
    "dataset": ("downloads", "likes", "gated", "tags"),
}
_FILTERS: dict[Kind, tuple[str, ...]] = {"model": ("text-generation", "safetensors"), "dataset": ()}
"""A model without safetensors is refused by training anyway."""


@dataclass(frozen=True, slots=True)
class Repo:
    """One repo as a list shows it; what the hub did not say is None."""

    id: str
    downloads: int | None = None
    likes: int | None = None
    parameters: int | None = None
    license: str | None = None
    gated: bool = False


class HubAway(Exception):
    """The hub did not answer as hoped; `code` is one of the engine's hub codes, which the catalogues explain."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def search(kind: Kind, text: str) -> list[Repo]:
    """The most downloaded repos that fit `text`. Raises HubAway."""
    try:
        return await asyncio.wait_for(_search(kind, text), SECONDS)
    except HubAway:
        raise
    except Exception as error:  # whatever a network, a proxy or a server that is no hub makes of it
        raise HubAway(_code(error)) from error


async def _search(kind: Kind, text: str) -> list[Repo]:
    import json

    from huggingface_hub import constants, get_async_session
    from huggingface_hub.utils._headers import build_hf_headers

    if constants.HF_HUB_OFFLINE:
        raise HubAway("hub.offline")
    asked: dict[str, Any] = {"search": text, "limit": LIMIT, "sort": "downloads"}
    asked |= {"filter": list(_FILTERS[kind]), "expand": list(_FACTS[kind])}
    address = f"{constants.ENDPOINT}/api/{kind}s"
    async with (
        get_async_session() as session,
        session.stream("GET", address, params=asked, headers=build_hf_headers(), timeout=SECONDS) as response,
    ):
        if response.status_code != 200:
            raise HubAway(_refusal(response.status_code))
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > LONGEST_ANSWER:
                raise HubAway("hub.no_hub")
    listed = json.loads(body)
    if not isinstance(listed, list):
        raise HubAway("hub.no_hub")
    return [repo for entry in listed[:LIMIT] if (repo := _repo(entry))]


def _repo(entry: Any) -> Repo | None:
    """A repo out of an answer that may hold anything."""
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not entry["id"]:
        return None
    tags = entry.get("tags")
    named = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    license_ = next((tag.removeprefix("license:") for tag in named if tag.startswith("license:")), None)
    tensors = entry.get("safetensors")
    parameters = _number(tensors.get("total")) if isinstance(tensors, dict) else None
    facts = (_number(entry.get("downloads")), _number(entry.get("likes")), parameters)
    return Repo(entry["id"], *facts, license_, bool(entry.get("gated")))


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _refusal(status: int) -> str:
    if status in (401, 403):
        return "hub.auth"
    if status == 429:
        return "hub.rate_limit"
    return "hub.down" if status >= 500 else "hub.no_hub"


def _code(error: Exception) -> str:
    if isinstance(error, ValueError | RecursionError):
        return "hub.no_hub"
    names = {kind.__name__ for kind in type(error).__mro__}
    if any("Timeout" in name for name in names):
        return "hub.timeout"
    return "hub.offline" if "OfflineModeIsEnabled" in names else "hub.unreachable"
