"""Who is logged in to the hub, asked of the hub itself. No token is shown, kept or put into a message."""

from dataclasses import dataclass
from typing import Literal

Standing = Literal["ok", "none", "refused", "offline", "unreachable"]

SECONDS = 8.0
"""After which the hub counts as away."""


@dataclass(frozen=True, slots=True)
class Login:
    """How this machine stands with the hub; `name` only where it is logged in."""

    standing: Standing
    name: str = ""

    @property
    def may_push(self) -> bool:
        """Whether an upload is worth trying: a hub that stumbles now may not when the export is written."""
        return self.standing in ("ok", "unreachable")


def login() -> Login:
    """Ask the hub. Takes as long as the network does: not for a thread that draws.

    Errors are told by their kind alone: their texts may hold the token, as that of a header that is none does.
    """
    from huggingface_hub import constants, get_session, get_token
    from huggingface_hub.utils._headers import build_hf_headers

    if constants.HF_HUB_OFFLINE:
        return Login("offline")
    token = get_token()
    if token is None:
        return Login("none")
    try:
        headers = build_hf_headers(token=token)
        answer = get_session().get(f"{constants.ENDPOINT}/api/whoami-v2", headers=headers, timeout=SECONDS)
        if answer.status_code in (401, 403):
            return Login("refused")
        name = answer.json()["name"]
    except Exception:  # no network, a proxy's page, a token with a newline in it
        return Login("unreachable")
    return Login("ok", name) if isinstance(name, str) and name else Login("unreachable")
